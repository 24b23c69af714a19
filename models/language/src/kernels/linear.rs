//! Matrices of a model in the numbers it computes with: 32-bit, bfloat16, or whole numbers of 8 or 4 bits. A kernel's order
//! of the numbers in memory is its own.
//!
//! Weights alone are quantised ([`rounded`](crate::kernels::quantized)); activations are of 32 bits then. Kernels are ours where the
//! processor has AVX-512 ([`tiled`](crate::kernels::tiled)), else libtorch's.

use crate::{
    decoder::weights::{Weights, WeightsError},
    kernels::{
        quantized::{GROUP, Rounded},
        tiled::{self, Tiled},
    },
};
use std::fmt;
use tch::{Device, Kind, TchError, Tensor};

/// In which numbers a model computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Weights of 32 bits.
    #[default]
    F32,
    /// Weights of 16 bits; on the graphics processor activations too.
    Bf16,
    /// Weights of 8 bits.
    Int8,
    /// Weights of 4 bits; the output matrix, and matrices whose rows are not whole groups, of 8.
    Int4,
}

impl Precision {
    /// Of activations, norms, and the cache. On the processor 16 bits would make nothing faster there.
    pub fn kind(self, device: Device) -> Kind {
        if self == Self::Bf16 && device != Device::Cpu { Kind::BFloat16 } else { Kind::Float }
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
    /// Of activations.
    pub fn kind(self, device: Device) -> Kind {
        match self {
            Self::Trained => Kind::Float,
            Self::Run(precision) => precision.kind(device),
        }
    }

    /// Of matrices that are not rounded to whole numbers, and of the embedding.
    pub fn weight_kind(self) -> Kind {
        if matches!(self, Self::Trained | Self::Run(Precision::F32)) { Kind::Float } else { Kind::BFloat16 }
    }
}

/// How many tiles of columns libtorch's 4-bit kernel packs together; on the processor it has no meaning but is asked for.
const INT4_TILES: i64 = 1;

enum Matrix {
    Tiled(Tiled),
    /// [rows, columns].
    Plain(Tensor),
    /// [columns, rows], each row of memory one input: at one token, libtorch reads this order faster than the other.
    Turned(Tensor),
    /// Libtorch's, of 8 and 4 bits.
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
        let (mut weights, mut rounded, mut biases) = (Vec::new(), Vec::new(), Vec::new());
        let whole_numbers = matches!(form, Form::Run(Precision::Int8 | Precision::Int4));
        for (name, rows) in parts {
            let part = if whole_numbers { Rounded::take(w, name, *rows, columns)? } else { None };
            match part {
                Some(part) => rounded.push(part),
                None => weights.push(w.take(&format!("{name}.weight"), &[*rows, columns])?),
            }
            if biased {
                biases.push(w.take(&format!("{name}.bias"), &[*rows])?);
            }
        }
        let joined = |mut all: Vec<Tensor>| if all.len() == 1 { Ok(all.remove(0)) } else { Tensor::f_cat(&all, 0) };
        let bias = if biased { Some(joined(biases)?) } else { None };
        let bias = bias.map(|b| b.f_to_kind(form.kind(b.device()))).transpose()?;
        if rounded.is_empty() {
            return Ok(Self::new(&joined(weights)?, bias, form)?);
        }
        if !weights.is_empty() {
            return Err(w.mixed(&parts[0].0));
        }
        let rounded = Rounded::joined(&rounded)?;
        let rows = parts.iter().map(|(_, rows)| rows).sum();
        Ok(Self { matrix: whole(rounded)?, bias, rows, columns })
    }

    /// `weight`: [rows, columns], 32-bit.
    pub(crate) fn new(weight: &Tensor, bias: Option<Tensor>, form: Form) -> Result<Self, TchError> {
        let (rows, columns) = (weight.size()[0], weight.size()[1]);
        let tiled = tiled::supported() && weight.device() == Device::Cpu;
        let matrix = match form {
            Form::Trained => Matrix::Plain(weight.shallow_clone()),
            Form::Run(Precision::Int8) => whole(Rounded::of(weight, false)?)?,
            Form::Run(Precision::Int4) => whole(Rounded::of(weight, true)?)?,
            Form::Run(_) if tiled => Matrix::Tiled(Tiled::new(&weight.f_to_kind(form.weight_kind())?)?),
            Form::Run(_) => plain(weight, form)?,
        };
        Ok(Self { matrix, bias, rows, columns })
    }

