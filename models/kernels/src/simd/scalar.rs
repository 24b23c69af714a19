//! One number at a time, on every processor: the reference of the others, and what runs where none of them can.

use super::{
    kernel::{self, Block, Kernel},
    vector::{Simd, Weight},
};

/// Needs no proof: every processor has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scalar;

impl Simd for Scalar {
    const LANES: usize = 1;
    const TILE: usize = 16;
    const STREAMED_INT4: usize = 0;
    const STREAMED: usize = 0;
    type F32 = f32;
    type Words = u32;

    #[inline(always)]
    fn splat(self, value: f32) -> f32 {
        value
    }

    #[inline(always)]
    fn load_f32(self, from: &[f32]) -> f32 {
        from[0]
    }

    #[inline(always)]
    fn load_bf16(self, from: &[u16]) -> f32 {
        f32::from_bits(u32::from(from[0]) << 16)
    }

    #[inline(always)]
    fn load_i8(self, from: &[i8]) -> f32 {
        f32::from(from[0])
    }

    #[inline(always)]
    fn store(self, vector: f32, to: &mut [f32]) {
        to[0] = vector;
    }

    /// Where the processor has no such instruction, the C library computes it: slow, but of the same bits.
    #[inline(always)]
    fn fma(self, a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }

    #[inline(always)]
    fn load_words(self, from: &[u32]) -> u32 {
        from[0]
    }

    #[inline(always)]
    fn next_code(self, words: &mut u32) -> f32 {
        let code = words.cast_signed() >> 28;
        *words <<= 4;
        code as f32
    }

    #[inline(always)]
    fn prefetch<T>(self, _: &[T]) {}
}

impl Kernel for Scalar {
    fn dense<W: Weight>(self, weights: &[W], block: &Block<'_>, y: &mut [f32]) {
        let run = [kernel::dense::<Self, W, 1, 4>, kernel::dense::<Self, W, 2, 4>, kernel::dense::<Self, W, 3, 4>]
            [y.len() / Self::TILE - 1];
        run(self, weights, block, y);
    }

    fn int4(self, words: &[u32], scales: &[u16], block: &Block<'_>, y: &mut [f32]) {
        let run = [kernel::int4::<Self, 1, 4>, kernel::int4::<Self, 2, 4>][y.len() / Self::TILE - 1];
        run(self, words, scales, block, y);
    }
}
