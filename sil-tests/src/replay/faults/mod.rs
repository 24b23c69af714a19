//! Faults: what can go wrong in a car, put into a replay on purpose.

pub(super) mod inject;
pub(super) mod kills;
mod spec;

pub use spec::{Delay, Drop, Faults, Garbage, Kill, Noise, Span, WrongLength};
