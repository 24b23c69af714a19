//! Quantized weights: how they are computed, and which tensors of a file hold them.
//!
//! | bits | tensors of a matrix [rows, columns] |
//! | --- | --- |
//! | 8 | `NAME.weight` I8 [rows, columns]; `NAME.weight_scale` BF16 [rows] |
//! | 4 | `NAME.weight` U8 [rows, columns / 2], of two columns the even one in the low half; `NAME.weight_scale` and `NAME.weight_zero_point` BF16 [rows, columns / 32] |
//!
//! `quantization_config` in `config.json` has the number of bits; matrices that cannot have 4 have 8. Files of earlier
//! versions name the zero points `NAME.weight_middle`; they are read as well.

use crate::decoder::weights::{Weights, WeightsError};
use auriga_kernels::Matrix;
use tch::{Kind, TchError, Tensor};

/// Columns of a row that share a scale and a zero point, with codes of 4 bits.
pub(crate) const GROUP: i64 = Matrix::GROUP as i64;
/// libtorch's 4-bit kernel needs whole blocks of rows; the same rule everywhere gives a file the same meaning everywhere.
const ROWS: i64 = 16;
/// The smallest scale: that of a row or group of zeros must not be zero.
const SMALLEST_SCALE: f64 = 1e-30;

/// Bits of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bits {
    Eight,
    /// Where the matrix has whole groups; otherwise 8.
    Four,
}

/// A quantized matrix [rows, columns]. Scales and zero points are bfloat16.
pub(crate) enum Quantized {
    /// w ≈ code · scale; a scale for each row; codes from −127 to 127.
    Int8 { codes: Tensor, scales: Tensor },
    /// w ≈ (code − 8) · scale + zero point; both for each [`GROUP`] columns of a row; codes from 0 to 15.
    Int4 { codes: Tensor, scales: Tensor, zero_points: Tensor },
}

impl Quantized {
    /// Quantizes a weight [rows, columns], 32-bit.
    pub fn new(weight: &Tensor, bits: Bits) -> Result<Self, TchError> {
        if bits == Bits::Four && has_groups(&weight.size()) { Self::int4(weight) } else { Self::int8(weight) }
    }

    /// A row's scale is its largest absolute weight / 127.
    fn int8(weight: &Tensor) -> Result<Self, TchError> {
        let scales = weight.f_abs()?.f_amax([1], true)? / 127.0;
        // Rounded to 16 bits before the codes are computed with it, as it will be when they are decoded.
        let scales = scales.f_to_kind(Kind::BFloat16)?.f_clamp_min(SMALLEST_SCALE)?;
        let codes = (weight / scales.f_to_kind(Kind::Float)?).f_round()?.f_clamp(-127, 127)?;
        Ok(Self::Int8 { codes: codes.f_to_kind(Kind::Int8)?, scales: scales.f_flatten(0, -1)? })
    }

    /// A group's 16 codes cover the range from its smallest weight to its largest.
    fn int4(weight: &Tensor) -> Result<Self, TchError> {
        let (rows, columns) = (weight.size()[0], weight.size()[1]);
        let groups = weight.f_reshape([rows, columns / GROUP, GROUP])?;
        let (low, high) = (groups.f_amin([2], true)?, groups.f_amax([2], true)?);
        let half = |t: Tensor| t.f_to_kind(Kind::BFloat16);
        let scales = half((&high - &low) / 15.0)?.f_clamp_min(SMALLEST_SCALE)?;
        let zero_points = half(low + scales.f_to_kind(Kind::Float)? * 8.0)?;
        let codes = (groups - zero_points.f_to_kind(Kind::Float)?) / scales.f_to_kind(Kind::Float)? + 8.0;
        let codes = codes.f_round()?.f_clamp(0, 15)?.f_to_kind(Kind::Uint8)?.f_reshape([rows, columns])?;
        Ok(Self::Int4 { codes, scales: scales.f_squeeze_dim(2)?, zero_points: zero_points.f_squeeze_dim(2)? })
    }

