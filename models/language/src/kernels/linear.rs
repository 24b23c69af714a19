//! Linear layers, with weights in the format a model computes with: 32-bit, bfloat16, or codes of 8 or 4 bits. The order of
//! weights in memory is up to the kernels.
//!
//! Weights alone are quantized (`quantized.rs`); activations have 32 bits then. The kernels are those of
//! [`auriga_kernels`] where the processor has an instruction set for them, otherwise libtorch's ([`Backend`]).

use super::{
    backend::Backend,
    packed::Packed,
    quantized::{Bits, GROUP, Quantized},
};
use crate::decoder::weights::{Weights, WeightsError};
use std::fmt;
use tch::{Device, Kind, TchError, Tensor};

/// The number format of a model's weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32-bit floating-point numbers.
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
    /// The type of activations, norms and the cache. On the processor 16 bits would make nothing faster there.
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

/// How a layer keeps its weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WeightFormat {
    /// For training, in 32 bits: the tensors themselves, so that gradients reach them.
    Trained,
    /// For inference: copies, in the order that the kernels read fastest.
    Inference(Precision, Backend),
}

impl WeightFormat {
    /// The type of activations.
    pub fn kind(self, device: Device) -> Kind {
        match self {
            Self::Trained => Kind::Float,
            Self::Inference(precision, _) => precision.kind(device),
        }
    }

    /// The type of matrices that are not quantized, and of the embedding.
    pub fn weight_kind(self) -> Kind {
        let full = matches!(self, Self::Trained | Self::Inference(Precision::F32, _));
        if full { Kind::Float } else { Kind::BFloat16 }
    }
}

/// How many tiles of columns libtorch's 4-bit kernel packs together; on the processor the argument is required and ignored.
const INT4_TILES: i64 = 1;

