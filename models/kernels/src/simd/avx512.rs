//! AVX-512F: vectors of 16 numbers.

use super::{kernel::kernels, vector::Simd, x86};
use std::arch::x86_64::*;

const LANES: usize = 16;

/// Proof that this processor has AVX-512F.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Avx512(());

impl Avx512 {
    /// `None` where the processor, or the kernel of the operating system, has no AVX-512F.
    pub fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx512f").then_some(Self(()))
    }
}

impl Simd for Avx512 {
    const LANES: usize = LANES;
    const TILE: usize = 128;
    const STREAMED_INT4: usize = 2;
    const STREAMED: usize = 3;
    type F32 = __m512;
    type Words = __m512i;

    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    fn load_f32(self, from: &[f32]) -> __m512 {
        let from = &from[..LANES];
        // SAFETY: `self` proves AVX-512F, and `from` holds what is read.
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    }

    #[inline(always)]
    fn load_bf16(self, from: &[u16]) -> __m512 {
        let from = &from[..LANES];
        // SAFETY: `self` proves AVX-512F, and `from` holds what is read.
        unsafe {
            let halves = _mm256_loadu_si256(from.as_ptr().cast());
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves)))
        }
    }

    #[inline(always)]
    fn load_i8(self, from: &[i8]) -> __m512 {
        let from = &from[..LANES];
        // SAFETY: `self` proves AVX-512F, and `from` holds what is read.
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from.as_ptr().cast()))) }
    }

    #[inline(always)]
    fn store(self, vector: __m512, to: &mut [f32]) {
        let to = &mut to[..LANES];
        // SAFETY: `self` proves AVX-512F, and `to` has room for what is written.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), vector) }
    }

    #[inline(always)]
    fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn load_words(self, from: &[u32]) -> __m512i {
        let from = &from[..LANES];
        // SAFETY: `self` proves AVX-512F, and `from` holds what is read.
        unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn next_code(self, words: &mut __m512i) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe {
            // A lane looks its number up with its lowest four bits, where the rotation has brought the topmost ones.
            let numbers = _mm512_setr_ps(0., 1., 2., 3., 4., 5., 6., 7., -8., -7., -6., -5., -4., -3., -2., -1.);
            *words = _mm512_rol_epi32::<4>(*words);
            _mm512_permutexvar_ps(*words, numbers)
        }
    }

    #[inline(always)]
    fn prefetch<T>(self, numbers: &[T]) {
        x86::prefetch(numbers);
    }
}

// 32 registers: 24 sums, the weights and three numbers of x.
kernels!(Avx512, "avx512f", dense: [8, 8, 8], int4: [8, 8]);
