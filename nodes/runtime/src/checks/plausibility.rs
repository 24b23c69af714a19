//! What is true of every road car: limits beyond which a value is a decoding error or a broken sensor, not driving.
//!
//! Each limit stands here once, with its unit and its source; nodes use these and none of their own. The limits are
//! wide on purpose: they find values that cannot be, not driving that is unusual.
//!
//! ```
//! use auriga_runtime::plausibility::{SPEED_MPS, YAW_RATE_RADPS, within};
//!
//! let mut rejected = Vec::new();
//! let mut check = |name, value, range| within(value, range).unwrap_or_else(|v| { rejected.push((name, v)); None });
//! assert_eq!(check("speed_mps", Some(13.9), SPEED_MPS), Some(13.9));
//! assert_eq!(check("yaw_rate_radps", Some(70.0), YAW_RATE_RADPS), None);
//! assert_eq!(rejected, [("yaw_rate_radps", 70.0)]);
//! ```

use crate::time::Nanos;
use auriga_msgs::v1;
use std::{ops::RangeInclusive, time::Duration};

/// Speed along the vehicle's x axis in m/s, negative in reverse. The fastest series-produced road car reached
/// 124 m/s (Koenigsegg Agera RS, 447 km/h, mean of two directions, November 2017); most are limited to 70 m/s.
pub const SPEED_MPS: RangeInclusive<f64> = -130.0..=130.0;

/// Yaw rate in rad/s, positive to the left. Inertial sensors of stability controls measure up to 163 degrees/s, that is
/// 2.8 rad/s (Bosch MM7.10, data sheet); a car that spins stays below that.
pub const YAW_RATE_RADPS: RangeInclusive<f64> = -3.0..=3.0;

/// Longitudinal or lateral acceleration in m/s². Inertial sensors of stability controls measure up to 4.2 g, that is
/// 41 m/s² (Bosch MM7.10, data sheet); tyres carry little more than 1 g. What is beyond is a crash or a broken sensor.
pub const ACCELERATION_MPS2: RangeInclusive<f64> = -50.0..=50.0;

/// Angle of the steering wheel in rad, positive to the left. Steering angle sensors measure 780 degrees to each side,
/// that is 13.6 rad (Bosch LWS, data sheet); the rest leaves room for slow steering gears of vans.
pub const STEERING_WHEEL_RAD: RangeInclusive<f64> = -20.0..=20.0;

/// Position of a pedal as a share of its travel. 1 is fully pressed; a sensor that was calibrated once may go a tenth
/// beyond (the tenth is this project's choice).
pub const PEDAL: RangeInclusive<f64> = 0.0..=1.1;

/// Distance of a radar object in metres. Long-range radars of cars end at 300 m (Continental ARS540, product page).
pub const RADAR_RANGE_M: RangeInclusive<f64> = 0.0..=300.0;

/// Speed of a radar object relative to the car in m/s: two cars at full speed, towards or away from each other.
pub const RELATIVE_SPEED_MPS: RangeInclusive<f64> = -2.0 * *SPEED_MPS.end()..=2.0 * *SPEED_MPS.end();

/// Curvature of a lane's centre in 1/m, positive to the left. Hairpin bends of public roads are wider than a radius of
/// 5 m (this project's choice).
pub const CURVATURE_PER_M: RangeInclusive<f64> = -0.2..=0.2;

/// How far to a side a marking or the centre of the vehicle's lane may be, and the greatest width of a lane, in metres.
/// Lanes are up to 3.75 m wide (German motorway guideline RAA 2008); what is more than two of them away does not bound
/// the vehicle's own.
pub const LANE_M: RangeInclusive<f64> = -10.0..=10.0;

/// Height of a forward camera's optical centre above the road in metres: from below a bumper to far above the 4 m that
/// a road vehicle may be high in the EU (Directive 96/53/EC).
pub const CAMERA_HEIGHT_M: RangeInclusive<f64> = 0.1..=10.0;

/// Pitch and yaw of a forward camera against the vehicle in rad: beyond 46 degrees it does not look ahead any more (this
/// project's choice).
pub const CAMERA_ANGLE_RAD: RangeInclusive<f64> = -0.8..=0.8;

/// How far the front bumper lies ahead of a forward camera's optical centre, in metres: negative where the camera hangs
/// ahead of it. 2 m behind a bonnet, near 0 in a bus; the rest is room (this project's choice).
pub const BUMPER_AHEAD_M: RangeInclusive<f64> = -5.0..=10.0;