    /// The rows of several matrices of the same bits, one after another.
    pub fn concat(parts: &[Self]) -> Result<Self, TchError> {
        let cat = |of: fn(&Self) -> &Tensor| Tensor::f_cat(&parts.iter().map(of).collect::<Vec<_>>(), 0);
        let (codes, scales) = (cat(Self::codes)?, cat(Self::scales)?);
        Ok(match &parts[0] {
            Self::Int8 { .. } => Self::Int8 { codes, scales },
            Self::Int4 { .. } => {
                let zero_points =
                    cat(|p| if let Self::Int4 { zero_points, .. } = p { zero_points } else { p.scales() })?;
                Self::Int4 { codes, scales, zero_points }
            }
        })
    }

    /// [rows, columns].
    pub fn codes(&self) -> &Tensor {
        let (Self::Int8 { codes, .. } | Self::Int4 { codes, .. }) = self;
        codes
    }

    fn scales(&self) -> &Tensor {
        let (Self::Int8 { scales, .. } | Self::Int4 { scales, .. }) = self;
        scales
    }

    /// The weights that the codes stand for, 32-bit.
    pub fn dequantize(&self) -> Result<Tensor, TchError> {
        let float = |t: &Tensor| t.f_to_kind(Kind::Float);
        match self {
            Self::Int8 { codes, scales } => Ok(float(codes)? * float(scales)?.f_unsqueeze(1)?),
            Self::Int4 { codes, scales, zero_points } => {
                let groups = (float(codes)? - 8.0).f_view([codes.size()[0], -1, GROUP])?;
                let weights = groups * float(scales)?.f_unsqueeze(2)? + float(zero_points)?.f_unsqueeze(2)?;
                weights.f_view(&codes.size()[..])
            }
        }
    }

    /// The tensors of a file, by name.
    pub fn into_tensors(self, name: &str) -> Result<Vec<(String, Tensor)>, TchError> {
        let named = |what: &str, tensor| (format!("{name}.{what}"), tensor);
        Ok(match self {
            Self::Int8 { codes, scales } => vec![named("weight", codes), named("weight_scale", scales)],
            Self::Int4 { codes, scales, zero_points } => {
                let pairs = codes.f_view([codes.size()[0], -1, 2])?;
                let packed = pairs.f_select(2, 0)? + pairs.f_select(2, 1)? * 16;
                vec![named("weight", packed), named("weight_scale", scales), named("weight_zero_point", zero_points)]
            }
        })
    }

    /// Takes the tensors of a quantized matrix out of a file; `None` where the matrix is not quantized.
    pub fn take(w: &mut Weights, name: &str, rows: i64, columns: i64) -> Result<Option<Self>, WeightsError> {
        let tensor = |what: &str| format!("{name}.{what}");
        let (weight, scale) = (tensor("weight"), tensor("weight_scale"));
        Ok(match w.kind(&weight) {
            Some(Kind::Int8) => {
                let scales = w.take(&scale, &[rows])?.f_to_kind(Kind::BFloat16)?;
                Some(Self::Int8 { codes: w.take_raw(&weight, &[rows, columns])?, scales })
            }
            Some(Kind::Uint8) if has_groups(&[rows, columns]) => {
                let packed = w.take_raw(&weight, &[rows, columns / 2])?;
                let halves = [packed.f_bitwise_and(15)?, packed.f_bitwise_right_shift_tensor_scalar(4)?];
                let codes = Tensor::f_stack(&halves, 2)?.f_view([rows, columns])?;
                let earlier = tensor("weight_middle");
                let zero_point = if w.kind(&earlier).is_some() { earlier } else { tensor("weight_zero_point") };
                let groups = [rows, columns / GROUP];
                let mut half = |name: &str| Ok::<_, WeightsError>(w.take(name, &groups)?.f_to_kind(Kind::BFloat16)?);
                Some(Self::Int4 { codes, scales: half(&scale)?, zero_points: half(&zero_point)? })
            }
            _ => None,
        })
    }
}

