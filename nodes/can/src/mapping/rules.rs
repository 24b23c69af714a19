//! Which signal means what: a vehicle's `vss.toml`, checked against its database and compiled.
//!
//! Every row becomes one or more [`Use`]s of a signal: a [`Target`] (a named field of the vehicle state or a VSS path)
//! and a [`Reading`] that turns the frame's bits into the target's value in the target's unit.

use super::compile;
use crate::dbc::{Bits, Database, Signal};
use auriga_msgs::v1;
use std::{ops::Range, path::Path, sync::Arc, time::Duration};

/// A mapping that cannot be used. The text names the file and the line.
#[derive(Debug, thiserror::Error)]
pub enum MappingError {
    #[error("{path}: cannot be read: {source}")]
    Read { path: String, source: std::io::Error },
    #[error("{name}:{line}: {text}")]
    Toml { name: String, line: usize, text: String },
    #[error("{name}:{line}: {field}: {text}")]
    Row { name: String, line: usize, field: &'static str, text: String },
}

/// The named fields of the vehicle state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Speed,
    YawRate,
    SteeringWheel,
    Accelerator,
    Brake,
    Acceleration,
    Gear,
    Indicator,
    Range,
    Battery,
    OutsideTemperature,
    PushToTalk,
}

impl Field {
    /// The field's name in `vss.toml` and in the message, and its unit there ("": none).
    #[rustfmt::skip]
    pub const ALL: [(&'static str, Field, &'static str); 12] = [
        ("speed_mps", Field::Speed, "m/s"),
        ("yaw_rate_radps", Field::YawRate, "rad/s"),
        ("steering_wheel_rad", Field::SteeringWheel, "rad"),
        ("accelerator", Field::Accelerator, "ratio"),
        ("brake", Field::Brake, "ratio"),
        ("accel_mps2", Field::Acceleration, "m/s2"),
        ("gear", Field::Gear, ""),
        ("indicator", Field::Indicator, ""),
        ("range_km", Field::Range, "km"),
        ("battery", Field::Battery, "ratio"),
        ("outside_temp_c", Field::OutsideTemperature, "celsius"),
        ("push_to_talk", Field::PushToTalk, ""),
    ];

    /// Puts a value into the message.
    pub fn set(self, value: &Value, state: &mut v1::VehicleState) {
        let number = match value {
            Value::Number(number) => *number,
            Value::Flag(flag) => f64::from(u8::from(*flag)),
            Value::Label(_) => return,
        };
        let slot = match self {
            Field::Speed => &mut state.speed_mps,
            Field::YawRate => &mut state.yaw_rate_radps,
            Field::SteeringWheel => &mut state.steering_wheel_rad,
            Field::Accelerator => &mut state.accelerator,
            Field::Brake => &mut state.brake,
            Field::Acceleration => &mut state.accel_mps2,
            Field::Range => &mut state.range_km,
            Field::Battery => &mut state.battery,
            Field::OutsideTemperature => &mut state.outside_temp_c,
            Field::Gear => return state.gear = number as i32,
            Field::Indicator => return state.indicator = number as i32,
            Field::PushToTalk => return state.push_to_talk = Some(number != 0.0),
        };
        *slot = Some(number);
    }
}

/// Where a value goes.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    Field(Field),
    /// A VSS path.
    Vss(Arc<str>),
}

/// A value in its target's unit. Gears and indicators are the numbers of their enums.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Number(f64),
    Flag(bool),
    Label(Arc<str>),
}

/// How a signal's bits become a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    /// The physical value times `factor` plus `offset`.
    Linear { factor: f64, offset: f64 },
    /// Whether the raw value is other than 0.
    NonZero,
    /// By raw value, ascending; other raw values stand for "no value".
    Table(Box<[(i64, Value)]>),
}

/// One use of a signal.
#[derive(Debug, Clone, PartialEq)]
pub struct Use {
    /// The signal's place in its message.
    pub signal: usize,
    pub target: Target,
    pub reading: Reading,
    /// Raw values that stand for "no value".
    pub absent: Box<[i64]>,
    /// A value older than this is no longer told.
    pub timeout: Duration,
}

impl Use {
    /// The value in a frame; `None` when the frame says there is none.
    #[inline]
    pub fn read(&self, signal: &Signal, bits: &Bits) -> Option<Value> {
        if !self.absent.is_empty() && self.absent.contains(&signal.raw(bits)) {
            return None;
        }
        match &self.reading {
            Reading::Linear { factor, offset } => {
                let number = signal.physical(bits) * factor + offset;
                // Only floating-point signals can carry what is no number.
                number.is_finite().then_some(Value::Number(number))
            }
            Reading::NonZero => Some(Value::Flag(signal.raw(bits) != 0)),
            Reading::Table(table) => {
                let found = table.binary_search_by_key(&signal.raw(bits), |(raw, _)| *raw).ok()?;
                Some(table[found].1.clone())
            }
        }
    }
}

/// One radar object's message.
#[derive(Debug, Clone, PartialEq)]
pub struct Radar {
    pub id: u32,
    /// The signals' places in the message, with what turns them into metres and metres a second.
    pub x: (usize, Linear),
    pub y: (usize, Linear),
    pub vx: (usize, Linear),
    pub valid: Option<usize>,
}

/// A factor and an offset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Linear(pub f64, pub f64);

impl Linear {
    #[inline]
    pub fn apply(self, value: f64) -> f64 {
        value * self.0 + self.1
    }
}

/// What a message is used for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Its uses in [`Mapping::uses`].
    pub uses: Range<usize>,
    pub radar: Option<Radar>,
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.uses.is_empty() && self.radar.is_none()
    }
}

/// A compiled mapping.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// By the message's place in the database.
    pub(super) plans: Vec<Plan>,
    pub(super) uses: Vec<Use>,
}

impl Mapping {
    /// Reads a file and checks it against the database it is for.
    pub fn load(path: impl AsRef<Path>, database: &Database) -> Result<Mapping, MappingError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| MappingError::Read { path: name.clone(), source })?;
        Self::parse(&text, &name, database)
    }

    /// Compiles the text of a mapping; `name` stands for the file in errors.
    pub fn parse(text: &str, name: &str, database: &Database) -> Result<Mapping, MappingError> {
        compile::compile(text, name, database)
    }

    /// What the messages are used for, by their place in the database.
    pub fn plans(&self) -> &[Plan] {
        &self.plans
    }

    /// All uses, those of a message together.
    pub fn uses(&self) -> &[Use] {
        &self.uses
    }
}
