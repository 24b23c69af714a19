//! The mapping of a vehicle: which signals of its database are published as which field of the vehicle state or VSS
//! path. It is read from `vss.toml`, checked against the database and compiled.
//!
//! Each row becomes one or more [`SignalMapping`]s: a [`Target`] and a [`Conversion`] from the frame's bits to the
//! target's value in the target's unit. Rows with the same target become one value ([`Combined`]).

mod checks;
mod combine;
mod compile;
mod entries;
mod error;
mod signal_map;
mod target;
pub mod units;
pub mod vss;

pub use checks::{Checks, Missing};
pub use combine::{Combined, Rule};
pub use entries::{Conversion, Linear, Measure, MessageMapping, RadarObject, SignalMapping};
pub use error::MappingError;
pub use signal_map::Mapping;
pub use target::{Field, Target, Value};
