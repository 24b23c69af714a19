//! Weights rounded to whole numbers: how it is done, and how they lie in a file.
//!
//! | bits | tensors of a matrix [rows, columns] |
//! | --- | --- |
//! | 8 | `NAME.weight` I8 [rows, columns]; `NAME.weight_scale` BF16 [rows] |
//! | 4 | `NAME.weight` U8 [rows, columns / 2], of two columns the even one in the low half; `NAME.weight_scale` and `NAME.weight_middle` BF16 [rows, columns / 32] |
//!
//! `quantization_config` in `config.json` says how many bits; matrices that cannot be of 4 have 8.

use crate::decoder::weights::{Weights, WeightsError};
use tch::{Kind, TchError, Tensor};

/// Weights of a row that share a scale, in 4 bits.
pub(crate) const GROUP: usize = 32;
/// [`GROUP`] as sizes of tensors are counted.
const COLUMNS: i64 = GROUP as i64;
/// libtorch's 4-bit kernel wants whole blocks of rows. So a file means the same on every processor.
const ROWS: i64 = 16;
/// Of a row or group of zeros, whose scale must not be zero.
const TINY: f64 = 1e-30;

/// A matrix [rows, columns] of whole numbers.
pub(crate) enum Rounded {
    /// w ≈ steps · scale, of each row. Steps from -127 to 127.
    Eight { steps: Tensor, scales: Tensor },
    /// w ≈ (steps − 8) · scale + middle, of each [`GROUP`] columns of a row. Steps from 0 to 15.
    Four { steps: Tensor, scales: Tensor, middles: Tensor },
}

impl Rounded {
    /// `weight`: [rows, columns], 32-bit. In 4 bits if that is wanted and the matrix can.
    pub fn of(weight: &Tensor, four: bool) -> Result<Self, TchError> {
        if four && can_be_four(&weight.size()) { Self::four(weight) } else { Self::eight(weight) }
    }

    /// A row's scale is its largest weight, over the 127 steps to each side.
    fn eight(weight: &Tensor) -> Result<Self, TchError> {
        let scales = weight.f_abs()?.f_amax([1], true)? / 127.0;
        // In 16 bits first, so that weights are rounded to what they will be.
        let scales = scales.f_to_kind(Kind::BFloat16)?.f_clamp_min(TINY)?;
        let steps = (weight / scales.f_to_kind(Kind::Float)?).f_round()?.f_clamp(-127, 127)?;
        Ok(Self::Eight { steps: steps.f_to_kind(Kind::Int8)?, scales: scales.f_flatten(0, -1)? })
    }

    /// A group's 16 steps go from its smallest weight to its largest.
    fn four(weight: &Tensor) -> Result<Self, TchError> {
        let (rows, columns) = (weight.size()[0], weight.size()[1]);
        let groups = weight.f_reshape([rows, columns / COLUMNS, COLUMNS])?;
        let (low, high) = (groups.f_amin([2], true)?, groups.f_amax([2], true)?);
        let half = |t: Tensor| t.f_to_kind(Kind::BFloat16);
        let scales = half((&high - &low) / 15.0)?.f_clamp_min(TINY)?;
        let middles = half(low + scales.f_to_kind(Kind::Float)? * 8.0)?;
        let steps = (groups - middles.f_to_kind(Kind::Float)?) / scales.f_to_kind(Kind::Float)? + 8.0;
        let steps = steps.f_round()?.f_clamp(0, 15)?.f_to_kind(Kind::Uint8)?.f_reshape([rows, columns])?;
        Ok(Self::Four { steps, scales: scales.f_squeeze_dim(2)?, middles: middles.f_squeeze_dim(2)? })
    }

    /// Rows of several, of the same bits.
    pub fn joined(parts: &[Self]) -> Result<Self, TchError> {
        let cat = |of: fn(&Self) -> &Tensor| Tensor::f_cat(&parts.iter().map(of).collect::<Vec<_>>(), 0);
        let (steps, scales) = (cat(Self::steps)?, cat(Self::scales)?);
        Ok(match &parts[0] {
            Self::Eight { .. } => Self::Eight { steps, scales },
            Self::Four { .. } => {
                let middles = cat(|p| if let Self::Four { middles, .. } = p { middles } else { p.scales() })?;
                Self::Four { steps, scales, middles }
            }
        })
    }

    pub fn steps(&self) -> &Tensor {
        let (Self::Eight { steps, .. } | Self::Four { steps, .. }) = self;
        steps
    }

    fn scales(&self) -> &Tensor {
        let (Self::Eight { scales, .. } | Self::Four { scales, .. }) = self;
        scales
    }

