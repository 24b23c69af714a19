//! The decoder: configuration, weights, layers, key-value cache, sampling, and sessions that run it in slices.

pub mod cache;
pub mod config;
pub mod constraint;
pub mod gguf;
pub mod model;
mod norm;
pub mod sample;
pub mod session;
pub mod weights;
