//! Faults that are injected into a replay.

pub(super) mod inject;
pub(super) mod kills;
mod spec;

pub use spec::{Delay, Drop, Faults, Garbage, Kill, Noise, Span, WrongLength};
