//! Matrix products in each weight format: what is read from a checkpoint, quantized where it shall be, and multiplied by
//! the kernels of [`auriga_kernels`] or libtorch's.

pub mod backend;
pub mod device;
pub mod linear;
mod openmp;
mod packed;
pub(crate) mod quantized;
pub(crate) mod tensor_slices;
