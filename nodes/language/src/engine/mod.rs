//! The language model in slices: what the node asks of it, the real models behind that, and how much they may use.

pub mod interface;
pub mod measure;
pub mod models;
pub(crate) mod scheduler;
pub mod share;
pub mod slice_size;
pub mod workloads;
