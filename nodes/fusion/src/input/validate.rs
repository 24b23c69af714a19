//! Validation of inputs: values that are not finite or that no road vehicle can have are removed and named, so that one
//! broken signal costs one signal and not the node.

use auriga_msgs::v1;
use auriga_runtime::plausibility::{
    ACCELERATION_MPS2, CURVATURE_PER_M, LANE_M, PEDAL, SPEED_MPS, STEERING_WHEEL_RAD, YAW_RATE_RADPS, is_lane_line,
    within,
};
use std::ops::RangeInclusive;

/// Heading of the vehicle against its lane, in rad: beyond about 57 degrees it does not drive along it.
const HEADING_RAD: RangeInclusive<f64> = -1.0..=1.0;

/// The vehicle's motion and pedals at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Motion {
    /// Negative in reverse.
    pub speed_mps: Option<f64>,
    /// Positive turns left.
    pub yaw_rate_radps: Option<f64>,
    /// Positive turns left.
    pub steering_wheel_rad: Option<f64>,
    /// Pedal, 0 to 1.
    pub accelerator: Option<f64>,
    /// Pedal, 0 to 1.
    pub brake: Option<f64>,
    /// Longitudinal.
    pub accel_mps2: Option<f64>,
}

impl Motion {
    /// The plausible values of a message. `reject` is called with the name and value of each other one.
    pub fn validated(state: &v1::VehicleState, mut reject: impl FnMut(&'static str, f64)) -> Motion {
        let mut check = |name, value, range: RangeInclusive<f64>| {
            within(value, range).unwrap_or_else(|value| {
                reject(name, value);
                None
            })
        };
        Motion {
            speed_mps: check("speed_mps", state.speed_mps, SPEED_MPS),
            yaw_rate_radps: check("yaw_rate_radps", state.yaw_rate_radps, YAW_RATE_RADPS),
            steering_wheel_rad: check("steering_wheel_rad", state.steering_wheel_rad, STEERING_WHEEL_RAD),
            accelerator: check("accelerator", state.accelerator, PEDAL),
            brake: check("brake", state.brake, PEDAL),
            accel_mps2: check("accel_mps2", state.accel_mps2, ACCELERATION_MPS2),
        }
    }

    /// Linear interpolation from `self` (`part` = 0) to `later` (1); a value that only one of them has is held.
    pub fn lerp(&self, later: &Motion, part: f64) -> Motion {
        let mix = |a: Option<f64>, b: Option<f64>| match (a, b) {
            (Some(a), Some(b)) => Some(a + (b - a) * part),
            (a, _) => a,
        };
        Motion {
            speed_mps: mix(self.speed_mps, later.speed_mps),
            yaw_rate_radps: mix(self.yaw_rate_radps, later.yaw_rate_radps),
            steering_wheel_rad: mix(self.steering_wheel_rad, later.steering_wheel_rad),
            accelerator: mix(self.accelerator, later.accelerator),
            brake: mix(self.brake, later.brake),
            accel_mps2: mix(self.accel_mps2, later.accel_mps2),
        }
    }
}

/// A lanes message without its implausible values, and whether any was removed.
pub fn lanes(message: &v1::Lanes) -> (v1::Lanes, bool) {
    let mut removed = false;
    let mut line = |l: &Option<v1::LaneLine>| {
        let kept = l.filter(is_lane_line);
        removed |= l.is_some() && kept.is_none();
        kept
    };
    let (left, right) = (line(&message.left), line(&message.right));
    let mut check = |value: Option<f64>, range: RangeInclusive<f64>| {
        within(value, range).unwrap_or_else(|_| {
            removed = true;
            None
        })
    };
    let validated = v1::Lanes {
        header: message.header,
        left,
        right,
        offset_m: check(message.offset_m, LANE_M),
        curvature_per_m: check(message.curvature_per_m, CURVATURE_PER_M),
        width_m: check(message.width_m, LANE_M),
        heading_rad: check(message.heading_rad, HEADING_RAD),
        picture: message.picture,
    };
    (validated, removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn implausible_values_are_removed_and_named() {
        let state = v1::VehicleState {
            speed_mps: Some(1e9),
            yaw_rate_radps: Some(f64::NAN),
            brake: Some(0.5),
            ..Default::default()
        };
        let mut names = Vec::new();
        let motion = Motion::validated(&state, |name, _| names.push(name));
        assert_eq!(motion, Motion { brake: Some(0.5), ..Default::default() });
        assert_eq!(names, ["speed_mps", "yaw_rate_radps"]);
    }

    #[test]
    fn a_lane_line_with_an_invalid_coefficient_is_removed() {
        let good = v1::LaneLine { c0_m: 1.7, confidence: 0.9, x_max_m: 30.0, ..Default::default() };
        let bad = v1::LaneLine { c2_per_m: f64::INFINITY, ..good };
        let message =
            v1::Lanes { left: Some(good), right: Some(bad), heading_rad: Some(f64::NAN), ..Default::default() };
        let (lanes, removed) = lanes(&message);
        assert!(removed);
        assert_eq!((lanes.left, lanes.right, lanes.heading_rad), (Some(good), None, None));
    }
}
