//! The drive generator, the drives it makes, scenarios and reports.

pub mod generator;

/// The drive's form on disk; the monitor node, which reads it live, owns it.
pub use auriga_monitor::drive;
