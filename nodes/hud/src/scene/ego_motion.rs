//! Ego-motion compensation: moves what was measured at one instant to where it is at another. Between the two the own
//! car follows an arc (constant speed and yaw rate).

use auriga_runtime::{
    Nanos,
    plausibility::{SPEED_MPS, YAW_RATE_RADPS, within},
};
use std::{ops::RangeInclusive, time::Duration};

/// The own car's movement from the scene's instant to the picture's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EgoMotion {
    dt_s: f64,
    heading_rad: f64,
    /// Ahead and to the left.
    displacement_m: (f64, f64),
}

impl EgoMotion {
    /// `velocity_mps`: ahead, negative in reverse. Missing and implausible values count as 0; the time is bounded to
    /// `limit` in both directions.
    pub fn new(
        velocity_mps: Option<f64>,
        yaw_rate_radps: Option<f64>,
        from: Nanos,
        to: Nanos,
        limit: Duration,
    ) -> Self {
        let plausible = |v: Option<f64>, range: RangeInclusive<f64>| within(v, range).ok().flatten().unwrap_or(0.0);
        let (v, w) = (plausible(velocity_mps, SPEED_MPS), plausible(yaw_rate_radps, YAW_RATE_RADPS));
        let dt_s = match to >= from {
            true => to.since(from).min(limit).as_secs_f64(),
            false => -from.since(to).min(limit).as_secs_f64(),
        };
        let heading_rad = w * dt_s;
        // The arc's chord; for a vanishing yaw rate a straight line.
        let displacement_m = match w.abs() > 1e-6 {
            true => (v / w * heading_rad.sin(), v / w * (1.0 - heading_rad.cos())),
            false => (v * dt_s, 0.0),
        };
        Self { dt_s, heading_rad, displacement_m }
    }

    /// A fixed point of the road, in metres ahead and to the left, seen from the later place.
    pub fn road_point(&self, x_m: f64, y_m: f64) -> (f64, f64) {
        self.rotated(x_m - self.displacement_m.0, y_m - self.displacement_m.1)
    }

    /// An object with a velocity relative to the own car, which contains the own speed but not the own turning.
    pub fn object(&self, x_m: f64, y_m: f64, vx_mps: f64, vy_mps: f64) -> (f64, f64) {
        self.rotated(x_m + vx_mps * self.dt_s, y_m + vy_mps * self.dt_s)
    }

    fn rotated(&self, x: f64, y: f64) -> (f64, f64) {
        let (s, c) = self.heading_rad.sin_cos();
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
    fn a_road_point_comes_nearer_by_the_distance_driven() {
        assert_eq!(motion(20.0, 0.0, 100).road_point(30.0, 1.5), (28.0, 1.5));
        // The time is bounded.
        assert_eq!(motion(20.0, 0.0, 5000).road_point(30.0, 1.5), (24.0, 1.5));
        // An object without relative speed keeps its place.
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
    fn implausible_speeds_move_nothing() {
        for v in [f64::NAN, f64::INFINITY, 1e9, -1e9] {
            assert_eq!(motion(v, v, 100).road_point(30.0, 1.0), (30.0, 1.0));
        }
    }
}
