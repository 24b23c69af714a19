//! Where frames come from.

pub mod log;
pub mod socket;
pub mod source;
