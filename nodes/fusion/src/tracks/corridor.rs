//! The centre line of the own lane ahead, which decides whether an object is in it.

use crate::input::validate::Motion;
use auriga_msgs::v1;

/// Below this speed yaw rate over speed is noise.
const MIN_SPEED_FOR_CURVATURE_MPS: f64 = 3.0;
/// A radius of 20 m: a tighter path is manoeuvring and does not predict the road.
const MAX_CURVATURE_PER_M: f64 = 0.05;

/// y(x) = c0 + c1 x + c2 x² up to `reach_m`, beyond it with the curvature of the vehicle's own path. Metres in the frame
/// of the lanes (x ahead of the camera, y left).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Corridor {
    c: [f64; 3],
    reach_m: f64,
    own_curvature_per_m: f64,
    radar_ahead_m: f64,
}

impl Corridor {
    /// Straight ahead.
    #[cfg(test)]
    pub fn straight() -> Self {
        Corridor { c: [0.0; 3], reach_m: 0.0, own_curvature_per_m: 0.0, radar_ahead_m: 0.0 }
    }

    /// From both lines where they are known, else from the lanes' curvature, else from yaw rate / speed (the curvature of
    /// a path without side slip: ISO 8855 names both, kappa = psi_dot / v). `radar_ahead_m`: from camera to radar.
    pub fn new(lanes: Option<&v1::Lanes>, motion: &Motion, radar_ahead_m: f64) -> Self {
        let own = own_curvature_per_m(motion).unwrap_or(0.0);
        let road = lanes.and_then(|l| l.curvature_per_m).unwrap_or(own);
        let corridor = Corridor { c: [0.0, 0.0, road / 2.0], reach_m: 0.0, own_curvature_per_m: road, radar_ahead_m };
        let Some((left, right)) = lanes.and_then(|l| l.left.zip(l.right)) else { return corridor };
        let mean = |a: f64, b: f64| 0.5 * (a + b);
        Corridor {
            c: [mean(left.c0_m, right.c0_m), mean(left.c1, right.c1), mean(left.c2_per_m, right.c2_per_m)],
            reach_m: left.x_max_m.min(right.x_max_m).max(0.0),
            own_curvature_per_m: own,
            radar_ahead_m,
        }
    }

    /// How far left of the lane's centre a point lies that the radar measures at (`x_m`, `y_m`), in metres.
    pub fn offset_m(&self, x_m: f64, y_m: f64) -> f64 {
        let x = x_m + self.radar_ahead_m;
        let near = x.min(self.reach_m);
        let [c0, c1, c2] = self.c;
        let (y, slope) = (c0 + c1 * near + c2 * near * near, c1 + 2.0 * c2 * near);
        let beyond = x - near;
        y_m - (y + slope * beyond + 0.5 * self.own_curvature_per_m * beyond * beyond)
    }
}

/// Curvature of the vehicle's own path in 1/m; `None` when it is slow, standing or unknown.
pub fn own_curvature_per_m(motion: &Motion) -> Option<f64> {
    let speed = motion.speed_mps.filter(|v| *v >= MIN_SPEED_FOR_CURVATURE_MPS)?;
    Some((motion.yaw_rate_radps? / speed).clamp(-MAX_CURVATURE_PER_M, MAX_CURVATURE_PER_M))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moving(speed: f64, yaw: f64) -> Motion {
        Motion { speed_mps: Some(speed), yaw_rate_radps: Some(yaw), ..Default::default() }
    }

    #[test]
    fn without_lanes_the_curvature_is_yaw_rate_over_speed() {
        // 20 m/s at 0.1 rad/s: radius 200 m; at 40 m the path is 4 m to the left.
        let corridor = Corridor::new(None, &moving(20.0, 0.1), 0.0);
        assert!((corridor.offset_m(40.0, 4.0)).abs() < 1e-9);
        assert!((corridor.offset_m(40.0, 0.0) + 4.0).abs() < 1e-9);
        assert_eq!(own_curvature_per_m(&moving(1.0, 0.1)), None);
    }

    #[test]
    fn with_two_lines_the_centre_is_their_mean() {
        let line = |c0_m| v1::LaneLine {
            c0_m,
            c1: 0.01,
            c2_per_m: 0.001,
            x_max_m: 30.0,
            confidence: 1.0,
            ..Default::default()
        };
        let lanes = v1::Lanes { left: Some(line(1.5)), right: Some(line(-2.0)), ..Default::default() };
        let corridor = Corridor::new(Some(&lanes), &moving(20.0, 0.0), 2.0);
        // The radar's 18 m are the camera's 20 m: -0.25 + 0.2 + 0.4.
        assert!((corridor.offset_m(18.0, 0.35)).abs() < 1e-9);
        // Beyond the lines straight on along the tangent: at 30 m y = 0.95, slope 0.07.
        assert!((corridor.offset_m(48.0, 0.95 + 0.07 * 20.0)).abs() < 1e-9);
    }

    #[test]
    fn without_both_lines_only_the_curvature_is_used() {
        let lanes = v1::Lanes { curvature_per_m: Some(0.01), ..Default::default() };
        let corridor = Corridor::new(Some(&lanes), &moving(20.0, 0.0), 0.0);
        assert!((corridor.offset_m(20.0, 2.0)).abs() < 1e-9);
    }
}
