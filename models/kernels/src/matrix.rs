//! Packed matrices and their products.

use crate::{
    dispatch::{Kernels, with_simd},
    pack,
    simd::kernel::{Block, CODES, GROUP, Kernel, MOST_TOKENS},
};
use std::{fmt, ops::Range};

/// Columns of a tile that stay in a core's own cache: a quarter of a megabyte of 32-bit weights at most.
const CACHED: usize = 512;
/// Tokens that are computed together, with weights of 4 bits.
const MOST_TOKENS_INT4: usize = 2;

/// Weights, or their scales, that are not as many as the matrix's shape needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeError {
    /// Of what: `weights`, `codes`, `scales`, `zero points`, or `columns`, which must be a multiple of [`Matrix::GROUP`].
    what: &'static str,
    expected: usize,
    found: usize,
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, expected, found } = self;
        match *what {
            "columns" => write!(f, "{found} columns are not a multiple of {expected}"),
            what => write!(f, "{found} {what} were given for a matrix that has {expected}"),
        }
    }
}

impl std::error::Error for ShapeError {}

/// Weights in the order of [`pack::tiles`].
#[derive(Debug, Clone)]
enum Weights {
    F32(Vec<f32>),
    Bf16(Vec<u16>),
    /// Scales: [tiles, tile].
    Int8 {
        codes: Vec<i8>,
        scales: Vec<f32>,
    },
    /// Words: [tiles, columns / CODES, tile]. Scales: [tiles, groups, 2, tile], scale and zero point of each group, in
    /// bfloat16.
    Int4 {
        words: Vec<u32>,
        scales: Vec<u16>,
    },
}

/// A matrix [rows, columns], packed for the kernels of one instruction set.
#[derive(Debug, Clone)]
pub struct Matrix {
    kernels: Kernels,
    rows: usize,
    columns: usize,
    weights: Weights,
}

fn check(what: &'static str, expected: usize, found: usize) -> Result<(), ShapeError> {
    if expected == found { Ok(()) } else { Err(ShapeError { what, expected, found }) }
}

impl Matrix {
    /// Columns of a row that share a scale and a zero point, in [`Matrix::int4`].
    pub const GROUP: usize = GROUP;

    /// Of 32-bit floating-point weights, [rows, columns].
    ///
    /// # Errors
    /// The weights are not rows · columns.
    pub fn f32(kernels: Kernels, [rows, columns]: [usize; 2], weights: &[f32]) -> Result<Self, ShapeError> {
        check("weights", rows * columns, weights.len())?;
        let weights = Weights::F32(pack::tiles(weights, rows, tile_rows(kernels)));
        Ok(Self { kernels, rows, columns, weights })
    }

    /// Of bfloat16 weights, [rows, columns], each by its 16 bits.
    ///
    /// # Errors
    /// The weights are not rows · columns.
    pub fn bf16(kernels: Kernels, [rows, columns]: [usize; 2], weights: &[u16]) -> Result<Self, ShapeError> {
        check("weights", rows * columns, weights.len())?;
        let weights = Weights::Bf16(pack::tiles(weights, rows, tile_rows(kernels)));
        Ok(Self { kernels, rows, columns, weights })
    }

    /// Of codes of 8 bits, [rows, columns], and a scale for each row: a weight is code · scale.
    ///
    /// # Errors
    /// The codes are not rows · columns, or the scales not as many as the rows.
    pub fn int8(
        kernels: Kernels,
        [rows, columns]: [usize; 2],
        codes: &[i8],
        scales: &[f32],
    ) -> Result<Self, ShapeError> {
        check("codes", rows * columns, codes.len())?;
        check("scales", rows, scales.len())?;
        let tile = tile_rows(kernels);
        let weights = Weights::Int8 { codes: pack::tiles(codes, rows, tile), scales: pack::tiles(scales, rows, tile) };
        Ok(Self { kernels, rows, columns, weights })
    }