/// Whether a matrix of this size can have codes of 4 bits.
fn has_groups(size: &[i64]) -> bool {
    size[0] % ROWS == 0 && size[1] % GROUP == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::tensor_slices::sine_tensor;
    use std::collections::BTreeMap;

    #[test]
    fn dequantized_weights_differ_by_half_a_step_at_most() {
        for bits in [Bits::Eight, Bits::Four] {
            let weight = sine_tensor(&[48, 64], 0.7);
            let dequantized = Quantized::new(&weight, bits).unwrap().dequantize().unwrap();
            let off = (dequantized - &weight).abs().max().double_value(&[]);
            // The largest weight is 1; the significands of scale and zero point have 8 bits.
            let step = if bits == Bits::Four { 2.0 / 15.0 } else { 1.0 / 127.0 };
            assert!(off > step / 8.0 && off < step * 0.6, "{bits:?}: {off}");
        }
    }

    #[test]
    fn tensors_are_read_back_as_they_were_written() {
        for (rows, bits) in [(48, Bits::Eight), (48, Bits::Four), (5, Bits::Four)] {
            let parts: Vec<_> = (0..2).map(|_| Quantized::new(&sine_tensor(&[rows, 64], 0.7), bits).unwrap()).collect();
            let joined = Quantized::concat(&parts).unwrap();
            let weights = joined.dequantize().unwrap();
            assert_eq!(weights.size(), [2 * rows, 64]);
            let tensors: BTreeMap<_, _> = joined.into_tensors("m").unwrap().into_iter().collect();
            let mut file = Weights::from_tensors(tensors, "test");
            let read = Quantized::take(&mut file, "m", 2 * rows, 64).unwrap().unwrap();
            file.finish().unwrap();
            assert_eq!(read.dequantize().unwrap(), weights);
            assert_eq!(matches!(read, Quantized::Int4 { .. }), rows == 48 && bits == Bits::Four);
        }
    }

    #[test]
    fn zero_points_are_read_by_their_earlier_name() {
        let quantized = Quantized::new(&sine_tensor(&[48, 64], 0.7), Bits::Four).unwrap();
        let weights = quantized.dequantize().unwrap();
        let earlier = |(name, tensor): (String, Tensor)| (name.replace("zero_point", "middle"), tensor);
        let tensors: BTreeMap<_, _> = quantized.into_tensors("m").unwrap().into_iter().map(earlier).collect();
        assert!(tensors.contains_key("m.weight_middle"));
        let mut file = Weights::from_tensors(tensors, "test");
        let read = Quantized::take(&mut file, "m", 48, 64).unwrap().unwrap();
        file.finish().unwrap();
        assert_eq!(read.dequantize().unwrap(), weights);
    }

    #[test]
    fn four_bit_codes_of_a_matrix_without_whole_groups_are_an_error() {
        let packed = Tensor::zeros([48, 20], (Kind::Uint8, tch::Device::Cpu));
        let mut file = Weights::from_tensors([("m.weight".to_string(), packed)].into_iter().collect(), "test");
        assert!(Quantized::take(&mut file, "m", 48, 40).unwrap().is_none());
        assert!(file.take("m.weight", &[48, 40]).is_err());
    }

    #[test]
    fn a_matrix_of_another_shape_is_an_error_with_its_name() {
        let tensors = Quantized::new(&sine_tensor(&[48, 64], 0.7), Bits::Four).unwrap().into_tensors("m").unwrap();
        let mut file = Weights::from_tensors(tensors.into_iter().collect(), "test");
        let e = Quantized::take(&mut file, "m", 48, 128).err().unwrap().to_string();
        assert!(e.contains("m.weight") && e.contains("64"), "{e}");
    }
}
