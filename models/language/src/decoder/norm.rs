//! RMSNorm (arXiv 1910.07467): x / rms(x) ⊙ w, over the last dimension.
//!
//! libtorch runs it as six operators on the CPU, whose overhead exceeds the computation for one token: in a decoder with half
//! a billion 8-bit weights about a tenth of the time. So inference in 32-bit floating point is implemented here; training uses
//! libtorch.

use crate::{
    decoder::weights::{Weights, WeightsError},
    kernels::{linear::Form, tensor_slices},
};
use tch::{Device, Kind, TchError, Tensor};

/// Independent partial sums, so that the compiler can vectorize.
const LANES: usize = 16;

/// y = x / rms(x) ⊙ w.
pub(crate) struct RmsNorm {
    /// [size], or [rows, size] for the rows of x in turn.
    weight: Tensor,
    eps: f64,
    /// The same values if the implementation of this file is used.
    values: Option<Vec<f32>>,
}

impl RmsNorm {
    /// Takes the tensor `NAME.weight`, [size].
    pub fn load(w: &mut Weights, name: &str, size: i64, eps: f64, form: Form) -> Result<Self, WeightsError> {
        Ok(Self::new(w.take(&format!("{name}.weight"), &[size])?, eps, form)?)
    }

    /// `weight`: [size] or [rows, size], 32-bit.
    pub fn new(weight: Tensor, eps: f64, form: Form) -> Result<Self, TchError> {
        let weight = weight.f_to_kind(form.kind(weight.device()))?;
        let own = form != Form::Trained && weight.kind() == Kind::Float && weight.device() == Device::Cpu;
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
        let size = size as usize;
        tensor_slices::made(&x.size(), |y| {
            let weights = weight.chunks_exact(size).cycle();
            for ((x, w), y) in tensor_slices::numbers(&x).chunks_exact(size).zip(weights).zip(y.chunks_exact_mut(size))
            {
                let scale = 1.0 / (mean_square(x) + self.eps as f32).sqrt();
                for ((x, w), y) in x.iter().zip(w).zip(y) {
                    *y = x * scale * w;
                }
            }
        })
    }
}

fn mean_square(x: &[f32]) -> f32 {
    let (lanes, rest) = x.as_chunks::<LANES>();
    let mut sums = [0f32; LANES];
    for lane in lanes {
        for (sum, x) in sums.iter_mut().zip(lane) {
            *sum += x * x;
        }
    }
    let all: f32 = sums.iter().sum::<f32>() + rest.iter().map(|x| x * x).sum::<f32>();
    all / x.len() as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{linear::Precision, tensor_slices::waves};

    #[test]
    fn result_equals_libtorch() {
        let options = (Kind::Float, Device::Cpu);
        for (shape, weights) in [(vec![1, 3, 50], vec![50]), (vec![2, 5, 4, 32], vec![4, 32])] {
            let x = waves(&shape, 0.7);
            let weight = Tensor::arange(weights.iter().product::<i64>(), options).cos().view(&weights[..]);
            let [own, libtorch] = [Form::Run(Precision::F32), Form::Trained]
                .map(|form| RmsNorm::new(weight.copy(), 1e-6, form).unwrap().forward(&x));
            assert_eq!(own.size(), shape);
            assert!((own - libtorch).abs().max().double_value(&[]) < 1e-6);
        }
    }

    #[test]
    fn non_contiguous_input_is_read_correctly() {
        let x = Tensor::arange(24, (Kind::Float, Device::Cpu)).view([2, 3, 4]).narrow(1, 1, 2);
        let norm = RmsNorm::new(Tensor::ones([4], (Kind::Float, Device::Cpu)), 0.0, Form::Run(Precision::F32)).unwrap();
        let found = norm.forward(&x);
        assert!((found - x.rms_norm([4], None::<Tensor>, 0.0)).abs().max().double_value(&[]) < 1e-6);
    }
}
