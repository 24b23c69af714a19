//! Lane departure warning: a tyre past its line, or about to be, without the indicator of that side.
//!
//! ISO 17361 (lane departure warning systems) places the warning between an earliest line inside the lane and the
//! latest one 0.3 m outside it, and takes time to line crossing = distance / rate of departure; the rate is
//! v sin(heading against the lane).

use super::registry::Assessment;
use crate::config;
use auriga_msgs::v1::{self, Severity, Side};
use auriga_runtime::Nanos;
use std::time::Duration;

/// A tyre past the line that moves back faster than this is returning (or a lane change has just ended).
const RETURNING_MPS: f64 = 0.3;

/// Position and motion of the outer tyre against the line of its side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LineState {
    /// From tyre to line, in metres; negative: past it.
    pub distance_m: f64,
    /// Speed towards the line, in m/s.
    pub departure_mps: f64,
}

impl LineState {
    /// `None` without a line of enough confidence on that side.
    pub fn of(lanes: &v1::Lanes, side: Side, speed_mps: f64, half_width_m: f64, min_confidence: f64) -> Option<Self> {
        let line = match side {
            Side::Left => lanes.left,
            Side::Right => lanes.right,
            Side::Unspecified => None,
        }?;
        if f64::from(line.confidence) < min_confidence {
            return None;
        }
        // To a vehicle that points left, the lines slope to the right.
        let heading = lanes.heading_rad.unwrap_or(-line.c1.atan());
        let sign = if side == Side::Left { 1.0 } else { -1.0 };
        let distance_m = sign * line.c0_m - half_width_m;
        Some(LineState { distance_m, departure_mps: sign * speed_mps * heading.sin() })
    }

    /// Time to line crossing in seconds; zero when past it, `None` when not approaching.
    pub fn time_to_line_s(&self) -> Option<f64> {
        if self.distance_m <= 0.0 {
            return Some(0.0);
        }
        (self.departure_mps > 0.0).then(|| self.distance_m / self.departure_mps)
    }
}

/// The state of the warning for one side.
#[derive(Debug)]
pub struct LaneDeparture {
    config: config::LaneDepartureConfig,
    half_width_m: f64,
    side: Side,
    active: bool,
    frames_for: u32,
    frames_against: u32,
    last_usable: Nanos,
}

impl LaneDeparture {
    /// No warning. `half_width_m`: from the vehicle's centre line to the outer side of its tyres.
    pub fn new(config: config::LaneDepartureConfig, half_width_m: f64, side: Side) -> Self {
        Self { config, half_width_m, side, active: false, frames_for: 0, frames_against: 0, last_usable: Nanos::ZERO }
    }

    /// Whether the warning is active.
    pub fn is_active(&self) -> bool {
        self.active
    }

    /// The active warning as a hazard; `state`: as the last update returned it.
    pub fn assessment(&self, state: Option<LineState>) -> Option<Assessment> {
        let side = if self.side == Side::Left { "left" } else { "right" };
        self.active.then(|| Assessment {
            severity: Severity::Warning,
            time_to_collision_s: None,
            distance_m: state.map(|s| s.distance_m),
            text: format!("leaving the lane to the {side} without indicator"),
        })
    }

    /// Takes in one camera frame at its time. `indicated`: the indicator of this side shows that it is intended.
    pub fn update(
        &mut self,
        lanes: &v1::Lanes,
        speed_mps: Option<f64>,
        indicated: bool,
        now: Nanos,
    ) -> Option<LineState> {
        let c = &self.config;
        let Some(speed) = speed_mps.filter(|v| *v >= c.min_speed_mps && !indicated) else {
            self.reset();
            return None;
        };
        let Some(state) = LineState::of(lanes, self.side, speed, self.half_width_m, c.min_confidence) else {
            self.without_line(now);
            return None;
        };
        self.last_usable = now;
        let crossing = state.distance_m <= 0.0 && state.departure_mps > -RETURNING_MPS;
        let soon =
            state.departure_mps >= c.min_lateral_mps && state.time_to_line_s().is_some_and(|t| t <= c.time_to_line_s);
        if crossing || soon {
            self.frames_for += 1;
            self.frames_against = 0;
        } else {
            self.frames_for = 0;
            // Hysteresis: only frames well inside the line end it.
            self.frames_against = if state.distance_m >= c.clear_margin_m { self.frames_against + 1 } else { 0 };
        }
        if self.frames_for >= c.confirm_frames {
            self.active = true;
        } else if self.frames_against >= c.clear_frames {
            self.active = false;
        }
        Some(state)
    }

    /// A frame without the line, or no frame: an active warning ends after `lost_after_ms` without evidence.
    pub fn without_line(&mut self, now: Nanos) {
        self.frames_for = 0;
        if now.since(self.last_usable) >= Duration::from_millis(self.config.lost_after_ms) {
            self.reset();
        }
    }

