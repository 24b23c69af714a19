//! Products of a matrix and a few tokens, on processors with AVX-512: one token waits for nothing but its weights, so they
//! must become numbers as fast as memory brings them. The kernels of libtorch and oneDNN do not get there with two cores of
//! such a processor (`auriga-lm bench --large`); these stand in for them, and [`crate::kernels::linear`] takes libtorch's elsewhere.
//!
//! [`TILE`] rows make a tile, and a tile is one stream of memory, column after column: the lanes of eight registers are its
//! rows. No sum crosses lanes, scales are vectors, and each number of x is read once for 128 rows. What will be read is
//! asked for two pages before, for a processor looks ahead by itself no farther than a page's end.
//!
//! A sum goes over the columns in their order, however many tokens and threads there are: the same tokens give the same
//! bits. Sums are of 32 bits, whatever the weights are.

#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(not(target_arch = "x86_64"))]
#[path = "fallback.rs"]
mod avx512;

pub use avx512::supported;

use crate::kernels::{
    openmp,
    quantized::{GROUP, Rounded},
    tensor_slices,
};
use std::ops::Range;
use tch::{Kind, TchError, Tensor};

/// Rows side by side.
const TILE: usize = 128;
/// Columns of a tile that stay in a core's own cache: a quarter of a megabyte of 32-bit weights.
const CACHED: usize = 512;
/// Columns whose 4-bit numbers make a word of 32.
const WORD: usize = 8;

/// Numbers as they lie in memory: [tiles, columns, TILE].
enum Numbers {
    F32(Vec<f32>),
    Bf16(Vec<u16>),
    /// And the scale of each row, [tiles, TILE].
    Int8(Vec<i8>, Vec<f32>),
    /// [tiles, columns / WORD, TILE], the first column of a word in its lowest bits; and scale and middle of each group,
    /// [tiles, groups, 2, TILE], in bfloat16.
    Int4(Vec<u32>, Vec<u16>),
}

/// A matrix in tiles. It is made only where [`supported`] says so.
pub struct Tiled {
    rows: usize,
    columns: usize,
    numbers: Numbers,
}

impl Tiled {
    /// `weight`: [rows, columns], 32-bit or bfloat16, as which it is kept.
    pub fn new(weight: &Tensor) -> Result<Self, TchError> {
        let (rows, columns) = (weight.size()[0] as usize, weight.size()[1] as usize);
        let tiles = in_tiles(weight, rows)?;
        let half = weight.kind() == Kind::BFloat16;
        let numbers = if half { Numbers::Bf16(bits(&tiles)?) } else { Numbers::F32(Vec::try_from(tiles)?) };
        Ok(Self { rows, columns, numbers })
    }

    pub(crate) fn rounded(matrix: &Rounded) -> Result<Self, TchError> {
        let (rows, columns) = (matrix.steps().size()[0] as usize, matrix.steps().size()[1] as usize);
        let numbers = match matrix {
            Rounded::Eight { steps, scales } => {
                let scales = scales.f_to_kind(Kind::Float)?.f_view([rows as i64, 1])?;
                Numbers::Int8(Vec::try_from(in_tiles(steps, rows)?)?, Vec::try_from(in_tiles(&scales, rows)?)?)
            }
            Rounded::Four { steps, scales, middles } => {
                let nibbles = steps.f_to_kind(Kind::Int64)?.f_view([rows as i64, -1, WORD as i64])?;
                let shifts = Tensor::f_from_slice(&[0i64, 4, 8, 12, 16, 20, 24, 28])?;
                let words = nibbles.f_bitwise_left_shift(&shifts)?;
                let words = words.f_sum_dim_intlist([2i64].as_slice(), false, Kind::Int64)?;
                let words: Vec<i64> = Vec::try_from(in_tiles(&words, rows)?)?;
                let scales = Tensor::f_stack(&[scales, middles], 2)?.f_view([rows as i64, -1])?;
                Numbers::Int4(words.into_iter().map(|w| w as u32).collect(), bits(&in_tiles(&scales, rows)?)?)
            }
        };
        Ok(Self { rows, columns, numbers })
    }

    /// Bytes that one product reads.
    pub fn bytes(&self) -> usize {
        match &self.numbers {
            Numbers::F32(weights) => size_of_val(&weights[..]),
            Numbers::Bf16(weights) => size_of_val(&weights[..]),
            Numbers::Int8(steps, scales) => size_of_val(&steps[..]) + size_of_val(&scales[..]),
            Numbers::Int4(words, scales) => size_of_val(&words[..]) + size_of_val(&scales[..]),
        }
    }

