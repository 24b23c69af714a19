//! The kernels: one body over a small trait of vector operations, and an implementation of the trait for each
//! instruction set. A value of such an implementation is the proof that this processor has the instruction set.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
pub(crate) mod kernel;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
pub(crate) mod scalar;
pub(crate) mod vector;
#[cfg(target_arch = "x86_64")]
mod x86;
