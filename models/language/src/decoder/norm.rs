//! RMSNorm (arXiv 1910.07467): x / rms(x) ⊙ w, over the last dimension.
//!
//! libtorch makes six operators of it on the processor, which cost more than the numbers of one token: in a decoder of half a
//! billion 8-bit weights about a tenth of the time. So it is written out here, for 32-bit numbers that are not being trained.

use crate::{
    decoder::weights::{Weights, WeightsError},
    kernels::{linear::Form, tensor_slices},
};
use tch::{Device, Kind, TchError, Tensor};

/// Sums that go side by side, so that the compiler may use wide registers.
const LANES: usize = 16;

pub(crate) struct RmsNorm {
    /// [rows, size]: the rows of x take turns.
    weight: Tensor,
    eps: f64,
    /// The same numbers, where this file does the work.
    ours: Option<Vec<f32>>,
}

impl RmsNorm {
    pub fn load(w: &mut Weights, name: &str, size: i64, eps: f64, form: Form) -> Result<Self, WeightsError> {
        Ok(Self::new(w.take(&format!("{name}.weight"), &[size])?, eps, form)?)
    }

    /// `weight`: [size] or [rows, size], 32-bit.
    pub fn new(weight: Tensor, eps: f64, form: Form) -> Result<Self, TchError> {
        let weight = weight.f_to_kind(form.kind(weight.device()))?;
        let ours = form != Form::Trained && weight.kind() == Kind::Float && weight.device() == Device::Cpu;
        let ours = if ours { Some(Vec::try_from(weight.f_flatten(0, -1)?)?) } else { None };
        Ok(Self { weight, eps, ours })
    }

    /// x: [.., size] or [.., rows, size], of the same shape as what comes out.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let size = self.weight.size().last().copied().unwrap_or_default();
        let Some(weight) = &self.ours else {
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
    fn it_is_what_libtorch_makes_of_it() {
        let options = (Kind::Float, Device::Cpu);
        for (shape, weights) in [(vec![1, 3, 50], vec![50]), (vec![2, 5, 4, 32], vec![4, 32])] {
            let x = waves(&shape, 0.7);
            let weight = Tensor::arange(weights.iter().product::<i64>(), options).cos().view(&weights[..]);
            let [ours, theirs] = [Form::Run(Precision::F32), Form::Trained]
                .map(|form| RmsNorm::new(weight.copy(), 1e-6, form).unwrap().forward(&x));
            assert_eq!(ours.size(), shape);
            assert!((ours - theirs).abs().max().double_value(&[]) < 1e-6);
        }
    }

    #[test]
    fn what_lies_apart_in_memory_is_read_right() {
        let x = Tensor::arange(24, (Kind::Float, Device::Cpu)).view([2, 3, 4]).narrow(1, 1, 2);
        let norm = RmsNorm::new(Tensor::ones([4], (Kind::Float, Device::Cpu)), 0.0, Form::Run(Precision::F32)).unwrap();
        let found = norm.forward(&x);
        assert!((found - x.rms_norm([4], None::<Tensor>, 0.0)).abs().max().double_value(&[]) < 1e-6);
    }
}
