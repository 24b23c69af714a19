//! Moving what was measured at one instant to where it is at another: our own way between the two, as an arc.

use auriga_runtime::Nanos;
use std::time::Duration;

/// No car is faster; a larger value is not believed.
const MAX_SPEED_MPS: f64 = 100.0;
const MAX_YAW_RATE_RADPS: f64 = 1.5;

/// Our own movement from the scene's instant to the picture's, at constant speed and yaw rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EgoMotion {
    dt_s: f64,
    heading: f64,
    way_m: (f64, f64),
}

impl EgoMotion {
    /// Values no car has count as standing; the time is bounded to `limit` either way.
    pub fn new(speed_mps: Option<f64>, yaw_rate_radps: Option<f64>, from: Nanos, to: Nanos, limit: Duration) -> Self {
        let bound = |v: Option<f64>, most: f64| v.filter(|v| v.is_finite() && v.abs() <= most).unwrap_or(0.0);
        let (v, w) = (bound(speed_mps, MAX_SPEED_MPS), bound(yaw_rate_radps, MAX_YAW_RATE_RADPS));
        let dt_s = match to >= from {
            true => to.since(from).min(limit).as_secs_f64(),
            false => -from.since(to).min(limit).as_secs_f64(),
        };
        let heading = w * dt_s;
        // The arc's chord; for a vanishing yaw rate the straight way.
        let way_m = match w.abs() > 1e-6 {
            true => (v / w * heading.sin(), v / w * (1.0 - heading.cos())),
            false => (v * dt_s, 0.0),
        };
        Self { dt_s, heading, way_m }
    }

    /// A point that stands on the road.
    pub fn road_point(&self, x_m: f64, y_m: f64) -> (f64, f64) {
        self.turned(x_m - self.way_m.0, y_m - self.way_m.1)
    }

    /// An object whose velocity relative to us is known: our way is in it, our turning is not.
    pub fn object(&self, x_m: f64, y_m: f64, vx_mps: f64, vy_mps: f64) -> (f64, f64) {
        self.turned(x_m + vx_mps * self.dt_s, y_m + vy_mps * self.dt_s)
    }

    fn turned(&self, x: f64, y: f64) -> (f64, f64) {
        let (s, c) = self.heading.sin_cos();
        (c * x + s * y, c * y - s * x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn motion(speed: f64, yaw: f64, ms: u64) -> EgoMotion {
        EgoMotion::new(Some(speed), Some(yaw), Nanos(0), Nanos::from_millis(ms), Duration::from_millis(300))
    }

    #[test]
    fn a_point_of_the_road_comes_nearer_by_the_way_driven() {
        assert_eq!(motion(20.0, 0.0, 100).road_point(30.0, 1.5), (28.0, 1.5));
        // The time is bounded.
        assert_eq!(motion(20.0, 0.0, 5000).road_point(30.0, 1.5), (24.0, 1.5));
        // An object at our own speed stays.
        assert_eq!(motion(20.0, 0.0, 100).object(30.0, 1.5, 0.0, 0.0), (30.0, 1.5));
    }

    #[test]
    fn turning_left_moves_the_world_to_the_right() {
        let (x, y) = motion(0.0, 0.5, 200).road_point(30.0, 0.0);
        assert!((x - 30.0 * 0.1f64.cos()).abs() < 1e-9 && (y + 30.0 * 0.1f64.sin()).abs() < 1e-9);
        // On a circle of 40 m radius the circle's centre stays where it is.
        let (x, y) = motion(20.0, 0.5, 200).road_point(0.0, 40.0);
        assert!(x.abs() < 1e-9 && (y - 40.0).abs() < 1e-9, "{x} {y}");
    }

    #[test]
    fn an_absurd_speed_moves_nothing() {
        for v in [f64::NAN, f64::INFINITY, 1e9, -1e9] {
            assert_eq!(motion(v, v, 100).road_point(30.0, 1.0), (30.0, 1.0));
        }
    }
}
