//! Checks the files of a Vosk model before libvosk loads them.

pub mod check;
pub mod error;
mod fst;

pub use check::{ModelInfo, check};
pub use error::ModelError;
