//! Validation of inputs: values that are not finite or that no road vehicle can have are removed and named, so that one
//! broken signal costs one signal and not the node.

use auriga_msgs::v1;

/// Beyond this a speed is a decoding error, not a car (360 km/h).
pub const MAX_SPEED_MPS: f64 = 100.0;
/// Beyond this a yaw rate is not a car's (a spin on ice stays below 3 rad/s).
const MAX_YAW_RATE_RADPS: f64 = 4.0;
/// 20 revolutions: no steering wheel.
const MAX_STEERING_RAD: f64 = 126.0;
/// A crash exceeds this, a drive does not.
const MAX_ACCEL_MPS2: f64 = 50.0;
/// Automotive long-range radar ends at about 250 m.
const MAX_RANGE_M: f64 = 300.0;
/// Two cars at full speed towards each other.
const MAX_REL_SPEED_MPS: f64 = 2.0 * MAX_SPEED_MPS;

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
        let mut within = |name, value: Option<f64>, low: f64, high: f64| {
            let value = value?;
            // NaN is in no range.
            if (low..=high).contains(&value) {
                return Some(value);
            }
            reject(name, value);
            None
        };
        Motion {
            speed_mps: within("speed_mps", state.speed_mps, -MAX_SPEED_MPS, MAX_SPEED_MPS),
            yaw_rate_radps: within("yaw_rate_radps", state.yaw_rate_radps, -MAX_YAW_RATE_RADPS, MAX_YAW_RATE_RADPS),
            steering_wheel_rad: within(
                "steering_wheel_rad",
                state.steering_wheel_rad,
                -MAX_STEERING_RAD,
                MAX_STEERING_RAD,
            ),
            accelerator: within("accelerator", state.accelerator, 0.0, 1.1),
            brake: within("brake", state.brake, 0.0, 1.1),
            accel_mps2: within("accel_mps2", state.accel_mps2, -MAX_ACCEL_MPS2, MAX_ACCEL_MPS2),
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

/// Whether the values of a radar object are plausible.
pub fn radar_is_plausible(track: &v1::RadarTrack) -> bool {
    (0.0..=MAX_RANGE_M).contains(&f64::from(track.x_m))
        && (-MAX_RANGE_M..=MAX_RANGE_M).contains(&f64::from(track.y_m))
        && (-MAX_REL_SPEED_MPS..=MAX_REL_SPEED_MPS).contains(&f64::from(track.vx_mps))
}

/// A lanes message without its implausible values, and whether any was removed.
pub fn lanes(message: &v1::Lanes) -> (v1::Lanes, bool) {
    let mut removed = false;
    let mut line = |l: &Option<v1::LaneLine>| {
        let kept = l.filter(line_is_plausible);
        removed |= l.is_some() && kept.is_none();
        kept
    };
    let (left, right) = (line(&message.left), line(&message.right));
    let mut within = |value: Option<f64>, limit: f64| {
        let kept = value.filter(|v| v.abs() <= limit);
        removed |= value.is_some() && kept.is_none();
        kept
    };
    let checked = v1::Lanes {
        header: message.header,
        left,
        right,
        offset_m: within(message.offset_m, 10.0),
        // A radius of 5 m: tighter than any car turns.
        curvature_per_m: within(message.curvature_per_m, 0.2),
        width_m: within(message.width_m, 10.0),
        heading_rad: within(message.heading_rad, 1.0),
    };
    (checked, removed)
}

fn line_is_plausible(line: &v1::LaneLine) -> bool {
    line.c0_m.abs() <= 10.0
        && line.c1.abs() <= 1.0
        && line.c2_per_m.abs() <= 0.1
        && (0.0..=1.0).contains(&line.confidence)
        && (-100.0..=300.0).contains(&line.x_min_m)
        && (-100.0..=300.0).contains(&line.x_max_m)
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