    fn reset(&mut self) {
        self.active = false;
        self.frames_for = 0;
        self.frames_against = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    fn lanes(left_m: f64, right_m: f64, heading: f64) -> v1::Lanes {
        let line = |c0_m| Some(v1::LaneLine { c0_m, confidence: 0.9, x_max_m: 30.0, ..Default::default() });
        v1::Lanes { left: line(left_m), right: line(-right_m), heading_rad: Some(heading), ..Default::default() }
    }

    fn monitor(side: Side) -> LaneDeparture {
        LaneDeparture::new(Config::default().lane_departure, 0.9, side)
    }

    fn ms(t: u64) -> Nanos {
        Nanos::from_millis(t)
    }

    #[test]
    fn distance_and_rate_are_positive_inside_and_towards_the_line() {
        let l = lanes(1.5, 2.0, 0.05);
        let left = LineState::of(&l, Side::Left, 20.0, 0.9, 0.3).unwrap();
        let right = LineState::of(&l, Side::Right, 20.0, 0.9, 0.3).unwrap();
        assert!((left.distance_m - 0.6).abs() < 1e-9 && (right.distance_m - 1.1).abs() < 1e-9);
        assert!((left.departure_mps - 1.0).abs() < 1e-3 && (right.departure_mps + 1.0).abs() < 1e-3);
        assert!((left.time_to_line_s().unwrap() - 0.6).abs() < 1e-3);
        assert_eq!(right.time_to_line_s(), None);
        let without_heading = v1::Lanes { heading_rad: None, ..l };
        let sloped = v1::Lanes { left: l.left.map(|x| v1::LaneLine { c1: -0.05, ..x }), ..without_heading };
        assert!(LineState::of(&sloped, Side::Left, 20.0, 0.9, 0.3).unwrap().departure_mps > 0.9);
    }

    #[test]
    fn the_warning_is_raised_before_the_tyre_crosses_after_three_frames() {
        let mut m = monitor(Side::Left);
        let near = lanes(1.2, 2.3, 0.04);
        for (k, expected) in [(0, false), (1, false), (2, true)] {
            m.update(&near, Some(20.0), false, ms(k * 40));
            assert_eq!(m.is_active(), expected, "frame {k}");
        }
    }

    #[test]
    fn a_car_that_drifts_slowly_in_the_middle_raises_no_warning() {
        let mut m = monitor(Side::Right);
        for k in 0..50 {
            m.update(&lanes(1.75, 1.75, -0.01), Some(30.0), false, ms(k * 40));
            assert!(!m.is_active());
        }
    }

    #[test]
    fn indicator_low_speed_and_unknown_speed_end_the_warning() {
        let over = lanes(0.8, 2.7, 0.02);
        for (speed, indicated) in [(Some(20.0), true), (Some(5.0), false), (None, false)] {
            let mut m = monitor(Side::Left);
            for k in 0..5 {
                m.update(&over, Some(20.0), false, ms(k * 40));
            }
            assert!(m.is_active());
            m.update(&over, speed, indicated, ms(200));
            assert!(!m.is_active());
        }
    }

    #[test]
    fn the_warning_ends_only_well_inside_the_lane() {
        let mut m = monitor(Side::Left);
        for k in 0..5 {
            m.update(&lanes(0.8, 2.7, 0.02), Some(20.0), false, ms(k * 40));
        }
        for k in 5..20 {
            m.update(&lanes(0.95, 2.55, -0.02), Some(20.0), false, ms(k * 40));
            assert!(m.is_active(), "inside, but by less than the margin");
        }
        for k in 20..24 {
            m.update(&lanes(1.1, 2.4, -0.02), Some(20.0), false, ms(k * 40));
            assert!(m.is_active());
        }
        m.update(&lanes(1.1, 2.4, -0.02), Some(20.0), false, ms(24 * 40));
        assert!(!m.is_active());
    }

    #[test]
    fn a_completed_lane_change_raises_no_warning_for_the_line_behind() {
        // The lines are those of the new lane now: the right tyre is still over its right line, moving away from it.
        let mut m = monitor(Side::Right);
        for k in 0..20 {
            m.update(&lanes(2.9, 0.6, 0.03), Some(20.0), false, ms(k * 40));
            assert!(!m.is_active());
        }
    }

    #[test]
    fn a_lost_or_unconfident_line_ends_the_warning_after_a_while() {
        let mut m = monitor(Side::Left);
        for k in 0..5 {
            m.update(&lanes(0.8, 2.7, 0.02), Some(20.0), false, ms(k * 40));
        }
        let mut faint = lanes(0.8, 2.7, 0.02);
        faint.left.as_mut().unwrap().confidence = 0.1;
        m.update(&faint, Some(20.0), false, ms(300));
        assert!(m.is_active());
        m.update(&faint, Some(20.0), false, ms(900));
        assert!(!m.is_active());
    }
}
