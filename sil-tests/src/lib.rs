//! The drive generator, the drives it makes, scenarios and reports.

pub mod drive;
pub mod generator;
