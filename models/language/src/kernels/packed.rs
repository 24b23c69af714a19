//! Matrices of [`auriga_kernels`], made from tensors and multiplied with them, on the threads of libtorch.

use super::{openmp, quantized::Quantized, tensor_slices};
use auriga_kernels::{Kernels, Matrix, ShapeError};
use tch::{Kind, TchError, Tensor};

/// A matrix [rows, columns], packed for the processor.
pub(super) struct Packed {
    matrix: Matrix,
    quantized: bool,
}

impl Packed {
    /// `weight`: [rows, columns], 32-bit or bfloat16; that is how it is kept.
    pub fn new(kernels: Kernels, weight: &Tensor) -> Result<Self, TchError> {
        let flat = weight.f_flatten(0, -1)?;
        let matrix = match weight.kind() {
            Kind::BFloat16 => Matrix::bf16(kernels, shape(weight), &bits(&flat)?),
            _ => Matrix::f32(kernels, shape(weight), &Vec::<f32>::try_from(flat)?),
        };
        Ok(Self { matrix: matrix.map_err(of_shape)?, quantized: false })
    }

    /// Keeps the codes, scales and zero points.
    pub fn quantized(kernels: Kernels, matrix: &Quantized) -> Result<Self, TchError> {
        let flat = |tensor: &Tensor| tensor.f_flatten(0, -1);
        let shape = shape(matrix.codes());
        let matrix = match matrix {
            Quantized::Int8 { codes, scales } => {
                let scales = Vec::<f32>::try_from(scales.f_to_kind(Kind::Float)?)?;
                Matrix::int8(kernels, shape, &Vec::<i8>::try_from(flat(codes)?)?, &scales)
            }
            Quantized::Int4 { codes, scales, zero_points } => {
                let codes = Vec::<u8>::try_from(flat(codes)?)?;
                Matrix::int4(kernels, shape, &codes, &bits(&flat(scales)?)?, &bits(&flat(zero_points)?)?)
            }
        };
        Ok(Self { matrix: matrix.map_err(of_shape)?, quantized: true })
    }

    /// Bytes that one product reads.
    pub fn bytes(&self) -> usize {
        self.matrix.bytes()
    }

    /// Whether the weights are codes.
    pub fn is_quantized(&self) -> bool {
        self.quantized
    }

    /// Rows by their index, [n] → [n, columns], 32-bit.
    pub fn rows_of(&self, rows: &Tensor) -> Result<Tensor, TchError> {
        let rows = Vec::<i64>::try_from(rows)?;
        let out: Vec<f32> = rows.into_iter().flat_map(|row| self.matrix.row(row as usize)).collect();
        Tensor::f_from_slice(&out)?.f_view([-1, self.matrix.columns() as i64])
    }

    /// x: [tokens, columns], 32-bit → [tokens, rows], 32-bit.
    pub fn product(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let x = x.f_contiguous()?;
        let product = self.matrix.product(tensor_slices::as_slice(&x));
        let mut tiles = vec![0.0; product.tiles() * product.tile_len()];
        openmp::split(&mut tiles, product.tile_len(), |first, run| product.compute(first, run));
        let shape = [x.size()[0], self.matrix.rows() as i64];
        Ok(tensor_slices::tensor_from_fn(&shape, |y| product.untile(&tiles, y)))
    }
}

fn shape(weight: &Tensor) -> [usize; 2] {
    [weight.size()[0] as usize, weight.size()[1] as usize]
}

/// The bits of bfloat16 numbers.
fn bits(x: &Tensor) -> Result<Vec<u16>, TchError> {
    let bits: Vec<i16> = Vec::try_from(x.f_contiguous()?.f_view_dtype(Kind::Int16)?)?;
    Ok(bits.into_iter().map(i16::cast_unsigned).collect())
}

fn of_shape(error: ShapeError) -> TchError {
    TchError::Shape(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::{super::quantized::Bits, super::tensor_slices::sine_tensor, *};

    /// Each kind of matrix, and the weights that it stands for.
    fn matrices(kernels: Kernels, weight: &Tensor) -> Vec<(Packed, Tensor)> {
        let half = weight.to_kind(Kind::BFloat16);
        let mut all = vec![
            (Packed::new(kernels, weight).unwrap(), weight.copy()),
            (Packed::new(kernels, &half).unwrap(), half.to_kind(Kind::Float)),
        ];
        for bits in [Bits::Eight, Bits::Four] {
            let quantized = Quantized::new(weight, bits).unwrap();
            all.push((Packed::quantized(kernels, &quantized).unwrap(), quantized.dequantize().unwrap()));
        }
        all
    }

    #[test]
    fn products_equal_those_of_the_dequantized_weights() {
        for kernels in Kernels::available() {
            for (rows, columns) in [(1, 32), (16, 64), (128, 96), (144, 32), (400, 640), (5, 7)] {
                let matrices = matrices(kernels, &sine_tensor(&[rows, columns], 0.7));
                for (i, (matrix, weights)) in matrices.into_iter().enumerate() {
                    for tokens in [1, 2, 3, 4, 7] {
                        let x = sine_tensor(&[tokens, columns], 1.3);
                        let (found, expected) = (matrix.product(&x).unwrap(), x.matmul(&weights.tr()));
                        assert_eq!(found.size(), expected.size());
                        let off = (found - expected).abs().max().double_value(&[]);
                        assert!(off < 1e-4, "{kernels:?}, {i}, {rows} × {columns}, {tokens} tokens: off by {off}");
                    }
                }
            }
        }
    }

    #[test]
    fn tokens_threads_and_instruction_sets_change_no_bit() {
        let (weight, x) = (sine_tensor(&[700, 96], 0.7), sine_tensor(&[5, 96], 1.3));
        let mut first: Option<Vec<Tensor>> = None;
        for kernels in Kernels::available() {
            let mut products = Vec::new();
            for (matrix, _) in matrices(kernels, &weight) {
                tch::set_num_threads(1);
                let one_by_one: Vec<_> = (0..5).map(|t| matrix.product(&x.narrow(0, t, 1)).unwrap()).collect();
                let one_by_one = Tensor::cat(&one_by_one, 0);
                for threads in [1, 2, 5] {
                    tch::set_num_threads(threads);
                    assert_eq!(matrix.product(&x).unwrap(), one_by_one);
                }
                products.push(one_by_one);
            }
            assert_eq!(first.get_or_insert_with(|| products.iter().map(Tensor::copy).collect()), &products);
        }
    }

    #[test]
    fn a_part_of_a_larger_tensor_is_packed_as_it_is_seen() {
        let weight = sine_tensor(&[96, 128], 0.7);
        let x = sine_tensor(&[2, 64], 1.3);
        for part in [weight.narrow(1, 32, 64), weight.to_kind(Kind::BFloat16).narrow(1, 32, 64)] {
            let found = Packed::new(Kernels::best(), &part).unwrap().product(&x).unwrap();
            let off = (found - x.matmul(&part.to_kind(Kind::Float).tr())).abs().max().double_value(&[]);
            assert!(off < 1e-4, "off by {off}");
        }
    }
}
