//! Whether an object has been seen moving over ground.
//!
//! A radar does not measure height well: a bridge above the road and a manhole cover in it look like a car that stands
//! there, and so does a guard rail in a bend. What has moved along the road is a vehicle, also once it stands.

use super::kalman::Axis;
use crate::config::TracksConfig;
use auriga_msgs::v1;
use auriga_runtime::Nanos;
use std::{collections::VecDeque, time::Duration};

/// Of the own speed: errors of its scale (tyres), and what a standing object's radial speed lacks beside the road.
const SPEED_SHARE: f64 = 0.1;
/// Objects further to the side than this share of the distance have a radial speed that is not theirs along the road.
const OFF_AXIS: f32 = 0.3;
/// A lost object is remembered for this long: as long as a radar may lose one behind spray, or in an underpass.
const REMEMBERED: Duration = Duration::from_secs(2);
/// Lost objects remembered at most.
const MAX_REMEMBERED: usize = 16;
/// How far the object may be from where it is expected: at once, and more for each second, in metres.
const EXPECTED_M: f64 = 2.0;
const EXPECTED_M_PER_S: f64 = 2.0;
/// The same to the side, and of its speed in m/s: it may have braked with 8 m/s².
const EXPECTED_ASIDE_M: f64 = 1.5;
const EXPECTED_MPS: f64 = 1.0;
const EXPECTED_MPS2: f64 = 8.0;

/// What is known of an object's motion over ground.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Moving {
    in_a_row: u32,
    seen: bool,
}

impl Moving {
    /// Whether it was seen moving along the road.
    pub fn seen(self) -> bool {
        self.seen
    }

    /// Takes in a report that belongs to the object. Oncoming objects are left out: they are no obstacle of the lane that
    /// one follows, and the ghost of one often stands before the vehicle.
    pub fn update(&mut self, report: &v1::RadarTrack, own_speed_mps: Option<f64>, config: &TracksConfig) {
        let Some(own) = own_speed_mps else { return };
        let limit = config.moving_mps.max(SPEED_SHARE * own.abs());
        let moves = f64::from(report.vx_mps) + own >= limit && report.y_m.abs() <= OFF_AXIS * report.x_m;
        self.in_a_row = if moves { self.in_a_row.saturating_add(1) } else { 0 };
        self.seen |= self.in_a_row >= config.moving_after;
    }
}

/// Moving objects that were lost lately: a radar gives them another id when it finds them again.
#[derive(Debug, Default)]
pub(super) struct Memory {
    lost: VecDeque<(Nanos, Axis, Axis)>,
}

impl Memory {
    /// Remembers an object that was lost, if it was seen moving.
    pub fn keep(&mut self, x: &Axis, y: &Axis, stamp: Nanos, moving: Moving) {
        if !moving.seen {
            return;
        }
        if self.lost.len() == MAX_REMEMBERED {
            self.lost.pop_front();
        }
        self.lost.push_back((stamp, *x, *y));
    }

    /// What is known of the object that a first report is of.
    pub fn recall(&self, report: &v1::RadarTrack, stamp: Nanos) -> Moving {
        let seen = self.lost.iter().any(|(lost, x, y)| {
            let dt = stamp.since(*lost).as_secs_f64();
            // Where it would be with its old speed, with the new one, or on the way from one to the other.
            let (old, new) = (x.p + x.v * dt, x.p + f64::from(report.vx_mps) * dt);
            let slack = EXPECTED_M + EXPECTED_M_PER_S * dt;
            let along = (old.min(new) - slack..=old.max(new) + slack).contains(&f64::from(report.x_m));
            let aside = (y.p - f64::from(report.y_m)).abs() <= EXPECTED_ASIDE_M;
            let speed = (x.v - f64::from(report.vx_mps)).abs() <= EXPECTED_MPS + EXPECTED_MPS2 * dt;
            *lost < stamp && stamp.since(*lost) <= REMEMBERED && along && aside && speed
        });
        Moving { in_a_row: 0, seen }
    }
}
