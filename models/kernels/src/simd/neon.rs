//! NEON (Advanced SIMD of aarch64): pairs of vectors of 4 numbers.

use super::{kernel::kernels, vector::Simd};
use std::arch::{aarch64::*, is_aarch64_feature_detected};

const LANES: usize = 8;

/// Proof that this processor has NEON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Neon(());

impl Neon {
    /// `None` where the processor has no NEON.
    pub fn detect() -> Option<Self> {
        is_aarch64_feature_detected!("neon").then_some(Self(()))
    }
}

impl Simd for Neon {
    const LANES: usize = LANES;
    const TILE: usize = 64;
    const STREAMED_INT4: usize = 0;
    const STREAMED: usize = 1;
    type F32 = [float32x4_t; 2];
    type Words = [int32x4_t; 2];

    #[inline(always)]
    fn splat(self, value: f32) -> [float32x4_t; 2] {
        // SAFETY: `self` proves NEON.
        unsafe { [vdupq_n_f32(value); 2] }
    }

    #[inline(always)]
    fn load_f32(self, from: &[f32]) -> [float32x4_t; 2] {
        let from = &from[..LANES];
        // SAFETY: `self` proves NEON, and `from` holds what is read.
        unsafe { [vld1q_f32(from.as_ptr()), vld1q_f32(from[4..].as_ptr())] }
    }

    #[inline(always)]
    fn load_bf16(self, from: &[u16]) -> [float32x4_t; 2] {
        let from = &from[..LANES];
        // SAFETY: `self` proves NEON, and `from` holds what is read.
        unsafe {
            let halves = vld1q_u16(from.as_ptr());
            let low = vshll_n_u16::<16>(vget_low_u16(halves));
            [vreinterpretq_f32_u32(low), vreinterpretq_f32_u32(vshll_high_n_u16::<16>(halves))]
        }
    }

    #[inline(always)]
    fn load_i8(self, from: &[i8]) -> [float32x4_t; 2] {
        let from = &from[..LANES];
        // SAFETY: `self` proves NEON, and `from` holds what is read.
        unsafe {
            let numbers = vmovl_s8(vld1_s8(from.as_ptr()));
            let low = vmovl_s16(vget_low_s16(numbers));
            [vcvtq_f32_s32(low), vcvtq_f32_s32(vmovl_high_s16(numbers))]
        }
    }

    #[inline(always)]
    fn store(self, vector: [float32x4_t; 2], to: &mut [f32]) {
        let to = &mut to[..LANES];
        // SAFETY: `self` proves NEON, and `to` has room for what is written.
        unsafe {
            vst1q_f32(to.as_mut_ptr(), vector[0]);
            vst1q_f32(to[4..].as_mut_ptr(), vector[1]);
        }
    }

    #[inline(always)]
    fn fma(self, a: [float32x4_t; 2], b: [float32x4_t; 2], c: [float32x4_t; 2]) -> [float32x4_t; 2] {
        // SAFETY: `self` proves NEON.
        unsafe { [vfmaq_f32(c[0], a[0], b[0]), vfmaq_f32(c[1], a[1], b[1])] }
    }

    #[inline(always)]
    fn load_words(self, from: &[u32]) -> [int32x4_t; 2] {
        let from = &from[..LANES];
        // SAFETY: `self` proves NEON, and `from` holds what is read.
        unsafe { [vld1q_s32(from.as_ptr().cast()), vld1q_s32(from[4..].as_ptr().cast())] }
    }

    #[inline(always)]
    fn next_code(self, words: &mut [int32x4_t; 2]) -> [float32x4_t; 2] {
        // SAFETY: `self` proves NEON.
        unsafe {
            let codes = [vshrq_n_s32::<28>(words[0]), vshrq_n_s32::<28>(words[1])];
            *words = [vshlq_n_s32::<4>(words[0]), vshlq_n_s32::<4>(words[1])];
            [vcvtq_f32_s32(codes[0]), vcvtq_f32_s32(codes[1])]
        }
    }

    /// Left to the processor: how far ahead helps was not measured on one.
    #[inline(always)]
    fn prefetch<T>(self, _: &[T]) {}
}

// 32 registers, two for each vector: at most 24 for sums.
kernels!(Neon, "neon", dense: [8, 4, 4], int4: [4, 4]);