enum Matrix {
    Packed(Packed),
    /// [rows, columns], for libtorch.
    Dense(Tensor),
    /// [columns, rows]: with one token, libtorch reads this order faster than the other.
    Transposed(Tensor),
    /// In the layouts of libtorch's kernels for 8 and 4 bits.
    Int8 {
        codes: Tensor,
        scales: Tensor,
    },
    Int4 {
        codes: Tensor,
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
    /// One matrix of the rows of several, `(name, rows)` each: layers that read the same x are computed together.
    pub(crate) fn load(
        w: &mut Weights,
        parts: &[(String, i64)],
        columns: i64,
        biased: bool,
        format: WeightFormat,
    ) -> Result<Self, WeightsError> {
        let (mut weights, mut quantized, mut biases) = (Vec::new(), Vec::new(), Vec::new());
        let codes = matches!(format, WeightFormat::Inference(Precision::Int8 | Precision::Int4, _));
        for (name, rows) in parts {
            let part = if codes { Quantized::take(w, name, *rows, columns)? } else { None };
            match part {
                Some(part) => quantized.push(part),
                None => weights.push(w.take(&format!("{name}.weight"), &[*rows, columns])?),
            }
            if biased {
                biases.push(w.take(&format!("{name}.bias"), &[*rows])?);
            }
        }
        let concat = |mut all: Vec<Tensor>| if all.len() == 1 { Ok(all.remove(0)) } else { Tensor::f_cat(&all, 0) };
        let bias = if biased { Some(concat(biases)?) } else { None };
        let bias = bias.map(|b| b.f_to_kind(format.kind(b.device()))).transpose()?;
        match format {
            WeightFormat::Inference(_, backend) if !quantized.is_empty() => {
                if !weights.is_empty() {
                    return Err(w.mixed(&parts[0].0));
                }
                let quantized = Quantized::concat(&quantized)?;
                let rows = parts.iter().map(|(_, rows)| rows).sum();
                Ok(Self { matrix: quantized_matrix(quantized, backend)?, bias, rows, columns })
            }
            _ => Ok(Self::new(&concat(weights)?, bias, format)?),
        }
    }

    /// `weight`: [rows, columns], 32-bit.
    pub(crate) fn new(weight: &Tensor, bias: Option<Tensor>, format: WeightFormat) -> Result<Self, TchError> {
        let (rows, columns) = (weight.size()[0], weight.size()[1]);
        let matrix = match format {
            WeightFormat::Trained => Matrix::Dense(weight.shallow_clone()),
            WeightFormat::Inference(Precision::Int8, backend) => {
                quantized_matrix(Quantized::new(weight, Bits::Eight)?, backend)?
            }
            WeightFormat::Inference(Precision::Int4, backend) => {
                quantized_matrix(Quantized::new(weight, Bits::Four)?, backend)?
            }
            WeightFormat::Inference(_, Backend::Packed(kernels)) if weight.device() == Device::Cpu => {
                Matrix::Packed(Packed::new(kernels, &weight.f_to_kind(format.weight_kind())?)?)
            }
            WeightFormat::Inference(Precision::F32, _) => Matrix::Transposed(weight.f_tr()?.f_contiguous()?),
            WeightFormat::Inference(Precision::Bf16, _) => Matrix::Dense(weight.f_to_kind(format.weight_kind())?),
        };
        Ok(Self { matrix, bias, rows, columns })
    }

    /// x: [.., columns] → [.., rows].
    pub(crate) fn forward(&self, x: &Tensor) -> Tensor {
        let y = match &self.matrix {
            Matrix::Dense(weight) if weight.kind() == x.kind() => return x.linear(weight, self.bias.as_ref()),
            Matrix::Dense(weight) => self.flat(x, weight.kind(), |x| x.linear(weight, None::<&Tensor>)),
            Matrix::Transposed(weight) => x.matmul(weight),
            // As the operators of tch do: an error here is a mistake in this crate.
            Matrix::Packed(matrix) => {
                self.flat(x, Kind::Float, |x| matrix.product(x).unwrap_or_else(|e| panic!("{e}")))
            }
            Matrix::Int8 { codes, scales } => {
                self.flat(x, Kind::BFloat16, |x| x.internal_weight_int8pack_mm(codes, scales))
            }
            Matrix::Int4 { codes, scales } => {
                self.flat(x, Kind::BFloat16, |x| x.internal_weight_int4pack_mm_for_cpu(codes, GROUP, scales))
            }
        };
        if let Some(bias) = &self.bias { y + bias } else { y }
    }

    /// Calls a kernel that takes a matrix of tokens, of this type.
    fn flat(&self, x: &Tensor, kind: Kind, kernel: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
        let mut shape = x.size();
        let y = kernel(&x.reshape([-1, self.columns]).to_kind(kind)).to_kind(x.kind());
        if let Some(last) = shape.last_mut() {
            *last = self.rows;
        }
        y.view(&shape[..])
    }

    /// Whether [`Linear::rows_of`] can return rows: not of quantized weights.
    pub(crate) fn has_rows(&self) -> bool {
        match &self.matrix {
            Matrix::Packed(matrix) => !matrix.is_quantized(),
            Matrix::Dense(_) | Matrix::Transposed(_) => true,
            Matrix::Int8 { .. } | Matrix::Int4 { .. } => false,
        }
    }

    /// Rows by their index, where [`Linear::has_rows`].
    pub(crate) fn rows_of(&self, rows: &Tensor) -> Tensor {
        let shape = [rows.size(), vec![self.columns]].concat();
        let flat = rows.flatten(0, -1);
        match &self.matrix {
            Matrix::Packed(matrix) => matrix.rows_of(&flat).unwrap_or_else(|e| panic!("{e}")),
            Matrix::Transposed(weight) => weight.index_select(1, &flat).tr().contiguous(),
            Matrix::Dense(weight) => Tensor::embedding(weight, &flat, -1, false, false),
            Matrix::Int8 { .. } | Matrix::Int4 { .. } => unreachable!("rows of quantized weights"),
        }
        .view(&shape[..])
    }

    /// Bytes that one product reads.
    pub(crate) fn bytes(&self) -> usize {
        let of = |t: &Tensor| t.numel() * t.kind().elt_size_in_bytes();
        match &self.matrix {
            Matrix::Transposed(weight) | Matrix::Dense(weight) => of(weight),
            Matrix::Packed(matrix) => matrix.bytes(),
            Matrix::Int8 { codes, scales } => of(codes) + of(scales),
            Matrix::Int4 { scales, .. } => (self.rows * self.columns / 2) as usize + of(scales),
        }
    }
}

fn quantized_matrix(quantized: Quantized, backend: Backend) -> Result<Matrix, TchError> {
    Ok(match (backend, quantized) {
        (Backend::Packed(kernels), quantized) => Matrix::Packed(Packed::quantized(kernels, &quantized)?),
        (Backend::Libtorch, Quantized::Int8 { codes, scales }) => Matrix::Int8 { codes, scales },
        (Backend::Libtorch, Quantized::Int4 { codes, scales, zero_points }) => {
            // [groups, rows, scale and zero point].
            let scales = Tensor::f_stack(&[scales, zero_points], 2)?.f_transpose(0, 1)?.f_contiguous()?;
            let codes = codes.f_to_kind(Kind::Int)?;
            Matrix::Int4 { codes: codes.f_internal_convert_weight_to_int4pack_for_cpu(INT4_TILES)?, scales }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::tensor_slices::sine_tensor;

    fn largest(x: &Tensor) -> f64 {
        x.abs().max().double_value(&[])
    }

    #[test]
    fn full_precision_products_match_libtorch_with_every_backend() {
        let _no_gradients = tch::no_grad_guard();
        let exact = |shape: &[i64], step| sine_tensor(shape, step).to_kind(Kind::BFloat16).to_kind(Kind::Float);
        for backend in Backend::available() {
            for (rows, columns) in [(48, 64), (1040, 1024)] {
                let (weight, bias) = (exact(&[rows, columns], 0.7), exact(&[rows], 0.1));
                for (precision, bound) in [(Precision::F32, 1e-5), (Precision::Bf16, 0.01)] {
                    let format = WeightFormat::Inference(precision, backend);
                    let linear = Linear::new(&weight, Some(bias.copy()), format).unwrap();
                    for tokens in [1, 2, 33] {
                        let x = exact(&[tokens, columns], 1.3);
                        let (found, expected) = (linear.forward(&x), x.linear(&weight, Some(&bias)));
                        assert_eq!(found.size(), expected.size());
                        let off = largest(&(found - &expected)) / largest(&expected);
                        assert!(
                            off < bound,
                            "{backend}, {rows} × {columns}, {precision}, {tokens} tokens: off by {off}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn quantized_products_match_those_of_the_dequantized_weights_with_every_backend() {
        let _no_gradients = tch::no_grad_guard();
        let (weight, x) = (sine_tensor(&[48, 64], 0.7), sine_tensor(&[3, 64], 1.3));
        for backend in Backend::available() {
            for (precision, bits) in [(Precision::Int8, Bits::Eight), (Precision::Int4, Bits::Four)] {
                let linear = Linear::new(&weight, None, WeightFormat::Inference(precision, backend)).unwrap();
                let weights = Quantized::new(&weight, bits).unwrap().dequantize().unwrap();
                let expected = x.linear(&weights, None::<&Tensor>);
                let off = largest(&(linear.forward(&x) - &expected)) / largest(&expected);
                // libtorch rounds activations to 16 bits.
                let bound = if backend == Backend::Libtorch { 0.02 } else { 1e-5 };
                assert!(off < bound, "{backend}, {precision}: off by {off}");
            }
        }
    }

    #[test]
    fn rows_of_unquantized_weights_are_returned() {
        let weight = Tensor::arange(300 * 40, (Kind::Float, Device::Cpu)).view([300, 40]) / 64.0;
        let rows = Tensor::from_slice(&[0i64, 299, 128, 0]).view([2, 2]);
        for backend in Backend::available() {
            for precision in [Precision::F32, Precision::Bf16] {
                let format = WeightFormat::Inference(precision, backend);
                let linear = Linear::new(&weight, None, format).unwrap();
                assert!(linear.has_rows());
                let expected =
                    weight.to_kind(format.weight_kind()).to_kind(Kind::Float).index_select(0, &rows.flatten(0, -1));
                assert_eq!(linear.rows_of(&rows).to_kind(Kind::Float), expected.view([2, 2, 40]), "{backend}");
            }
        }
    }

    #[test]
    fn a_quantized_matrix_of_zeros_gives_zeros() {
        let zeros = Tensor::zeros([32, 64], (Kind::Float, Device::Cpu));
        let x = Tensor::ones([2, 64], (Kind::BFloat16, Device::Cpu));
        for backend in Backend::available() {
            for precision in [Precision::Int8, Precision::Int4] {
                let format = WeightFormat::Inference(precision, backend);
                let y = Linear::new(&zeros, None, format).unwrap().forward(&x);
                assert_eq!(largest(&y), 0.0, "{precision}, {backend}");
            }
        }
    }

    /// Without the instruction set of any packed kernel, a model uses libtorch; no backend gives zeros.
    #[test]
    fn every_backend_computes() {
        let (weight, x) =
            (Tensor::ones([32, 64], (Kind::Float, Device::Cpu)), Tensor::ones([1, 64], (Kind::Float, Device::Cpu)));
        for backend in Backend::available() {
            for precision in [Precision::F32, Precision::Bf16, Precision::Int8, Precision::Int4] {
                let linear = Linear::new(&weight, None, WeightFormat::Inference(precision, backend)).unwrap();
                let off = largest(&(linear.forward(&x) - 64.0));
                assert!(off < 0.5, "{precision}, {backend}: off by {off}");
            }
        }
    }
}
