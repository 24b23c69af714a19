//! Which signal means what.

mod compile;
mod file;
mod rules;
pub mod units;
pub mod vss;

pub use rules::*;
