//! RMSNorm (arXiv 1910.07467): x / rms(x) ⊙ w, over the last dimension.
//!
//! libtorch runs it as six operators on the CPU, whose overhead exceeds the computation for one token: in a decoder with half
//! a billion 8-bit weights about a tenth of the time. So inference in 32-bit floating point uses
//! [`auriga_kernels::rms_norm`]; training uses libtorch.

use crate::{
    decoder::weights::{Weights, WeightsError},
    kernels::{linear::WeightFormat, tensor_slices},
};
use tch::{Device, Kind, TchError, Tensor};

/// y = x / rms(x) ⊙ w.
pub(crate) struct RmsNorm {
    /// [size], or [rows, size] for the rows of x in turn.
    weight: Tensor,
    eps: f64,
    /// The same values where [`auriga_kernels`] computes it.
    values: Option<Vec<f32>>,
}

impl RmsNorm {
    /// Takes the tensor `NAME.weight`, [size].
    pub fn load(w: &mut Weights, name: &str, size: i64, eps: f64, format: WeightFormat) -> Result<Self, WeightsError> {
        Ok(Self::new(w.take(&format!("{name}.weight"), &[size])?, eps, format)?)
    }

    /// `weight`: [size] or [rows, size], 32-bit.
    pub fn new(weight: Tensor, eps: f64, format: WeightFormat) -> Result<Self, TchError> {
        let weight = weight.f_to_kind(format.kind(weight.device()))?;
        let own = format != WeightFormat::Trained && weight.kind() == Kind::Float && weight.device() == Device::Cpu;
        let values = if own { Some(Vec::try_from(weight.f_flatten(0, -1)?)?) } else { None };
        Ok(Self { weight, eps, values })
    }

    /// x: [.., size] or [.., rows, size] → the same shape.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let size = self.weight.size().last().copied().unwrap_or_default();
        let Some(weight) = &self.values else {
            return x.rms_norm([size], None::<Tensor>, self.eps) * &self.weight;
        };
        let x = x.contiguous();
        tensor_slices::tensor_from_fn(&x.size(), |y| {
            auriga_kernels::rms_norm(tensor_slices::as_slice(&x), weight, size as usize, self.eps as f32, y);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{backend::Backend, linear::Precision, tensor_slices::sine_tensor};

    fn inference() -> WeightFormat {
        WeightFormat::Inference(Precision::F32, Backend::best())
    }

    #[test]
    fn result_equals_libtorch() {
        let options = (Kind::Float, Device::Cpu);
        for (shape, weights) in [(vec![1, 3, 50], vec![50]), (vec![2, 5, 4, 32], vec![4, 32])] {
            let x = sine_tensor(&shape, 0.7);
            let weight = Tensor::arange(weights.iter().product::<i64>(), options).cos().view(&weights[..]);
            let [own, libtorch] = [inference(), WeightFormat::Trained]
                .map(|format| RmsNorm::new(weight.copy(), 1e-6, format).unwrap().forward(&x));
            assert_eq!(own.size(), shape);
            assert!((own - libtorch).abs().max().double_value(&[]) < 1e-6);
        }
    }

    #[test]
    fn non_contiguous_input_is_read_correctly() {
        let x = Tensor::arange(24, (Kind::Float, Device::Cpu)).view([2, 3, 4]).narrow(1, 1, 2);
        let norm = RmsNorm::new(Tensor::ones([4], (Kind::Float, Device::Cpu)), 0.0, inference()).unwrap();
        let found = norm.forward(&x);
        assert!((found - x.rms_norm([4], None::<Tensor>, 0.0)).abs().max().double_value(&[]) < 1e-6);
    }
}
