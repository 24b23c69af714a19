//! Where a signal's value is published.

use auriga_msgs::v1;
use std::sync::Arc;

/// The named fields of the vehicle state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "Field::ALL has each one's name in the message and its unit")]
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

    /// Writes a value into the message.
    pub fn set(self, value: &Value, state: &mut v1::VehicleState) {
        let number = match value {
            Value::Number(number) => *number,
            Value::Flag(flag) => f64::from(u8::from(*flag)),
            Value::Label(_) => return,
        };
        let field = match self {
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
        *field = Some(number);
    }
}

/// Where a value is published.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// A named field of the vehicle state.
    Field(Field),
    /// A VSS path.
    Vss(Arc<str>),
}

impl Target {
    /// The field's name or the path, as `vss.toml` has it.
    pub fn name(&self) -> &str {
        match self {
            Target::Field(field) => {
                Field::ALL.iter().find(|(_, known, _)| known == field).map_or("", |(name, ..)| name)
            }
            Target::Vss(path) => path,
        }
    }
}

/// A value in its target's unit. Gears and indicators are the numbers of their enums.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number in the target's unit.
    Number(f64),
    /// True or false.
    Flag(bool),
    /// One of the words that VSS allows.
    Label(Arc<str>),
}
