//! AVX2 and FMA: vectors of 8 numbers.

use super::{kernel::kernels, vector::Simd, x86};
use std::arch::x86_64::*;

const LANES: usize = 8;

/// Proof that this processor has AVX2 and FMA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// `None` where the processor, or the kernel of the operating system, lacks AVX2 or FMA.
    pub fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }
}

impl Simd for Avx2 {
    const LANES: usize = LANES;
    const TILE: usize = 64;
    const STREAMED_INT4: usize = 0;
    const STREAMED: usize = 1;
    type F32 = __m256;
    type Words = __m256i;

    #[inline(always)]
    fn splat(self, value: f32) -> __m256 {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    fn load_f32(self, from: &[f32]) -> __m256 {
        let from = &from[..LANES];
        // SAFETY: `self` proves AVX2, and `from` holds what is read.
        unsafe { _mm256_loadu_ps(from.as_ptr()) }
    }

    #[inline(always)]
    fn load_bf16(self, from: &[u16]) -> __m256 {
        let from = &from[..LANES];
        // SAFETY: `self` proves AVX2, and `from` holds what is read.
        unsafe {
            let halves = _mm_loadu_si128(from.as_ptr().cast());
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(halves)))
        }
    }

    #[inline(always)]
    fn load_i8(self, from: &[i8]) -> __m256 {
        let from = &from[..LANES];
        // SAFETY: `self` proves AVX2, and `from` holds what is read.
        unsafe { _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(from.as_ptr().cast()))) }
    }

    #[inline(always)]
    fn store(self, vector: __m256, to: &mut [f32]) {
        let to = &mut to[..LANES];
        // SAFETY: `self` proves AVX2, and `to` has room for what is written.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), vector) }
    }

    #[inline(always)]
    fn fma(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: `self` proves FMA.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn load_words(self, from: &[u32]) -> __m256i {
        let from = &from[..LANES];
        // SAFETY: `self` proves AVX2, and `from` holds what is read.
        unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn next_code(self, words: &mut __m256i) -> __m256 {
        // SAFETY: `self` proves AVX2.
        unsafe {
            let code = _mm256_cvtepi32_ps(_mm256_srai_epi32::<28>(*words));
            *words = _mm256_slli_epi32::<4>(*words);
            code
        }
    }

    #[inline(always)]
    fn prefetch<T>(self, numbers: &[T]) {
        x86::prefetch(numbers);
    }
}

// 16 registers: at most 12 sums, the weights and three numbers of x.
kernels!(Avx2, "avx2,fma", dense: [8, 4, 4], int4: [4, 4]);
