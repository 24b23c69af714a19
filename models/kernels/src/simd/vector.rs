//! The vector operations that the kernels are written with.

/// The vector operations of one instruction set.
///
/// Only the detection of an instruction set makes a value of its type, so its methods are safe: who holds the value runs
/// on a processor that has the instructions. The methods are always inlined, into a function that is compiled for the
/// instruction set ([`Kernel`](super::kernel::Kernel)).
///
/// The slices have the length of a vector at least; the first [`LANES`](Simd::LANES) numbers are used.
pub(crate) trait Simd: Copy {
    /// Numbers in a vector.
    const LANES: usize;
    /// Rows of a tile: a multiple of `LANES`.
    const TILE: usize;
    /// So many tokens share one pass over a tile of codes of 4 bits; with more, columns are read again.
    const STREAMED_INT4: usize;
    /// The same for the other weights.
    const STREAMED: usize;
    /// A vector of 32-bit floating-point numbers.
    type F32: Copy;
    /// A vector of 32-bit words, eight 4-bit codes each.
    type Words: Copy;

    /// The same number in all lanes.
    fn splat(self, value: f32) -> Self::F32;
    /// Loads numbers as they are.
    fn load_f32(self, from: &[f32]) -> Self::F32;
    /// Loads numbers of bfloat16, exact.
    fn load_bf16(self, from: &[u16]) -> Self::F32;
    /// Loads whole numbers of 8 bits, exact.
    fn load_i8(self, from: &[i8]) -> Self::F32;
    /// Stores a vector.
    fn store(self, vector: Self::F32, to: &mut [f32]);
    /// `a * b + c` with one rounding.
    fn fma(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    /// Loads words.
    fn load_words(self, from: &[u32]) -> Self::Words;
    /// The topmost four bits of each word as a two's complement number, from −8 to 7; the words move up by four bits.
    fn next_code(self, words: &mut Self::Words) -> Self::F32;
    /// Asks the processor to bring what lies a fixed distance after these numbers into its cache.
    fn prefetch<T>(self, numbers: &[T]);
}

/// A weight that becomes a 32-bit floating-point number by itself, without its neighbours.
pub(crate) trait Weight: Copy {
    /// Loads a vector of weights.
    fn load<S: Simd>(simd: S, from: &[Self]) -> S::F32;
}

impl Weight for f32 {
    #[inline(always)]
    fn load<S: Simd>(simd: S, from: &[Self]) -> S::F32 {
        simd.load_f32(from)
    }
}

/// A bfloat16, by its bits.
impl Weight for u16 {
    #[inline(always)]
    fn load<S: Simd>(simd: S, from: &[Self]) -> S::F32 {
        simd.load_bf16(from)
    }
}

impl Weight for i8 {
    #[inline(always)]
    fn load<S: Simd>(simd: S, from: &[Self]) -> S::F32 {
        simd.load_i8(from)
    }
}