    /// x: [.., columns] → [.., rows].
    pub(crate) fn forward(&self, x: &Tensor) -> Tensor {
        let y = match &self.matrix {
            Matrix::Plain(weight) if weight.kind() == x.kind() => return x.linear(weight, self.bias.as_ref()),
            Matrix::Plain(weight) => self.flat(x, weight.kind(), |x| x.linear(weight, None::<&Tensor>)),
            Matrix::Turned(weight) => x.matmul(weight),
            // As the operators of tch: what fails here is a mistake in this crate.
            Matrix::Tiled(matrix) => self.flat(x, Kind::Float, |x| matrix.product(x).unwrap_or_else(|e| panic!("{e}"))),
            Matrix::Int8 { weight, scales } => {
                self.flat(x, Kind::BFloat16, |x| x.internal_weight_int8pack_mm(weight, scales))
            }
            Matrix::Int4 { weight, scales } => {
                self.flat(x, Kind::BFloat16, |x| x.internal_weight_int4pack_mm_for_cpu(weight, GROUP as i64, scales))
            }
        };
        if let Some(bias) = &self.bias { y + bias } else { y }
    }

    /// By a kernel that knows matrices alone, of this kind.
    fn flat(&self, x: &Tensor, kind: Kind, kernel: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
        let mut shape = x.size();
        let y = kernel(&x.reshape([-1, self.columns]).to_kind(kind)).to_kind(x.kind());
        if let Some(last) = shape.last_mut() {
            *last = self.rows;
        }
        y.view(&shape[..])
    }

    /// Whether the matrix can give its rows back, as the embedding of tokens does where it is the output matrix too.
    pub(crate) fn has_rows(&self) -> bool {
        match &self.matrix {
            Matrix::Tiled(matrix) => matrix.has_rows(),
            Matrix::Plain(_) | Matrix::Turned(_) => true,
            Matrix::Int8 { .. } | Matrix::Int4 { .. } => false,
        }
    }

    /// Rows by their index. Of [`Linear::has_rows`] alone.
    pub(crate) fn rows_of(&self, rows: &Tensor) -> Tensor {
        let shape = [rows.size(), vec![self.columns]].concat();
        let flat = rows.flatten(0, -1);
        match &self.matrix {
            Matrix::Tiled(matrix) => matrix.rows_of(&flat).unwrap_or_else(|e| panic!("{e}")),
            Matrix::Turned(weight) => weight.index_select(1, &flat).tr().contiguous(),
            Matrix::Plain(weight) => Tensor::embedding(weight, &flat, -1, false, false),
            Matrix::Int8 { .. } | Matrix::Int4 { .. } => unreachable!("a matrix whose rows are not given back"),
        }
        .view(&shape[..])
    }

    /// Bytes that one product reads.
    pub(crate) fn bytes(&self) -> usize {
        let of = |t: &Tensor| t.numel() * t.kind().elt_size_in_bytes();
        match &self.matrix {
            Matrix::Turned(weight) | Matrix::Plain(weight) => of(weight),
            Matrix::Tiled(matrix) => matrix.bytes(),
            Matrix::Int8 { weight, scales } => of(weight) + of(scales),
            Matrix::Int4 { scales, .. } => (self.rows * self.columns / 2) as usize + of(scales),
        }
    }
}

/// Ours where the processor can, else libtorch's.
fn whole(rounded: Rounded) -> Result<Matrix, TchError> {
    if tiled::supported() { Ok(Matrix::Tiled(Tiled::rounded(&rounded)?)) } else { whole_of_libtorch(rounded) }
}

fn plain(weight: &Tensor, form: Form) -> Result<Matrix, TchError> {
    Ok(match form {
        Form::Run(Precision::F32) => Matrix::Turned(weight.f_tr()?.f_contiguous()?),
        _ => Matrix::Plain(weight.f_to_kind(form.weight_kind())?),
    })
}

