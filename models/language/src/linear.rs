//! Matrices of a model in the numbers it computes with: 32-bit, bfloat16, or whole numbers of 8 or 4 bits that are made
//! at load and read by libtorch's own kernels. A kernel's order of the numbers in memory is its own.
//!
//! Weights alone are quantised; activations are bfloat16 then, as the kernels ask. Of 8 bits, each row has a scale:
//! w ≈ q · s. Of 4 bits, each [`GROUP`] weights of a row have a scale and a middle: w ≈ (q − 8) · s + z.

use crate::weights::{Weights, WeightsError};
use std::{fmt, sync::LazyLock};
use tch::{CModule, Device, Kind, TchError, Tensor};

/// In which numbers a model computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    #[default]
    F32,
    Bf16,
    /// Weights of 8 bits.
    Int8,
    /// Weights of 4 bits; the output matrix, and matrices whose rows are not whole groups, of 8.
    Int4,
}

impl Precision {
    /// Of activations, norms, and the cache.
    pub fn kind(self) -> Kind {
        if self == Self::F32 { Kind::Float } else { Kind::BFloat16 }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
            Self::Int4 => "int4",
        })
    }
}

/// What a model is put together for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// To be trained, in 32 bits: the tensors themselves, so that gradients reach them.
    Trained,
    /// To be run: copies, in the order that is read fastest.
    Run(Precision),
}

impl Form {
    pub fn kind(self) -> Kind {
        match self {
            Self::Trained => Kind::Float,
            Self::Run(precision) => precision.kind(),
        }
    }
}

/// Weights of a row that share a scale, in 4 bits.
pub const GROUP: i64 = 32;
/// The 4-bit kernel wants whole blocks of rows.
const INT4_ROWS: i64 = 16;
/// How many tiles of columns the 4-bit kernel packs together; on the processor it has no meaning but is asked for.
const INT4_TILES: i64 = 1;

/// Matrices of fewer numbers are not packed: calling the packed product takes longer than it saves.
const PACKED: i64 = 1 << 19;

/// The product of oneDNN whose matrices are put in its own order once (`packed.py`): of one token it is twice as fast as
/// libtorch's plain one. `None` where this libtorch has no oneDNN.
static PACKED_PRODUCT: LazyLock<Option<CModule>> = LazyLock::new(|| {
    // Else its first calls would be traced and compiled anew.
    tch::jit::f_set_profiling_mode(false).ok()?;
    CModule::load_data(&mut &include_bytes!("packed.pt")[..]).ok()
});

enum Matrix {
    Packed(&'static CModule, Tensor),
    /// [columns, rows], each row of memory one input: at one token, libtorch reads this order faster than the other.
    Turned(Tensor),
    /// [rows, columns].
    Plain(Tensor),
    Int8 {
        weight: Tensor,
        scales: Tensor,
    },
    Int4 {
        weight: Tensor,
        scales: Tensor,
    },
}

/// y = W x + b.
pub struct Linear {
    matrix: Matrix,
    bias: Option<Tensor>,
    rows: i64,
    columns: i64,
}

impl Linear {
    /// One matrix of the rows of several, `(name, rows)` each: what reads the same x is computed in one go.
    pub(crate) fn load(
        w: &mut Weights,
        parts: &[(String, i64)],
        columns: i64,
        biased: bool,
        form: Form,
    ) -> Result<Self, WeightsError> {
        let (mut weights, mut biases) = (Vec::new(), Vec::new());
        for (name, rows) in parts {
            weights.push(w.take(&format!("{name}.weight"), &[*rows, columns])?);
            if biased {
                biases.push(w.take(&format!("{name}.bias"), &[*rows])?);
            }
        }
        let joined = |mut all: Vec<Tensor>| if all.len() == 1 { Ok(all.remove(0)) } else { Tensor::f_cat(&all, 0) };
        let bias = if biased { Some(joined(biases)?.f_to_kind(form.kind())?) } else { None };
        Ok(Self::new(&joined(weights)?, bias, form)?)
    }

