//! Products of a matrix and a few tokens, as a decoder computes them, over plain slices and without a dependency.
//!
//! One token needs every weight once, so weights must become numbers as fast as memory brings them. A matrix is packed
//! for the processor it runs on, and then multiplied:
//!
//! ```
//! use auriga_kernels::{Kernels, Matrix};
//!
//! # fn main() -> Result<(), auriga_kernels::ShapeError> {
//! // Three rows of two columns.
//! let matrix = Matrix::f32(Kernels::best(), [3, 2], &[1.0, 0.0, 0.0, 1.0, 2.0, 3.0])?;
//! // Two tokens.
//! assert_eq!(matrix.multiply(&[10.0, 1.0, 20.0, 2.0]), [10.0, 1.0, 23.0, 20.0, 2.0, 46.0]);
//! # Ok(())
//! # }
//! ```
//!
//! # Instruction sets
//! [`Kernels::best`] finds out at run time what the processor can do: AVX-512F, AVX2 with FMA, NEON, or none of them
//! ([`InstructionSet`]). A [`Kernels`] comes from this detection alone, and a [`Matrix`] holds the one it was packed for,
//! so safe code cannot reach an instruction that the processor lacks. [`Kernels::of`] chooses one, for tests and
//! benchmarks.
//!
//! # Results
//! Every instruction set gives the same bits, whatever the number of tokens and threads: a row adds up its columns in
//! their order, one fused multiply-add of 32 bits each. With codes of 4 bits a group of 32 columns is added up that way,
//! then scaled and added to the row's sum, and so is the sum of x over the group times the zero point; with codes of 8
//! bits the row's scale comes last.
//!
//! # Modules
//! | module | what it has |
//! | --- | --- |
//! | `dispatch` | the instruction sets, and which of them the processor has |
//! | `matrix` | packed matrices, their products, the order of tokens and blocks of columns |
//! | `pack` | the order of weights in memory |
//! | `simd` | the kernels over a trait of vector operations, and its implementations |
//! | `norm` | RMSNorm |

#![deny(missing_docs)]

mod dispatch;
mod matrix;
mod norm;
mod pack;
mod simd;

pub use dispatch::{InstructionSet, Kernels, UnknownInstructionSet};
pub use matrix::{Matrix, Product, ShapeError};
pub use norm::rms_norm;
