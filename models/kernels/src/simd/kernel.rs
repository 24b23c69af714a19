//! The kernels: y += W x of one tile and a block of its columns, for a few tokens.
//!
//! Each lane is a row, so no sum crosses lanes, and each row adds up its columns in their order, one fused multiply-add
//! each: the result has the same bits with every instruction set, whatever the width of its vectors.

use super::vector::{Simd, Weight};

/// Columns of a row that share a scale and a zero point, with codes of 4 bits.
pub(crate) const GROUP: usize = 32;
/// Codes of 4 bits in a word.
pub(crate) const CODES: usize = 8;
/// The most tokens that a kernel computes together.
pub(crate) const MOST_TOKENS: usize = 3;

/// What a kernel reads beside a tile.
pub(crate) struct Block<'x> {
    /// [all tokens, all columns].
    pub x: &'x [f32],
    /// The sums of x over each group of columns: [all tokens, all groups].
    pub sums: &'x [f32],
    /// The number of all columns.
    pub columns: usize,
    /// The first column of the block: a multiple of [`GROUP`] where weights are in groups.
    pub first_column: usize,
    /// The first token of those that are computed together.
    pub first_token: usize,
    /// Whether to prefetch: these columns are read for the first time.
    pub prefetch: bool,
}

impl Block<'_> {
    /// Some numbers of x of the m-th token, from the first column of the block on.
    #[inline(always)]
    fn x(&self, m: usize, columns: usize) -> &[f32] {
        &self.x[(self.first_token + m) * self.columns + self.first_column..][..columns]
    }

    /// The sums of some groups of the m-th token.
    #[inline(always)]
    fn sums(&self, m: usize, groups: usize) -> &[f32] {
        &self.sums[((self.first_token + m) * self.columns + self.first_column) / GROUP..][..groups]
    }
}