fn whole_of_libtorch(rounded: Rounded) -> Result<Matrix, TchError> {
    Ok(match rounded {
        Rounded::Eight { steps, scales } => Matrix::Int8 { weight: steps, scales },
        Rounded::Four { steps, scales, middles } => {
            // [groups, rows, scale and middle].
            let scales = Tensor::f_stack(&[scales, middles], 2)?.f_transpose(0, 1)?.f_contiguous()?;
            let steps = steps.f_to_kind(Kind::Int)?;
            Matrix::Int4 { weight: steps.f_internal_convert_weight_to_int4pack_for_cpu(INT4_TILES)?, scales }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::tensor_slices::waves;

    /// How far y is from W x + b computed in 32 bits, of the largest y. What rounded weights do to it is for
    /// tests/parity.rs to say.
    fn off(rows: i64, columns: i64, precision: Precision, tokens: i64) -> f64 {
        let number = |shape: &[i64], step| waves(shape, step).to_kind(Kind::BFloat16).to_kind(Kind::Float);
        let (weight, x, bias) = (number(&[rows, columns], 0.7), number(&[tokens, columns], 1.3), number(&[rows], 0.1));
        let expected = x.linear(&weight, Some(&bias));
        let form = Form::Run(precision);
        let linear = Linear::new(&weight, Some(bias), form).unwrap();
        let found = linear.forward(&x);
        assert_eq!(found.size(), expected.size());
        (found - &expected).abs().max().double_value(&[]) / expected.abs().max().double_value(&[])
    }

    #[test]
    fn products_are_those_of_the_matrix_in_every_order_of_memory() {
        let _no_gradients = tch::no_grad_guard();
        for (rows, columns) in [(48, 64), (1040, 1024)] {
            for (precision, bound) in [(Precision::F32, 1e-5), (Precision::Bf16, 0.01)] {
                for tokens in [1, 2, 33] {
                    let off = off(rows, columns, precision, tokens);
                    assert!(off < bound, "{rows} × {columns}, {precision}, {tokens} tokens: off by {off}");
                }
            }
        }
    }

    #[test]
    fn libtorchs_kernels_give_the_same_where_ours_cannot_run() {
        let _no_gradients = tch::no_grad_guard();
        let (weight, x) = (waves(&[48, 64], 0.7), waves(&[3, 64], 1.3));
        let of = |matrix| Linear { matrix, bias: None, rows: 48, columns: 64 }.forward(&x);
        let rounded = |four| Rounded::of(&weight, four).unwrap();
        let form = Form::Run;
        for (name, found, weights) in [
            ("f32", plain(&weight, form(Precision::F32)).unwrap(), weight.copy()),
            ("bf16", plain(&weight, form(Precision::Bf16)).unwrap(), weight.copy()),
            ("int8", whole_of_libtorch(rounded(false)).unwrap(), rounded(false).weights().unwrap()),
            ("int4", whole_of_libtorch(rounded(true)).unwrap(), rounded(true).weights().unwrap()),
        ] {
            let expected = x.linear(&weights, None::<&Tensor>);
            let off = (of(found) - &expected).abs().max().double_value(&[]) / expected.abs().max().double_value(&[]);
            // But for the first, activations are rounded to 8 bits.
            assert!(off < if name == "f32" { 1e-5 } else { 0.02 }, "{name}: off by {off}");
        }
    }

    #[test]
    fn rows_are_given_back() {
        let weight = Tensor::arange(300 * 40, (Kind::Float, Device::Cpu)).view([300, 40]) / 64.0;
        let rows = Tensor::from_slice(&[0i64, 299, 128, 0]).view([2, 2]);
        for precision in [Precision::F32, Precision::Bf16] {
            let form = Form::Run(precision);
            let linear = Linear::new(&weight, None, form).unwrap();
            assert!(linear.has_rows());
            let expected =
                weight.to_kind(form.weight_kind()).to_kind(Kind::Float).index_select(0, &rows.flatten(0, -1));
            assert_eq!(linear.rows_of(&rows).to_kind(Kind::Float), expected.view([2, 2, 40]));
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
