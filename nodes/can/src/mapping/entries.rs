//! The compiled rows of a mapping.

use super::target::{Target, Value};
use crate::dbc::{Bits, Signal};
use std::{ops::Range, time::Duration};

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
    /// Raw values that mean "no value".
    pub absent: Box<[i64]>,
    /// A value older than this is removed from the state.
    pub timeout: Duration,
}

impl SignalMapping {
    /// The value in a frame; `None` when the frame has none.
    #[inline]
    pub fn value(&self, signal: &Signal, bits: &Bits) -> Option<Value> {
        if !self.absent.is_empty() && self.absent.contains(&signal.raw(bits)) {
            return None;
        }
        match &self.conversion {
            Conversion::Linear(linear) => {
                let number = linear.apply(signal.physical(bits));
                // Only floating-point signals can have a value that is not finite.
                number.is_finite().then_some(Value::Number(number))
            }
            Conversion::NonZero => Some(Value::Flag(signal.raw(bits) != 0)),
            Conversion::Table(table) => {
                let found = table.binary_search_by_key(&signal.raw(bits), |(raw, _)| *raw).ok()?;
                Some(table[found].1.clone())
            }
        }
    }
}

/// The message of one radar object. Signals are given by their index in the message.
#[derive(Debug, Clone, PartialEq)]
pub struct RadarObject {
    /// Id of the object.
    pub id: u32,
    /// Metres ahead.
    pub x: (usize, Linear),
    /// Metres to the left.
    pub y: (usize, Linear),
    /// Relative speed along the car, in metres per second.
    pub vx: (usize, Linear),
    /// Not 0 when there is an object; without this signal there always is one.
    pub valid: Option<usize>,
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