    /// Quantised rows are not given back.
    pub fn has_rows(&self) -> bool {
        matches!(self.numbers, Numbers::F32(_) | Numbers::Bf16(_))
    }

    /// Rows by their index, [n] → [n, columns], 32-bit.
    pub fn rows_of(&self, rows: &Tensor) -> Result<Tensor, TchError> {
        let mut out = Vec::new();
        for row in Vec::<i64>::try_from(rows)? {
            let (tile, lane) = (row as usize / TILE, row as usize % TILE);
            let places = (0..self.columns).map(|c| (tile * self.columns + c) * TILE + lane);
            match &self.numbers {
                Numbers::F32(weights) => out.extend(places.map(|i| weights[i])),
                Numbers::Bf16(weights) => out.extend(places.map(|i| f32::from_bits(u32::from(weights[i]) << 16))),
                Numbers::Int8(..) | Numbers::Int4(..) => unreachable!("has_rows"),
            }
        }
        Tensor::f_from_slice(&out)?.f_view([-1, self.columns as i64])
    }

    /// x: [tokens, columns], 32-bit → [tokens, rows], 32-bit.
    pub fn product(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let x = x.f_contiguous()?;
        let tokens = x.size()[0] as usize;
        let tiles = self.rows.div_ceil(TILE);
        let from = tensor_slices::numbers(&x);
        assert_eq!(from.len(), tokens * self.columns);
        let sums = if matches!(self.numbers, Numbers::Int4(..)) { group_sums(from) } else { Vec::new() };
        let y = tensor_slices::made(&[tiles, tokens, TILE].map(|n| n as i64), |to| {
            openmp::split(to, tokens * TILE, |first, run| {
                for (i, tile) in run.chunks_exact_mut(tokens * TILE).enumerate() {
                    self.tile(first + i, from, &sums, tile.as_chunks_mut().0);
                }
            });
        });
        let rows = self.rows as i64;
        let all = y.f_permute([1, 0, 2])?.f_reshape([tokens as i64, (tiles * TILE) as i64])?;
        all.f_narrow(1, 0, rows)?.f_contiguous()
    }

    /// One tile's rows of y, a token each; `sums` are those of x's groups.
    fn tile(&self, tile: usize, x: &[f32], sums: &[f32], y: &mut [[f32; TILE]]) {
        y.fill([0.0; TILE]);
        // Tokens that share what was decoded: their sums fill three quarters of the registers.
        let together = if matches!(self.numbers, Numbers::Int4(..)) { 2 } else { 3 };
        // More tokens read the same columns again: out of the cache.
        let columns = if y.len() <= together { self.columns } else { CACHED };
        for first in (0..self.columns).step_by(columns) {
            let columns = first..(first + columns).min(self.columns);
            for (i, y) in y.chunks_mut(together).enumerate() {
                let (all, first) = (self.columns, i == 0);
                self.block(
                    tile,
                    columns.clone(),
                    &Block { x, sums, all, begin: columns.start, token: i * together, first },
                    y,
                );
            }
        }
        if let Numbers::Int8(_, scales) = &self.numbers {
            for y in y {
                y.iter_mut().zip(&scales[tile * TILE..]).for_each(|(y, scale)| *y *= scale);
            }
        }
    }

    /// Adds what a block of columns gives to a few tokens.
    fn block(&self, tile: usize, columns: Range<usize>, block: &Block<'_>, y: &mut [[f32; TILE]]) {
        use avx512::{bf16, f32, int4, int8};
        // Of so many numbers for each column, or a number for so many columns.
        let of = |many: usize, few: usize| {
            let at = |c: usize| (tile * self.columns + c) * many / few * TILE;
            at(columns.start)..at(columns.end)
        };
        // SAFETY: a matrix is made only where the processor has AVX-512.
        unsafe {
            match &self.numbers {
                Numbers::F32(weights) => {
                    [f32::<1>, f32::<2>, f32::<3>][y.len() - 1](weights[of(1, 1)].as_chunks().0, block, y);
                }
                Numbers::Bf16(weights) => {
                    [bf16::<1>, bf16::<2>, bf16::<3>][y.len() - 1](weights[of(1, 1)].as_chunks().0, block, y);
                }
                Numbers::Int8(steps, _) => {
                    [int8::<1>, int8::<2>, int8::<3>][y.len() - 1](steps[of(1, 1)].as_chunks().0, block, y);
                }
                Numbers::Int4(words, scales) => {
                    let scales = scales[of(2, GROUP)].as_chunks().0.as_chunks().0;
                    [int4::<1>, int4::<2>][y.len() - 1](words[of(1, WORD)].as_chunks().0, scales, block, y);
                }
            }
        }
    }
}