/// How far a stamp may lie ahead of the reader's clock before it is taken to be wrong. All nodes of a machine read the
/// same monotonic clock, so only the rounding of stamps that were converted from another clock (the kernel's wall-clock
/// stamps of CAN frames, the milliseconds of a video driver) puts one ahead. Less than two frames of a camera at 25 Hz.
pub const STAMP_AHEAD: Duration = Duration::from_millis(50);

/// By how much `stamp` lies ahead of `now`, if that is more than [`STAMP_AHEAD`]; `None` for a plausible stamp.
pub fn stamp_ahead(stamp: Nanos, now: Nanos) -> Option<Duration> {
    Some(stamp.since(now)).filter(|ahead| *ahead > STAMP_AHEAD)
}

/// An optional value that is in `range`, or else the value that is not, as the error. Not-a-number is in no range; an
/// absent value stays absent.
pub fn within(value: Option<f64>, range: RangeInclusive<f64>) -> Result<Option<f64>, f64> {
    match value {
        Some(v) if !range.contains(&v) => Err(v),
        value => Ok(value),
    }
}

/// Whether the position and speed of a radar object can be real.
pub fn is_radar_track(track: &v1::RadarTrack) -> bool {
    let (x, y, vx) = (f64::from(track.x_m), f64::from(track.y_m), f64::from(track.vx_mps));
    RADAR_RANGE_M.contains(&x) && RADAR_RANGE_M.contains(&y.abs()) && RELATIVE_SPEED_MPS.contains(&vx)
}

/// Whether the polynomial of a lane line can be a marking of the road within the range of a camera.
pub fn is_lane_line(line: &v1::LaneLine) -> bool {
    // A line that crosses the vehicle's at more than 45 degrees is no line of its lane.
    const SLOPE: RangeInclusive<f64> = -1.0..=1.0;
    const X_M: RangeInclusive<f64> = -100.0..=300.0;
    LANE_M.contains(&line.c0_m)
        && SLOPE.contains(&line.c1)
        // The curvature of y = c0 + c1 x + c2 x² is about 2 c2.
        && CURVATURE_PER_M.contains(&(2.0 * line.c2_per_m))
        && (0.0..=1.0).contains(&line.confidence)
        && X_M.contains(&line.x_min_m)
        && X_M.contains(&line.x_max_m)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_in_range_pass_and_others_are_returned_as_the_error() {
        assert_eq!(within(Some(30.0), SPEED_MPS), Ok(Some(30.0)));
        assert_eq!(within(Some(-130.0), SPEED_MPS), Ok(Some(-130.0)));
        assert_eq!(within(None, SPEED_MPS), Ok(None));
        assert_eq!(within(Some(130.1), SPEED_MPS), Err(130.1));
        assert!(within(Some(f64::NAN), PEDAL).is_err_and(f64::is_nan));
    }

    #[test]
    fn a_stamp_is_ahead_from_50_ms_on() {
        let now = Nanos::from_millis(1000);
        assert_eq!(stamp_ahead(Nanos::from_millis(1050), now), None);
        assert_eq!(stamp_ahead(Nanos::from_millis(1051), now), Some(Duration::from_millis(51)));
        assert_eq!(stamp_ahead(Nanos::from_millis(10), now), None);
    }

    #[test]
    fn radar_tracks_and_lane_lines_with_a_broken_number_are_rejected() {
        let track = v1::RadarTrack { x_m: 40.0, y_m: -2.0, vx_mps: -3.0, valid: true, ..Default::default() };
        assert!(is_radar_track(&track));
        assert!(!is_radar_track(&v1::RadarTrack { x_m: -1.0, ..track }));
        assert!(!is_radar_track(&v1::RadarTrack { y_m: f32::NAN, ..track }));
        assert!(!is_radar_track(&v1::RadarTrack { vx_mps: 300.0, ..track }));
        let line = v1::LaneLine { c0_m: 1.7, confidence: 0.9, x_max_m: 30.0, ..Default::default() };
        assert!(is_lane_line(&line));
        assert!(!is_lane_line(&v1::LaneLine { c0_m: 10.1, ..line }));
        assert!(!is_lane_line(&v1::LaneLine { c2_per_m: f64::INFINITY, ..line }));
        assert!(!is_lane_line(&v1::LaneLine { confidence: f32::NAN, ..line }));
    }
}
