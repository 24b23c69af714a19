//! The commands of `auriga-lm`.

pub mod bench;
pub mod commands;
pub mod quantize;