/// What a kernel is to read beside a tile.
struct Block<'x> {
    /// [tokens, all], and the sums of its groups.
    x: &'x [f32],
    sums: &'x [f32],
    all: usize,
    /// Of the columns, and of the tokens.
    begin: usize,
    token: usize,
    /// Whether these columns are read for the first time.
    first: bool,
}

impl Block<'_> {
    /// So many numbers of the m-th token.
    fn x(&self, m: usize, columns: usize) -> &[f32] {
        &self.x[(self.token + m) * self.all + self.begin..][..columns]
    }

    /// The sum of the g-th group of the m-th token.
    fn sum(&self, m: usize, g: usize) -> f32 {
        self.sums[((self.token + m) * self.all + self.begin) / GROUP + g]
    }
}

/// [rows, n] → [tiles, n, TILE], with rows of zeros to the end of the last tile, in one line.
fn in_tiles(x: &Tensor, rows: usize) -> Result<Tensor, TchError> {
    let missing = (rows.next_multiple_of(TILE) - rows) as i64;
    let whole = x.f_constant_pad_nd([0, 0, 0, missing])?;
    whole.f_view([-1, TILE as i64, x.size()[1]])?.f_transpose(1, 2)?.f_reshape([-1])
}

/// Of numbers in bfloat16.
fn bits(x: &Tensor) -> Result<Vec<u16>, TchError> {
    let bits: Vec<i16> = Vec::try_from(x.f_view_dtype(Kind::Int16)?)?;
    Ok(bits.into_iter().map(|b| b as u16).collect())
}

fn group_sums(x: &[f32]) -> Vec<f32> {
    x.as_chunks::<GROUP>().0.iter().map(|group| group.iter().sum()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::tensor_slices::waves;

    /// Each kind of matrix, and the weights that it stands for.
    fn all(weight: &Tensor) -> Vec<(Tiled, Tensor)> {
        let half = weight.to_kind(Kind::BFloat16);
        let mut all =
            vec![(Tiled::new(weight).unwrap(), weight.copy()), (Tiled::new(&half).unwrap(), half.to_kind(Kind::Float))];
        for four in [false, true] {
            let rounded = Rounded::of(weight, four).unwrap();
            all.push((Tiled::rounded(&rounded).unwrap(), rounded.weights().unwrap()));
        }
        all
    }

    #[test]
    fn products_are_those_of_the_weights_that_the_matrix_stands_for() {
        if !supported() {
            return eprintln!("skipped: this processor has no AVX-512");
        }
        for (rows, columns) in [(1, 32), (16, 64), (128, 96), (144, 32), (400, 640), (5, 7)] {
            for (i, (matrix, weights)) in all(&waves(&[rows, columns], 0.7)).into_iter().enumerate() {
                for tokens in [1, 2, 3, 4, 7] {
                    let x = waves(&[tokens, columns], 1.3);
                    let (found, expected) = (matrix.product(&x).unwrap(), x.matmul(&weights.tr()));
                    assert_eq!(found.size(), expected.size());
                    let off = (found - expected).abs().max().double_value(&[]);
                    assert!(off < 1e-4, "kind {i}, {rows} × {columns}, {tokens} tokens: off by {off}");
                }
            }
        }
    }

    #[test]
    fn tokens_and_threads_change_no_bit() {
        if !supported() {
            return eprintln!("skipped: this processor has no AVX-512");
        }
        let x = waves(&[5, 96], 1.3);
        for (matrix, _) in all(&waves(&[700, 96], 0.7)) {
            tch::set_num_threads(1);
            let alone: Vec<_> = (0..5).map(|t| matrix.product(&x.narrow(0, t, 1)).unwrap()).collect();
            for threads in [1, 2, 5] {
                tch::set_num_threads(threads);
                assert_eq!(matrix.product(&x).unwrap(), Tensor::cat(&alone, 0));
            }
        }
    }
}
