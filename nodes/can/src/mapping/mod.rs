//! The mapping of a vehicle: which signals of its database are published as which field of the vehicle state or VSS
//! path. It is read from `vss.toml`, checked against the database and compiled.
//!
//! Each row becomes one or more [`SignalMapping`]s: a [`Target`] and a [`Conversion`] from the frame's bits to the
//! target's value in the target's unit.

mod compile;
mod entries;
mod error;
mod file;
mod signal_map;
mod target;
pub mod units;
pub mod vss;

pub use entries::{Conversion, Linear, MessageMapping, RadarObject, SignalMapping};
pub use error::MappingError;
pub use signal_map::Mapping;
pub use target::{Field, Target, Value};