    /// Of codes of 4 bits, [rows, columns], each from 0 to 15 in a byte (higher bits are ignored), and for each
    /// [`Matrix::GROUP`] columns of a row a scale and a zero point, [rows, columns / GROUP], bfloat16 by their 16 bits: a
    /// weight is (code − 8) · scale + zero point.
    ///
    /// # Errors
    /// The columns are not whole groups, the codes not rows · columns, or the scales or zero points not as many as the
    /// groups.
    pub fn int4(
        kernels: Kernels,
        [rows, columns]: [usize; 2],
        codes: &[u8],
        scales: &[u16],
        zero_points: &[u16],
    ) -> Result<Self, ShapeError> {
        if !columns.is_multiple_of(GROUP) {
            return Err(ShapeError { what: "columns", expected: GROUP, found: columns });
        }
        let groups = columns / GROUP;
        check("codes", rows * columns, codes.len())?;
        check("scales", rows * groups, scales.len())?;
        check("zero points", rows * groups, zero_points.len())?;
        let pairs: Vec<u16> = scales.iter().zip(zero_points).flat_map(|(s, z)| [*s, *z]).collect();
        let tile = tile_rows(kernels);
        let words = pack::tiles(&pack::words(codes), rows, tile);
        let weights = Weights::Int4 { words, scales: pack::tiles(&pairs, rows, tile) };
        Ok(Self { kernels, rows, columns, weights })
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The kernels it was packed for.
    pub fn kernels(&self) -> Kernels {
        self.kernels
    }

    /// Bytes of memory that a product reads of the matrix.
    pub fn bytes(&self) -> usize {
        match &self.weights {
            Weights::F32(weights) => size_of_val(&weights[..]),
            Weights::Bf16(weights) => size_of_val(&weights[..]),
            Weights::Int8 { codes, scales } => size_of_val(&codes[..]) + size_of_val(&scales[..]),
            Weights::Int4 { words, scales } => size_of_val(&words[..]) + size_of_val(&scales[..]),
        }
    }

    /// The weights of a row, dequantized.
    ///
    /// # Panics
    /// There is no such row.
    pub fn row(&self, row: usize) -> Vec<f32> {
        assert!(row < self.rows, "row {row} of a matrix with {} rows", self.rows);
        let size = tile_rows(self.kernels);
        let (tile, lane) = (row / size, row % size);
        // Where the i-th of n numbers of this row is.
        let at = |n: usize, i: usize| (tile * n + i) * size + lane;
        let column = |c: usize| match &self.weights {
            Weights::F32(weights) => weights[at(self.columns, c)],
            Weights::Bf16(weights) => of_bf16(weights[at(self.columns, c)]),
            Weights::Int8 { codes, scales } => f32::from(codes[at(self.columns, c)]) * scales[at(1, 0)],
            Weights::Int4 { words, scales } => {
                let pair = |i| of_bf16(scales[at(self.columns / GROUP * 2, c / GROUP * 2 + i)]);
                pack::code(words[at(self.columns / CODES, c / CODES)], c) * pair(0) + pair(1)
            }
        };
        (0..self.columns).map(column).collect()
    }

    /// The product with the tokens x, [tokens, columns], to be computed in parts, on as many threads as wished.
    ///
    /// # Panics
    /// x does not consist of whole tokens.
    pub fn product<'a>(&'a self, x: &'a [f32]) -> Product<'a> {
        let tokens = x.len().checked_div(self.columns).unwrap_or(0);
        assert_eq!(x.len(), tokens * self.columns, "x must be [tokens, {}]", self.columns);
        let group_sums = match self.weights {
            Weights::Int4 { .. } => x.as_chunks::<GROUP>().0.iter().map(|group| group.iter().sum()).collect(),
            _ => Vec::new(),
        };
        Product { matrix: self, x, group_sums, tokens, tile: tile_rows(self.kernels) }
    }

    /// The product with the tokens x, [tokens, columns] → [tokens, rows], on this thread.
    ///
    /// # Panics
    /// x does not consist of whole tokens.
    pub fn multiply(&self, x: &[f32]) -> Vec<f32> {
        let product = self.product(x);
        let mut tiles = vec![0.0; product.tiles() * product.tile_len()];
        product.compute(0, &mut tiles);
        let mut y = vec![0.0; product.tokens * self.rows];
        product.untile(&tiles, &mut y);
        y
    }
}

/// A product that is to be computed: [`Matrix::product`].
#[derive(Debug)]
pub struct Product<'a> {
    matrix: &'a Matrix,
    x: &'a [f32],
    group_sums: Vec<f32>,
    tokens: usize,
    tile: usize,
}