    /// The weights that it stands for, 32-bit.
    pub fn weights(&self) -> Result<Tensor, TchError> {
        let float = |t: &Tensor| t.f_to_kind(Kind::Float);
        match self {
            Self::Eight { steps, scales } => Ok(float(steps)? * float(scales)?.f_unsqueeze(1)?),
            Self::Four { steps, scales, middles } => {
                let groups = (float(steps)? - 8.0).f_view([steps.size()[0], -1, COLUMNS])?;
                let weights = groups * float(scales)?.f_unsqueeze(2)? + float(middles)?.f_unsqueeze(2)?;
                weights.f_view(&steps.size()[..])
            }
        }
    }

    /// As tensors of a file.
    pub fn into_tensors(self, name: &str) -> Result<Vec<(String, Tensor)>, TchError> {
        let named = |what: &str, tensor| (format!("{name}.{what}"), tensor);
        Ok(match self {
            Self::Eight { steps, scales } => vec![named("weight", steps), named("weight_scale", scales)],
            Self::Four { steps, scales, middles } => {
                let pairs = steps.f_view([steps.size()[0], -1, 2])?;
                let packed = pairs.f_select(2, 0)? + pairs.f_select(2, 1)? * 16;
                vec![named("weight", packed), named("weight_scale", scales), named("weight_middle", middles)]
            }
        })
    }

    /// Out of a file that was written so; `None` where the matrix is of plain numbers.
    pub fn take(w: &mut Weights, name: &str, rows: i64, columns: i64) -> Result<Option<Self>, WeightsError> {
        let (weight, scale, middle) =
            (format!("{name}.weight"), format!("{name}.weight_scale"), format!("{name}.weight_middle"));
        Ok(match w.kind(&weight) {
            Some(Kind::Int8) => {
                let scales = w.take(&scale, &[rows])?.f_to_kind(Kind::BFloat16)?;
                Some(Self::Eight { steps: w.take_raw(&weight, &[rows, columns])?, scales })
            }
            Some(Kind::Uint8) if can_be_four(&[rows, columns]) => {
                let packed = w.take_raw(&weight, &[rows, columns / 2])?;
                let halves = [packed.f_bitwise_and(15)?, packed.f_bitwise_right_shift_tensor_scalar(4)?];
                let steps = Tensor::f_stack(&halves, 2)?.f_view([rows, columns])?;
                let groups = [rows, columns / COLUMNS];
                let mut half = |name: &str| Ok::<_, WeightsError>(w.take(name, &groups)?.f_to_kind(Kind::BFloat16)?);
                Some(Self::Four { steps, scales: half(&scale)?, middles: half(&middle)? })
            }
            _ => None,
        })
    }
}

fn can_be_four(size: &[i64]) -> bool {
    size[0] % ROWS == 0 && size[1] % COLUMNS == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::tensor_slices::waves;
    use std::collections::BTreeMap;

    #[test]
    fn weights_are_off_by_half_a_step_at_most() {
        for four in [false, true] {
            let weight = waves(&[48, 64], 0.7);
            let off = (Rounded::of(&weight, four).unwrap().weights().unwrap() - &weight).abs().max().double_value(&[]);
            // The largest weight is 1; scale and middle are of 8 bits.
            let step = if four { 2.0 / 15.0 } else { 1.0 / 127.0 };
            assert!(off > step / 8.0 && off < step * 0.6, "{four}: {off}");
        }
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        for (rows, four) in [(48, false), (48, true), (5, true)] {
            let parts: Vec<_> = (0..2).map(|_| Rounded::of(&waves(&[rows, 64], 0.7), four).unwrap()).collect();
            let joined = Rounded::joined(&parts).unwrap();
            let weights = joined.weights().unwrap();
            assert_eq!(weights.size(), [2 * rows, 64]);
            let tensors: BTreeMap<_, _> = joined.into_tensors("m").unwrap().into_iter().collect();
            let mut file = Weights::from_tensors(tensors, "test");
            let read = Rounded::take(&mut file, "m", 2 * rows, 64).unwrap().unwrap();
            file.finish().unwrap();
            assert_eq!(read.weights().unwrap(), weights);
            assert_eq!(matches!(read, Rounded::Four { .. }), rows == 48 && four);
        }
    }

    #[test]
    fn four_bits_of_a_matrix_that_has_no_whole_groups_are_told() {
        let whole = Tensor::zeros([48, 20], (Kind::Uint8, tch::Device::Cpu));
        let mut file = Weights::from_tensors([("m.weight".to_string(), whole)].into_iter().collect(), "test");
        assert!(Rounded::take(&mut file, "m", 48, 40).unwrap().is_none());
        assert!(file.take("m.weight", &[48, 40]).is_err());
    }

    #[test]
    fn a_matrix_of_another_shape_is_told() {
        let tensors = Rounded::of(&waves(&[48, 64], 0.7), true).unwrap().into_tensors("m").unwrap();
        let mut file = Weights::from_tensors(tensors.into_iter().collect(), "test");
        let e = Rounded::take(&mut file, "m", 48, 128).err().unwrap().to_string();
        assert!(e.contains("m.weight") && e.contains("64"), "{e}");
    }
}
