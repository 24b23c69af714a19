//! The kernels: y += W x of one tile and a block of its columns, for M tokens.

use super::{Block, TILE, WORD};
use crate::kernels::quantized::GROUP;
use std::arch::x86_64::*;

/// Numbers in a register, and registers for a tile.
const LANES: usize = 16;
const REGISTERS: usize = TILE / LANES;
const LINE_BYTES: usize = 64;
/// How long before it is read a line is asked for: two pages, which was as fast as memory allowed on an EPYC of 2024;
/// one page was a tenth slower, a quarter of one as slow as nothing.
const AHEAD: usize = 8192;

/// Whether this processor has what the kernels need.
pub fn supported() -> bool {
    is_x86_feature_detected!("avx512f")
}

/// Numbers of a tile, in the registers of a kernel.
type Tile = [__m512; REGISTERS];

#[inline]
#[target_feature(enable = "avx512f")]
fn zero() -> Tile {
    [_mm512_setzero_ps(); REGISTERS]
}

/// Asks for the lines that lie [`AHEAD`] of these.
#[inline]
#[target_feature(enable = "avx512f")]
fn ask_ahead<T>(numbers: &[T]) {
    for line in (0..size_of_val(numbers)).step_by(LINE_BYTES) {
        // Beyond the end it is a wish that is not granted, not an access.
        _mm_prefetch::<_MM_HINT_T0>(numbers.as_ptr().cast::<i8>().wrapping_add(AHEAD + line));
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(from: &[f32; TILE]) -> Tile {
    let mut tile = zero();
    for (to, from) in tile.iter_mut().zip(from.as_chunks().0) {
        *to = of_f32(from);
    }
    tile
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(tile: &Tile, to: &mut [f32; TILE]) {
    for (from, to) in tile.iter().zip(to.as_chunks_mut::<LANES>().0) {
        // SAFETY: there is room for the 16 numbers of a register.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), *from) };
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn of_f32(numbers: &[f32; LANES]) -> __m512 {
    // SAFETY: these are the numbers that it reads.
    unsafe { _mm512_loadu_ps(numbers.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn of_bf16(numbers: &[u16; LANES]) -> __m512 {
    // SAFETY: these are the numbers that it reads.
    let halves = unsafe { _mm256_loadu_si256(numbers.as_ptr().cast()) };
    _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves)))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn of_i8(numbers: &[i8; LANES]) -> __m512 {
    // SAFETY: these are the numbers that it reads.
    let bytes = unsafe { _mm_loadu_si128(numbers.as_ptr().cast()) };
    _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes))
}

/// numbers: [columns of the block]; y: [M].
macro_rules! kernel {
    ($name:ident, $number:ty, $decoded:ident) => {
        #[target_feature(enable = "avx512f")]
        pub fn $name<const M: usize>(numbers: &[[$number; TILE]], block: &Block<'_>, y: &mut [[f32; TILE]]) {
            let x: [&[f32]; M] = std::array::from_fn(|m| block.x(m, numbers.len()));
            let mut sums: [Tile; M] = std::array::from_fn(|m| load(&y[m]));
            for (c, numbers) in numbers.iter().enumerate() {
                if block.first {
                    ask_ahead(numbers);
                }
                let x: [__m512; M] = std::array::from_fn(|m| _mm512_set1_ps(x[m][c]));
                for (r, numbers) in numbers.as_chunks().0.iter().enumerate() {
                    let w = $decoded(numbers);
                    for m in 0..M {
                        sums[m][r] = _mm512_fmadd_ps(w, x[m], sums[m][r]);
                    }
                }
            }
            for (sums, y) in sums.iter().zip(y) {
                store(sums, y);
            }
        }
    };
}

kernel!(f32, f32, of_f32);
kernel!(bf16, u16, of_bf16);
// Without the rows' scales.
kernel!(int8, i8, of_i8);

/// words: [columns of the block / WORD]; scales: [its groups], scale and middle; y: [M].
#[target_feature(enable = "avx512f")]
pub fn int4<const M: usize>(
    words: &[[u32; TILE]],
    scales: &[[[u16; TILE]; 2]],
    block: &Block<'_>,
    y: &mut [[f32; TILE]],
) {
    // A lane looks its number up with its lowest four bits: step − 8.
    let numbers = _mm512_setr_ps(-8., -7., -6., -5., -4., -3., -2., -1., 0., 1., 2., 3., 4., 5., 6., 7.);
    let x: [&[f32]; M] = std::array::from_fn(|m| block.x(m, words.len() * WORD));
    let mut all: [Tile; M] = std::array::from_fn(|m| load(&y[m]));
    for (g, words) in words.chunks_exact(GROUP / WORD).enumerate() {
        let mut group = [zero(); M];
        for (i, words) in words.iter().enumerate() {
            if block.first {
                ask_ahead(words);
            }
            let words = words.as_chunks::<LANES>().0;
            // SAFETY: these are the words that it reads.
            let mut bits: [__m512i; REGISTERS] =
                std::array::from_fn(|r| unsafe { _mm512_loadu_si512(words[r].as_ptr().cast()) });
            for c in 0..WORD {
                let x: [__m512; M] = std::array::from_fn(|m| _mm512_set1_ps(x[m][g * GROUP + i * WORD + c]));
                for (r, bits) in bits.iter_mut().enumerate() {
                    let w = _mm512_permutexvar_ps(*bits, numbers);
                    for m in 0..M {
                        group[m][r] = _mm512_fmadd_ps(w, x[m], group[m][r]);
                    }
                    *bits = _mm512_srli_epi32::<4>(*bits);
                }
            }
        }
        let [scale, middle] = scales[g].each_ref().map(|s| s.as_chunks::<LANES>().0);
        for m in 0..M {
            let sum = _mm512_set1_ps(block.sum(m, g));
            for r in 0..REGISTERS {
                let scaled = _mm512_fmadd_ps(group[m][r], of_bf16(&scale[r]), all[m][r]);
                all[m][r] = _mm512_fmadd_ps(sum, of_bf16(&middle[r]), scaled);
            }
        }
    }
    for (all, y) in all.iter().zip(y) {
        store(all, y);
    }
}