    /// `weight`: [rows, columns], 32-bit.
    pub(crate) fn new(weight: &Tensor, bias: Option<Tensor>, form: Form) -> Result<Self, TchError> {
        let (rows, columns) = (weight.size()[0], weight.size()[1]);
        let precision = match form {
            Form::Trained => {
                return Ok(Self { matrix: Matrix::Plain(weight.shallow_clone()), bias, rows, columns });
            }
            Form::Run(precision) => precision,
        };
        let packed = match precision {
            Precision::F32 | Precision::Bf16 => pack(weight, precision.kind())?,
            Precision::Int8 | Precision::Int4 => None,
        };
        if let Some(matrix) = packed {
            return Ok(Self { matrix, bias, rows, columns });
        }
        let matrix = match precision {
            Precision::F32 => Matrix::Turned(weight.f_tr()?.f_contiguous()?),
            Precision::Bf16 => Matrix::Plain(weight.f_to_kind(Kind::BFloat16)?),
            Precision::Int4 if rows % INT4_ROWS == 0 && columns % GROUP == 0 => int4(weight)?,
            Precision::Int8 | Precision::Int4 => int8(weight)?,
        };
        Ok(Self { matrix, bias, rows, columns })
    }

    /// x: [.., columns] → [.., rows].
    pub(crate) fn forward(&self, x: &Tensor) -> Tensor {
        let y = match &self.matrix {
            Matrix::Plain(weight) => return x.linear(weight, self.bias.as_ref()),
            // As the operators of tch: what fails here is a mistake in this file.
            Matrix::Packed(product, weight) => product.forward_ts(&[x, weight]).unwrap_or_else(|e| panic!("{e}")),
            Matrix::Turned(weight) => x.matmul(weight),
            Matrix::Int8 { weight, scales } => self.flat(x, |x| x.internal_weight_int8pack_mm(weight, scales)),
            Matrix::Int4 { weight, scales } => {
                self.flat(x, |x| x.internal_weight_int4pack_mm_for_cpu(weight, GROUP, scales))
            }
        };
        if let Some(bias) = &self.bias { y + bias } else { y }
    }

    /// The kernels of whole numbers know matrices alone.
    fn flat(&self, x: &Tensor, kernel: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
        let mut shape = x.size();
        let y = kernel(&x.reshape([-1, self.columns]));
        if let Some(last) = shape.last_mut() {
            *last = self.rows;
        }
        y.view(&shape[..])
    }

    /// Whether the matrix can give its rows back, as the embedding of tokens does where it is the output matrix too.
    pub(crate) fn has_rows(&self) -> bool {
        matches!(self.matrix, Matrix::Plain(_) | Matrix::Turned(_))
    }

    /// Rows by their index. Of [`Linear::has_rows`] alone; quantised rows are not given back.
    pub(crate) fn rows_of(&self, rows: &Tensor) -> Tensor {
        match &self.matrix {
            Matrix::Turned(weight) => {
                let shape = [rows.size(), vec![self.columns]].concat();
                weight.index_select(1, &rows.flatten(0, -1)).tr().contiguous().view(&shape[..])
            }
            Matrix::Plain(weight)
            | Matrix::Packed(_, weight)
            | Matrix::Int8 { weight, .. }
            | Matrix::Int4 { weight, .. } => Tensor::embedding(weight, rows, -1, false, false),
        }
    }