impl Product<'_> {
    /// Tiles of the result, which may be computed independently of each other.
    pub fn tiles(&self) -> usize {
        self.matrix.rows.div_ceil(self.tile)
    }

    /// Numbers of a tile of the result, [tokens, rows of a tile].
    pub fn tile_len(&self) -> usize {
        self.tokens * self.tile
    }

    /// Computes a run of tiles from this one on, [tiles of the run, tokens, rows of a tile], into `to`. Rows beyond the
    /// matrix's own, at the end of the last tile, are zero.
    ///
    /// # Panics
    /// `to` does not consist of whole tiles, or goes beyond the last.
    pub fn compute(&self, first: usize, to: &mut [f32]) {
        if self.tile_len() == 0 {
            return;
        }
        assert!(to.len().is_multiple_of(self.tile_len()) && first + to.len() / self.tile_len() <= self.tiles());
        with_simd!(self.matrix.kernels, simd => {
            for (i, y) in to.chunks_exact_mut(self.tile_len()).enumerate() {
                self.tile(simd, first + i, y);
            }
        });
    }

    /// Puts all tiles in the order [tokens, rows], into `y`.
    ///
    /// # Panics
    /// `tiles` are not all tiles, or `y` has not as many numbers as the result.
    pub fn untile(&self, tiles: &[f32], y: &mut [f32]) {
        assert_eq!((tiles.len(), y.len()), (self.tiles() * self.tile_len(), self.tokens * self.matrix.rows));
        pack::untile(tiles, self.tokens, self.tile, y);
    }

    fn tile<S: Kernel>(&self, simd: S, tile: usize, y: &mut [f32]) {
        y.fill(0.0);
        let (together, streamed) = match self.matrix.weights {
            Weights::Int4 { .. } => (MOST_TOKENS_INT4, S::STREAMED_INT4),
            _ => (MOST_TOKENS, S::STREAMED),
        };
        let all = self.matrix.columns;
        // Where columns are read more than once, the second time shall be out of the cache.
        let step = if self.tokens <= streamed { all.max(1) } else { CACHED };
        for first in (0..all).step_by(step) {
            let columns = first..(first + step).min(all);
            for (i, y) in y.chunks_mut(together * S::TILE).enumerate() {
                let block = Block {
                    x: self.x,
                    sums: &self.group_sums,
                    columns: all,
                    first_column: first,
                    first_token: i * together,
                    prefetch: i == 0,
                };
                self.block(simd, tile, columns.clone(), &block, y);
            }
        }
        if let Weights::Int8 { scales, .. } = &self.matrix.weights {
            for y in y.chunks_exact_mut(S::TILE) {
                y.iter_mut().zip(&scales[tile * S::TILE..]).for_each(|(y, scale)| *y *= scale);
            }
        }
    }

    /// Adds what a block of columns contributes to a few tokens.
    fn block<S: Kernel>(&self, simd: S, tile: usize, columns: Range<usize>, block: &Block<'_>, y: &mut [f32]) {
        // The place of the columns in a tile that has `many` numbers for each `few` columns.
        let at = |many: usize, few: usize| {
            let at = |c: usize| (tile * self.matrix.columns + c) / few * many * S::TILE;
            at(columns.start)..at(columns.end)
        };
        match &self.matrix.weights {
            Weights::F32(weights) => simd.dense(&weights[at(1, 1)], block, y),
            Weights::Bf16(weights) => simd.dense(&weights[at(1, 1)], block, y),
            Weights::Int8 { codes, .. } => simd.dense(&codes[at(1, 1)], block, y),
            Weights::Int4 { words, scales } => simd.int4(&words[at(1, CODES)], &scales[at(2, GROUP)], block, y),
        }
    }
}

fn tile_rows(kernels: Kernels) -> usize {
    fn rows<S: Kernel>(_: S) -> usize {
        S::TILE
    }
    with_simd!(kernels, simd => rows(simd))
}

fn of_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}
