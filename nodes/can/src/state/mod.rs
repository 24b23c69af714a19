//! The newest value of each signal.

pub mod values;
