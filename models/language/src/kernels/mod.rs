//! Matrix products in each weight format.

pub mod device;
pub mod linear;
mod openmp;
pub(crate) mod quantized;
pub(crate) mod tensor_slices;
pub mod tiled;