    /// Bytes that one product reads.
    pub(crate) fn bytes(&self) -> usize {
        let of = |t: &Tensor| t.numel() * t.kind().elt_size_in_bytes();
        match &self.matrix {
            Matrix::Turned(weight) | Matrix::Plain(weight) | Matrix::Packed(_, weight) => of(weight),
            Matrix::Int8 { weight, scales } => of(weight) + of(scales),
            Matrix::Int4 { scales, .. } => (self.rows * self.columns / 2) as usize + of(scales),
        }
    }
}

/// `None` where the packed product would not help or is not there.
fn pack(weight: &Tensor, kind: Kind) -> Result<Option<Matrix>, TchError> {
    if (weight.numel() as i64) < PACKED || weight.device() != Device::Cpu {
        return Ok(None);
    }
    let Some(product) = &*PACKED_PRODUCT else { return Ok(None) };
    let packed = product.method_ts("pack", &[weight.f_to_kind(kind)?]);
    Ok(packed.ok().map(|weight| Matrix::Packed(product, weight)))
}

/// A row's scale is its largest weight, over the 127 steps to each side.
fn int8(weight: &Tensor) -> Result<Matrix, TchError> {
    let scales = weight.f_abs()?.f_amax([1], true)? / 127.0;
    // As the kernel will read them, so that weights are rounded to what they will be.
    let scales = scales.f_to_kind(Kind::BFloat16)?.f_clamp_min(TINY)?;
    let steps = (weight / scales.f_to_kind(Kind::Float)?).f_round()?.f_clamp(-127, 127)?;
    Ok(Matrix::Int8 { weight: steps.f_to_kind(Kind::Int8)?, scales: scales.f_flatten(0, -1)? })
}

/// A group's 16 steps go from its smallest weight to its largest.
fn int4(weight: &Tensor) -> Result<Matrix, TchError> {
    let (rows, columns) = (weight.size()[0], weight.size()[1]);
    let groups = weight.f_reshape([rows, columns / GROUP, GROUP])?;
    let (low, high) = (groups.f_amin([2], true)?, groups.f_amax([2], true)?);
    let half = |t: Tensor| t.f_to_kind(Kind::BFloat16);
    let scales = half((&high - &low) / 15.0)?.f_clamp_min(TINY)?;
    let middles = half(low + scales.f_to_kind(Kind::Float)? * 8.0)?;
    let steps = (groups - middles.f_to_kind(Kind::Float)?) / scales.f_to_kind(Kind::Float)? + 8.0;
    let steps = steps.f_round()?.f_clamp(0, 15)?.f_to_kind(Kind::Int)?.f_reshape([rows, columns])?;
    // [groups, rows, scale and middle].
    let scales = Tensor::f_cat(&[scales, middles], 2)?.f_transpose(0, 1)?.f_contiguous()?;
    Ok(Matrix::Int4 { weight: steps.f_internal_convert_weight_to_int4pack_for_cpu(INT4_TILES)?, scales })
}

/// Of a row or group of zeros, whose scale must not be zero.
const TINY: f64 = 1e-30;

#[cfg(test)]
mod tests {
    use super::*;

    /// How far y is from W x + b computed in 32 bits, of the largest y. What rounded weights do to it is for
    /// tests/parity.rs to say.
    fn off(rows: i64, columns: i64, precision: Precision, tokens: i64) -> (f64, Linear) {
        let options = (Kind::Float, Device::Cpu);
        let number = |shape: [i64; 2], step: f64| {
            (Tensor::arange(shape[0] * shape[1], options) * step)
                .sin()
                .view(shape)
                .to_kind(Kind::BFloat16)
                .to_kind(Kind::Float)
        };
        let (weight, x, bias) = (number([rows, columns], 0.7), number([tokens, columns], 1.3), number([1, rows], 0.1));
        let bias = bias.flatten(0, -1);
        let expected = x.linear(&weight, Some(&bias));
        let form = Form::Run(precision);
        let linear = Linear::new(&weight, Some(bias.to_kind(precision.kind())), form).unwrap();
        let found = linear.forward(&x.to_kind(precision.kind())).to_kind(Kind::Float);
        assert_eq!(found.size(), expected.size());
        ((found - &expected).abs().max().double_value(&[]) / expected.abs().max().double_value(&[]), linear)
    }

    #[test]
    fn products_are_those_of_the_matrix_in_every_order_of_memory() {
        let _no_gradients = tch::no_grad_guard();
        for (rows, columns) in [(48, 64), (1040, 1024)] {
            for (precision, bound) in [(Precision::F32, 1e-5), (Precision::Bf16, 0.01)] {
                for tokens in [1, 2, 33] {
                    let (off, linear) = off(rows, columns, precision, tokens);
                    assert!(off < bound, "{rows} × {columns}, {precision}, {tokens} tokens: off by {off}");
                    let packed = matches!(linear.matrix, Matrix::Packed(..));
                    assert_eq!(packed, rows > 1000);
                }
            }
        }
    }

    #[test]
    fn a_matrix_of_zeros_stays_one() {
        let zeros = Tensor::zeros([32, 64], (Kind::Float, Device::Cpu));
        let x = Tensor::ones([2, 64], (Kind::BFloat16, Device::Cpu));
        for precision in [Precision::Int8, Precision::Int4] {
            let y = Linear::new(&zeros, None, Form::Run(precision)).unwrap().forward(&x);
            assert_eq!(y.abs().max().double_value(&[]), 0.0, "{precision}");
        }
    }
}