/// The kernels of one instruction set, compiled for it.
pub(crate) trait Kernel: Simd {
    /// `weights`: [columns of the block, TILE]; `y`: [tokens, TILE], from 1 to [`MOST_TOKENS`] tokens.
    fn dense<W: Weight>(self, weights: &[W], block: &Block<'_>, y: &mut [f32]);

    /// `words`: [columns of the block / CODES, TILE]; `scales`: [groups of the block, 2, TILE], scale and zero point in
    /// bfloat16; `y`: [tokens, TILE], 1 or 2 tokens.
    fn int4(self, words: &[u32], scales: &[u16], block: &Block<'_>, y: &mut [f32]);
}

/// Implements [`Kernel`]: the bodies below in functions that are compiled for an instruction set. The numbers are the
/// vectors of a strip for 1, 2 and 3 tokens: as many sums as there are registers for.
macro_rules! kernels {
    ($simd:ident, $features:literal, dense: [$d1:literal, $d2:literal, $d3:literal], int4: [$i1:literal, $i2:literal]) => {
        impl $crate::simd::kernel::Kernel for $simd {
            fn dense<W: $crate::simd::vector::Weight>(
                self,
                weights: &[W],
                block: &$crate::simd::kernel::Block<'_>,
                y: &mut [f32],
            ) {
                #[target_feature(enable = $features)]
                fn run<W: $crate::simd::vector::Weight, const M: usize, const R: usize>(
                    simd: $simd,
                    weights: &[W],
                    block: &$crate::simd::kernel::Block<'_>,
                    y: &mut [f32],
                ) {
                    $crate::simd::kernel::dense::<$simd, W, M, R>(simd, weights, block, y);
                }
                let run = [run::<W, 1, $d1>, run::<W, 2, $d2>, run::<W, 3, $d3>][y.len() / Self::TILE - 1];
                // SAFETY: `self` is the proof that the processor has these features.
                unsafe { run(self, weights, block, y) }
            }

            fn int4(self, words: &[u32], scales: &[u16], block: &$crate::simd::kernel::Block<'_>, y: &mut [f32]) {
                #[target_feature(enable = $features)]
                fn run<const M: usize, const R: usize>(
                    simd: $simd,
                    words: &[u32],
                    scales: &[u16],
                    block: &$crate::simd::kernel::Block<'_>,
                    y: &mut [f32],
                ) {
                    $crate::simd::kernel::int4::<$simd, M, R>(simd, words, scales, block, y);
                }
                let run = [run::<1, $i1>, run::<2, $i2>][y.len() / Self::TILE - 1];
                // SAFETY: `self` is the proof that the processor has these features.
                unsafe { run(self, words, scales, block, y) }
            }
        }
    };
}
pub(crate) use kernels;

/// [`Kernel::dense`] for M tokens, R vectors of rows at a time.
#[inline(always)]
pub(crate) fn dense<S: Simd, W: Weight, const M: usize, const R: usize>(
    simd: S,
    weights: &[W],
    block: &Block<'_>,
    y: &mut [f32],
) {
    let y = &mut y[..M * S::TILE];
    let columns = weights.len() / S::TILE;
    let x: [&[f32]; M] = std::array::from_fn(|m| block.x(m, columns));
    for strip in 0..S::TILE / (S::LANES * R) {
        let first = strip * S::LANES * R;
        let mut sums = load::<S, M, R>(simd, y, first);
        for (c, column) in weights.chunks_exact(S::TILE).enumerate() {
            if block.prefetch && strip == 0 {
                simd.prefetch(column);
            }
            let mut at = [simd.splat(0.0); M];
            for m in 0..M {
                at[m] = simd.splat(x[m][c]);
            }
            for r in 0..R {
                let w = W::load(simd, &column[first + r * S::LANES..][..S::LANES]);
                for m in 0..M {
                    sums[m][r] = simd.fma(w, at[m], sums[m][r]);
                }
            }
        }
        store::<S, M, R>(simd, &sums, y, first);
    }
}

/// [`Kernel::int4`] for M tokens, R vectors of rows at a time.
#[inline(always)]
pub(crate) fn int4<S: Simd, const M: usize, const R: usize>(
    simd: S,
    words: &[u32],
    scales: &[u16],
    block: &Block<'_>,
    y: &mut [f32],
) {
    let y = &mut y[..M * S::TILE];
    let groups = scales.len() / (2 * S::TILE);
    let x: [&[[f32; GROUP]]; M] = std::array::from_fn(|m| block.x(m, groups * GROUP).as_chunks().0);
    let group_sums: [&[f32]; M] = std::array::from_fn(|m| block.sums(m, groups));
    for strip in 0..S::TILE / (S::LANES * R) {
        let first = strip * S::LANES * R;
        let mut sums = load::<S, M, R>(simd, y, first);
        let words = words.chunks_exact(GROUP / CODES * S::TILE);
        for (g, (words, scales)) in words.zip(scales.chunks_exact(2 * S::TILE)).enumerate() {
            let x: [&[f32; GROUP]; M] = std::array::from_fn(|m| &x[m][g]);
            let mut group = [[simd.splat(0.0); R]; M];
            for (i, words) in words.chunks_exact(S::TILE).enumerate() {
                if block.prefetch && strip == 0 {
                    simd.prefetch(words);
                }
                let mut codes = [simd.load_words(&words[first..][..S::LANES]); R];
                for r in 1..R {
                    codes[r] = simd.load_words(&words[first + r * S::LANES..][..S::LANES]);
                }
                for c in 0..CODES {
                    let mut at = [simd.splat(0.0); M];
                    for m in 0..M {
                        at[m] = simd.splat(x[m][i * CODES + c]);
                    }
                    for r in 0..R {
                        let w = simd.next_code(&mut codes[r]);
                        for m in 0..M {
                            group[m][r] = simd.fma(w, at[m], group[m][r]);
                        }
                    }
                }
            }
            let (scales, zero_points) = scales.split_at(S::TILE);
            for m in 0..M {
                let group_sum = simd.splat(group_sums[m][g]);
                for r in 0..R {
                    let row = first + r * S::LANES;
                    let scale = simd.load_bf16(&scales[row..][..S::LANES]);
                    let zero_point = simd.load_bf16(&zero_points[row..][..S::LANES]);
                    let scaled = simd.fma(group[m][r], scale, sums[m][r]);
                    sums[m][r] = simd.fma(group_sum, zero_point, scaled);
                }
            }
        }
        store::<S, M, R>(simd, &sums, y, first);
    }
}

#[inline(always)]
fn load<S: Simd, const M: usize, const R: usize>(simd: S, y: &[f32], first: usize) -> [[S::F32; R]; M] {
    let mut sums = [[simd.splat(0.0); R]; M];
    for m in 0..M {
        for r in 0..R {
            sums[m][r] = simd.load_f32(&y[m * S::TILE + first + r * S::LANES..][..S::LANES]);
        }
    }
    sums
}

#[inline(always)]
fn store<S: Simd, const M: usize, const R: usize>(simd: S, sums: &[[S::F32; R]; M], y: &mut [f32], first: usize) {
    for m in 0..M {
        for r in 0..R {
            simd.store(sums[m][r], &mut y[m * S::TILE + first + r * S::LANES..][..S::LANES]);
        }
    }
}
