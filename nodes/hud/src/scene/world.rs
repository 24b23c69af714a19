//! What is known of the drive, and what of it is to be drawn at one instant.

use super::{
    ego_motion::EgoMotion,
    warnings::{Hazards, Side, Topic, Warning},
};
use crate::config::Config;
use auriga_msgs::{Stamped, v1};
use auriga_runtime::Nanos;
use std::{sync::Arc, time::Duration};
use v1::{Gear, Indicator, ObjectClass};

/// Lines are drawn from this far ahead: nearer the bonnet hides them.
const NEAREST_M: f64 = 2.5;
/// Lines are followed in steps of this length.
const STEP_M: f64 = 1.5;
/// Farther than this no line or object is believed.
const FARTHEST_M: f64 = 150.0;
/// More objects than this are not drawn.
const MAX_OBJECTS: usize = 32;
/// Time gaps above this are not shown: one drives alone.
const MAX_GAP_S: f64 = 9.9;
/// Below this speed a time gap says nothing.
const MIN_GAP_SPEED_MPS: f64 = 2.0;
/// Half of the period of a blinking indicator (UNECE R48: 60 to 120 flashes a minute).
const BLINK: Duration = Duration::from_millis(360);

/// A line of the lane: points (x ahead, y left) in metres from near to far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Line {
    pub points: Vec<(f64, f64)>,
    pub confidence: f32,
}

/// An object in the camera's frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Object {
    pub x_m: f64,
    pub y_m: f64,
    pub class: ObjectClass,
    /// From our bumper.
    pub distance_m: f64,
    pub time_gap_s: Option<f64>,
}

/// Everything that is drawn over one picture.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct View {
    pub left: Option<Line>,
    pub right: Option<Line>,
    pub lead: Option<Object>,
    pub others: Vec<Object>,
    pub warnings: Vec<Warning>,
    pub speed_mps: Option<f64>,
    pub gear: Option<char>,
    pub indicate_left: bool,
    pub indicate_right: bool,
}

impl View {
    pub fn warns_of(&self, topic: Topic) -> Option<&Warning> {
        self.warnings.iter().find(|w| w.topic == topic)
    }
    pub fn departs(&self, side: Side) -> bool {
        self.warnings.iter().any(|w| w.topic == Topic::LaneDeparture && w.side == Some(side))
    }
}

/// The newest scene and the hazards.
#[derive(Default)]
pub struct World {
    scene: Option<Arc<v1::Scene>>,
    received: Nanos,
    pub hazards: Hazards,
    /// Front bumper, where tracks are measured from, ahead of the camera, where lanes are.
    pub bumper_ahead_m: f64,
}

impl World {
    pub fn on_scene(&mut self, scene: Arc<v1::Scene>, now: Nanos) {
        let stamp = |s: &v1::Scene| s.header_copy().stamp_ns;
        if self.scene.as_ref().is_some_and(|old| stamp(&scene) < stamp(old) && stamp(old) <= now.0) {
            return;
        }
        self.hazards.on_scene(&scene);
        self.scene = Some(scene);
        self.received = now;
    }

    pub fn on_hazard(&mut self, hazard: &v1::Hazard) {
        self.hazards.on_hazard(hazard, self.scene.as_ref().and_then(|s| s.lanes.as_ref()));
    }

    /// The scene, while it is fresh.
    pub fn scene(&self, config: &Config, now: Nanos) -> Option<&v1::Scene> {
        let scene = self.scene.as_deref()?;
        let age = now.since(Nanos(scene.header_copy().stamp_ns)).max(now.since(self.received));
        (age <= config.scene_lost()).then_some(scene)
    }

    /// What is to be drawn for the instant `at`, told at `now`. `silent`: for how long no picture has come.
    pub fn view(&self, config: &Config, at: Nanos, now: Nanos, silent: Option<Duration>) -> View {
        let scene = self.scene(config, now);
        let mut view = scene.map_or_else(View::default, |scene| self.seen(scene, config, at, now));
        view.warnings = self.warnings(config, now, silent);
        view
    }

    /// Hazards stay on until their end is told; but when fusion has fallen silent, nobody would tell it, and they give
    /// way to the warning of that.
    pub fn warnings(&self, config: &Config, now: Nanos, silent: Option<Duration>) -> Vec<Warning> {
        let fresh = self.scene(config, now).is_some();
        let mut warnings = self.hazards.warnings(now, if fresh { Duration::MAX } else { config.scene_lost() });
        if let Some(silent) = silent {
            let detail = format!("no picture for {:.1} s", silent.as_secs_f64());
            warnings.push(Warning::missing("CAMERA LOST", detail));
        }
        if self.scene.is_some() && !fresh {
            warnings.push(Warning::missing("ASSISTANCE LOST", "no scene".into()));
        }
        warnings
    }

