//! The compiled rows of a mapping.

use super::{
    checks::{Checks, Missing},
    target::{Target, Value},
};
use crate::dbc::{Bits, Signal};
use auriga_msgs::v1;
use auriga_runtime::Nanos;
use std::{ops::Range, sync::Arc, time::Duration};

/// How a signal is converted to the target's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Conversion {
    /// From the physical value.
    Linear(Linear),
    /// True when the raw value is not 0.
    NonZero,
    /// By raw value, in ascending order; other raw values mean "no value".
    Table(Box<[(i64, Value)]>),
}

/// One signal mapped to one target.
#[derive(Debug, Clone, PartialEq)]
pub struct SignalMapping {
    /// The signal's index in its message.
    pub signal: usize,
    /// Where the value is published.
    pub target: Target,
    /// How the signal is converted.
    pub conversion: Conversion,
    /// Which raw values are no values.
    pub checks: Checks,
    /// A value older than this is removed from the state.
    pub timeout: Duration,
    /// Only from frames of this bus.
    pub bus: Option<Arc<str>>,
    /// Only from frames of this source address (J1939).
    pub source: Option<u8>,
    /// The target has several signals: its value is in [`Mapping::combined`](super::Mapping::combined).
    pub is_combined: bool,
}

impl SignalMapping {
    /// The value in a frame, or why the frame has none.
    ///
    /// # Errors
    /// When the raw value is no value.
    #[inline]
    pub fn value(&self, signal: &Signal, bits: &Bits) -> Result<Value, Missing> {
        match &self.conversion {
            Conversion::Linear(linear) => {
                let number = linear.apply(self.checks.physical(signal, bits)?);
                if number.is_finite() { Ok(Value::Number(number)) } else { Err(Missing::Meaningless) }
            }
            Conversion::NonZero => Ok(Value::Flag(self.checks.raw(signal, bits)? != 0)),
            Conversion::Table(table) => {
                let raw = self.checks.raw(signal, bits)?;
                let found = table.binary_search_by_key(&raw, |(raw, _)| *raw);
                found.map(|at| table[at].1.clone()).map_err(|_| Missing::Meaningless)
            }
        }
    }
}

/// A measure of a radar object.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// The signal's index in its message.
    pub signal: usize,
    /// To the measure's unit.
    pub linear: Linear,
    /// Which raw values are no values.
    pub checks: Checks,
}

/// The message of one radar object.
#[derive(Debug, Clone, PartialEq)]
pub struct RadarObject {
    /// Id of the object.
    pub id: u32,
    /// Metres ahead.
    pub x: Measure,
    /// Metres to the left.
    pub y: Measure,
    /// Relative speed along the car, in metres per second.
    pub vx: Measure,
    /// Index of the signal that is not 0 when there is an object; without it there always is one.
    pub valid: Option<usize>,
}

impl RadarObject {
    /// The object in a frame; `None` when the frame does not have all of its signals. An object of which a measure is not
    /// available is not valid.
    pub fn track(&self, signals: &[Signal], bits: &Bits, stamp: Nanos) -> Option<v1::RadarTrack> {
        let measures = [&self.x, &self.y, &self.vx];
        let mut used = measures.iter().map(|measure| measure.signal).chain(self.valid);
        if !used.all(|signal| signals[signal].is_present(bits)) {
            return None;
        }
        let read = |measure: &Measure| {
            let value = measure.checks.physical(&signals[measure.signal], bits).ok()?;
            Some(measure.linear.apply(value)).filter(|value| value.is_finite())
        };
        let values = measures.map(read);
        let there = self.valid.is_none_or(|signal| signals[signal].raw(bits) != 0);
        let [x, y, vx] = values.map(|value| value.unwrap_or_default() as f32);
        let valid = there && values.iter().all(Option::is_some);
        Some(v1::RadarTrack { id: self.id, stamp_ns: stamp.0, x_m: x, y_m: y, vx_mps: vx, valid })
    }
}

/// A linear conversion: value * factor + offset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Linear {
    /// Multiplied first.
    pub factor: f64,
    /// Added then.
    pub offset: f64,
}

impl Linear {
    /// The converted value.
    #[inline]
    pub fn apply(self, value: f64) -> f64 {
        value * self.factor + self.offset
    }
}

/// What is read from the frames of one message.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MessageMapping {
    /// Its signals: a range of [`Mapping::signals`](super::Mapping::signals).
    pub signals: Range<usize>,
    /// The radar object that it carries.
    pub radar: Option<RadarObject>,
}

impl MessageMapping {
    /// Whether nothing is read from its frames.
    pub fn is_empty(&self) -> bool {
        self.signals.is_empty() && self.radar.is_none()
    }
}