    fn seen(&self, scene: &v1::Scene, config: &Config, at: Nanos, now: Nanos) -> View {
        let vehicle = scene.vehicle.clone().unwrap_or_default();
        let can_is_fresh = scene.can_age_ns.is_some_and(|age| (age.unsigned_abs() / 1_000_000) <= config.scene_lost_ms);
        let speed_mps = vehicle.speed_mps.filter(|v| can_is_fresh && v.is_finite() && v.abs() < 150.0).map(f64::abs);
        let limit = Duration::from_millis(config.max_compensation_ms);
        let instant = Nanos(scene.header_copy().stamp_ns);
        let motion = EgoMotion::new(speed_mps, vehicle.yaw_rate_radps, instant, at, limit);
        let lanes = scene.lanes.unwrap_or_default();
        // A scene made without camera still carries the last lanes; they were measured at their own stamp.
        let lanes_are_fresh = now.since(Nanos(lanes.header_copy().stamp_ns)) <= config.scene_lost();
        let mut objects: Vec<(bool, Object)> = scene
            .tracks
            .iter()
            .filter_map(|t| Some((t.lead, object(t, self.bumper_ahead_m, &motion, speed_mps)?)))
            .collect();
        objects.truncate(MAX_OBJECTS);
        let lead = objects.iter().find(|(lead, _)| *lead).map(|(_, o)| *o);
        // The car ahead hides the road beyond it.
        let hidden_from_m = lead.map_or(f64::MAX, |lead| lead.x_m);
        let line = |line: Option<v1::LaneLine>| {
            line.filter(|_| lanes_are_fresh).and_then(|l| followed(&l, &motion, hidden_from_m))
        };
        let indicator = vehicle.indicator();
        let lit = (now.0 / BLINK.as_nanos() as u64).is_multiple_of(2);
        View {
            left: line(lanes.left),
            right: line(lanes.right),
            lead,
            others: objects.into_iter().filter(|(lead, _)| !lead).map(|(_, o)| o).collect(),
            warnings: Vec::new(),
            speed_mps,
            gear: match vehicle.gear() {
                Gear::Park => Some('P'),
                Gear::Reverse => Some('R'),
                Gear::Neutral => Some('N'),
                Gear::Drive => Some('D'),
                Gear::Unspecified => None,
            },
            indicate_left: lit && matches!(indicator, Indicator::Left | Indicator::Hazard),
            indicate_right: lit && matches!(indicator, Indicator::Right | Indicator::Hazard),
        }
    }
}

/// A line's points, moved; `None` for one that no road has.
fn followed(line: &v1::LaneLine, motion: &EgoMotion, hidden_from_m: f64) -> Option<Line> {
    let far = line.x_max_m.clamp(0.0, FARTHEST_M);
    // Not-a-number is in none of these ranges.
    let plausible = line.c0_m.abs() < 20.0 && line.c1.abs() < 1.0 && line.c2_per_m.abs() < 0.1;
    let seen = far > NEAREST_M + STEP_M && line.confidence > 0.0;
    if !(plausible && seen) {
        return None;
    }
    let near = line.x_min_m.clamp(-5.0, NEAREST_M);
    let steps = ((far - near) / STEP_M).ceil();
    let points = (0..=steps as u32)
        .map(|i| near + (far - near) * f64::from(i) / steps)
        .map(|x| motion.road_point(x, line.c0_m + line.c1 * x + line.c2_per_m * x * x))
        .filter(|(x, _)| (1.0..hidden_from_m).contains(x))
        .collect();
    Some(Line { points, confidence: line.confidence.min(1.0) })
}

/// `ahead`: of the camera, where the track is measured from, in metres.
fn object(track: &v1::Track, ahead: f64, motion: &EgoMotion, speed_mps: Option<f64>) -> Option<Object> {
    let finite = |v: f64| if v.is_finite() && v.abs() < 200.0 { v } else { 0.0 };
    let (x_m, y_m) = motion.object(track.x_m + ahead, track.y_m, finite(track.vx_mps), finite(track.vy_mps));
    let distance_m = x_m - ahead;
    let beside = -60.0..60.0;
    if !(0.0..FARTHEST_M).contains(&distance_m) || !beside.contains(&y_m) {
        return None;
    }
    let gap = |v: f64| Some(distance_m / v).filter(|gap| v >= MIN_GAP_SPEED_MPS && *gap <= MAX_GAP_S);
    Some(Object { x_m, y_m, class: track.class(), distance_m, time_gap_s: speed_mps.and_then(gap) })
}
