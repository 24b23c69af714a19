//! Keeps the newest scene and the active hazards, and makes the view of them for one instant.

use super::{
    ego_motion::EgoMotion,
    view::{Line, MAX_OBJECTS, Object, View},
    warnings::{ActiveHazards, Warning},
};
use crate::config::Config;
use auriga_msgs::{Stamped, v1};
use auriga_runtime::{
    Nanos,
    plausibility::{RELATIVE_SPEED_MPS, SPEED_MPS, is_lane_line, within},
};
use std::{sync::Arc, time::Duration};
use v1::{Gear, Indicator};

/// Lines are drawn from this far ahead: nearer the bonnet hides them.
const NEAREST_M: f64 = 2.5;
/// Distance between two points of a line.
const STEP_M: f64 = 1.5;
/// Lines and objects farther ahead are not drawn.
const FARTHEST_M: f64 = 150.0;
/// Objects farther to the side are not drawn.
const MAX_LATERAL_M: f64 = 60.0;
/// Longer time gaps are not shown.
const MAX_GAP_S: f64 = 9.9;
/// Below this speed no time gap is shown.
const MIN_GAP_SPEED_MPS: f64 = 2.0;
/// Half of the period of a blinking indicator (UNECE R48: 60 to 120 flashes a minute).
const BLINK: Duration = Duration::from_millis(360);

/// The newest scene and the active hazards.
#[derive(Default)]
pub struct LatestScene {
    scene: Option<Arc<v1::Scene>>,
    received: Nanos,
    /// When the node started to wait for scenes.
    started: Option<Nanos>,
    hazards: ActiveHazards,
    bumper_ahead_m: f64,
}

impl LatestScene {
    /// The node runs from `now` on: a scene that has not come within the timeout is missed. Later calls change nothing.
    pub fn start(&mut self, now: Nanos) {
        self.started.get_or_insert(now);
    }

    /// How far the front bumper, where tracks are measured from, is ahead of the camera, where lanes are.
    pub fn set_bumper(&mut self, bumper_ahead_m: f64) {
        self.bumper_ahead_m = bumper_ahead_m;
    }

    /// Takes a scene, unless a newer one has come before.
    pub fn on_scene(&mut self, scene: Arc<v1::Scene>, now: Nanos) {
        let stamp = |s: &v1::Scene| s.header_copy().stamp_ns;
        if self.scene.as_ref().is_some_and(|old| stamp(&scene) < stamp(old) && stamp(old) <= now.0) {
            return;
        }
        self.hazards.on_scene(&scene);
        self.scene = Some(scene);
        self.received = now;
    }

    /// Takes the start, a change or the end of a hazard.
    pub fn on_hazard(&mut self, hazard: &v1::Hazard) {
        self.hazards.on_hazard(hazard, self.scene.as_ref().and_then(|s| s.lanes.as_ref()));
    }

    /// The newest scene, unless it is older than `scene_lost_ms`.
    pub fn fresh(&self, config: &Config, now: Nanos) -> Option<&v1::Scene> {
        let scene = self.scene.as_deref()?;
        let age = now.since(Nanos(scene.header_copy().stamp_ns)).max(now.since(self.received));
        (age <= config.scene_lost()).then_some(scene)
    }

    /// The view for the instant `at`, made at `now`. `silent`: for how long no camera frame has come.
    pub fn view(&self, config: &Config, at: Nanos, now: Nanos, silent: Option<Duration>) -> View {
        let scene = self.fresh(config, now);
        let mut view = scene.map_or_else(View::default, |scene| self.view_of(scene, config, at, now));
        view.warnings = self.warnings(config, now, silent);
        view
    }

    /// Hazards stay active until fusion publishes their end. Without fresh scenes nobody would publish it: then they
    /// expire, and the warning of the missing scene takes their place.
    fn warnings(&self, config: &Config, now: Nanos, silent: Option<Duration>) -> Vec<Warning> {
        let fresh = self.fresh(config, now).is_some();
        let mut warnings = self.hazards.warnings(now, if fresh { Duration::MAX } else { config.scene_lost() });
        if let Some(silent) = silent {
            let detail = format!("no picture for {:.1} s", silent.as_secs_f64());
            warnings.push(Warning::of_missing_data("CAMERA LOST", detail));
        }
        if !fresh && self.misses_scenes(config, now) {
            warnings.push(Warning::of_missing_data("ASSISTANCE LOST", "no scene".into()));
        }
        warnings
    }

    /// Whether a scene should have come: one came before, or the node has run for longer than the timeout.
    fn misses_scenes(&self, config: &Config, now: Nanos) -> bool {
        self.scene.is_some() || self.started.is_some_and(|started| now.since(started) >= config.scene_lost())
    }

    fn view_of(&self, scene: &v1::Scene, config: &Config, at: Nanos, now: Nanos) -> View {
        let vehicle = scene.vehicle.clone().unwrap_or_default();
        let can_is_fresh = scene.can_age_ns.is_some_and(|age| (age.unsigned_abs() / 1_000_000) <= config.scene_lost_ms);
        let velocity_mps = forward_velocity_mps(&vehicle).filter(|_| can_is_fresh);
        let limit = Duration::from_millis(config.max_compensation_ms);
        let instant = Nanos(scene.header_copy().stamp_ns);
        let motion = EgoMotion::new(velocity_mps, vehicle.yaw_rate_radps, instant, at, limit);
        let (lead, others) = self.objects(&scene.tracks, &motion, velocity_mps);
        let lanes = scene.lanes.unwrap_or_default();
        // A scene made without camera still carries the last lanes; they were measured at their own stamp.
        let lanes_are_fresh = now.since(Nanos(lanes.header_copy().stamp_ns)) <= config.scene_lost();
        // The vehicle ahead hides the road beyond it.
        let hidden_from_m = lead.map_or(f64::MAX, |lead| lead.x_m);
        let line = |line: Option<v1::LaneLine>| {
            line.filter(|_| lanes_are_fresh).and_then(|l| line_points(&l, &motion, hidden_from_m))
        };
        let indicator = vehicle.indicator();
        let lit = (now.0 / BLINK.as_nanos() as u64).is_multiple_of(2);
        View {
            left: line(lanes.left),
            right: line(lanes.right),
            lead,
            others,
            warnings: Vec::new(),
            speed_mps: velocity_mps.map(f64::abs),
            gear: gear_letter(vehicle.gear()),
            indicate_left: lit && matches!(indicator, Indicator::Left | Indicator::Hazard),
            indicate_right: lit && matches!(indicator, Indicator::Right | Indicator::Hazard),
        }
    }

    /// The vehicle ahead, chosen among all tracks, and the nearest of the others.
    fn objects(
        &self,
        tracks: &[v1::Track],
        motion: &EgoMotion,
        velocity: Option<f64>,
    ) -> (Option<Object>, Vec<Object>) {
        let object = |t: &v1::Track| object(t, self.bumper_ahead_m, motion, velocity);
        let lead = tracks.iter().filter(|t| t.lead).find_map(object);
        let mut others: Vec<Object> = tracks.iter().filter(|t| !t.lead).filter_map(object).collect();
        if others.len() > MAX_OBJECTS {
            others.sort_by(|a, b| a.distance_m.total_cmp(&b.distance_m));
            others.truncate(MAX_OBJECTS);
        }
        (lead, others)
    }
}

/// Velocity ahead, negative in reverse: many buses give the speed without a sign; then the gear decides.
fn forward_velocity_mps(vehicle: &v1::VehicleState) -> Option<f64> {
    let speed = within(vehicle.speed_mps, SPEED_MPS).ok().flatten()?;
    Some(if vehicle.gear() == Gear::Reverse { -speed.abs() } else { speed })
}

fn gear_letter(gear: Gear) -> Option<char> {
    match gear {
        Gear::Park => Some('P'),
        Gear::Reverse => Some('R'),
        Gear::Neutral => Some('N'),
        Gear::Drive => Some('D'),
        Gear::Unspecified => None,
    }
}

/// A line's points at the picture's instant; `None` for a line that no road has.
fn line_points(line: &v1::LaneLine, motion: &EgoMotion, hidden_from_m: f64) -> Option<Line> {
    let far = line.x_max_m.clamp(0.0, FARTHEST_M);
    let seen = far > NEAREST_M + STEP_M && line.confidence > 0.0;
    if !(is_lane_line(line) && seen) {
        return None;
    }
    let near = line.x_min_m.clamp(-5.0, NEAREST_M);
    let steps = ((far - near) / STEP_M).ceil();
    let points = (0..=steps as u32)
        .map(|i| near + (far - near) * f64::from(i) / steps)
        .map(|x| motion.road_point(x, line.c0_m + line.c1 * x + line.c2_per_m * x * x))
        .filter(|(x, _)| (1.0..hidden_from_m).contains(x))
        .collect();
    Some(Line { points, confidence: line.confidence })
}

/// A track at the picture's instant; `None` when it is behind or too far away. `bumper_ahead_m`: of the bumper, where
/// the track is measured from, ahead of the camera.
fn object(track: &v1::Track, bumper_ahead_m: f64, motion: &EgoMotion, velocity_mps: Option<f64>) -> Option<Object> {
    let speed = |v: f64| if RELATIVE_SPEED_MPS.contains(&v) { v } else { 0.0 };
    let (x_m, y_m) = motion.object(track.x_m + bumper_ahead_m, track.y_m, speed(track.vx_mps), speed(track.vy_mps));
    let distance_m = x_m - bumper_ahead_m;
    if !(0.0..FARTHEST_M).contains(&distance_m) || !(-MAX_LATERAL_M..MAX_LATERAL_M).contains(&y_m) {
        return None;
    }
    let gap = |v: f64| Some(distance_m / v).filter(|gap| v >= MIN_GAP_SPEED_MPS && *gap <= MAX_GAP_S);
    Some(Object { x_m, y_m, class: track.class(), distance_m, time_gap_s: velocity_mps.and_then(gap) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Nanos = Nanos::from_millis(5000);

    fn after(ms: u64) -> Nanos {
        NOW + Duration::from_millis(ms)
    }

    fn scene_with(vehicle: v1::VehicleState, tracks: Vec<v1::Track>) -> v1::Scene {
        let header = Some(v1::Header::new(NOW.0, 0));
        let line = v1::LaneLine { c0_m: 1.5, confidence: 1.0, x_max_m: 40.0, ..Default::default() };
        let lanes = Some(v1::Lanes { header, left: Some(line), ..Default::default() });
        v1::Scene { header, vehicle: Some(vehicle), lanes, tracks, can_age_ns: Some(0), ..Default::default() }
    }

    /// The view at `at` of a scene of [`NOW`].
    fn view_of(scene: v1::Scene, at: Nanos) -> View {
        let mut latest = LatestScene::default();
        latest.on_scene(Arc::new(scene), NOW);
        latest.view(&Config::default(), at, at, None)
    }

    #[test]
    fn assistance_lost_is_shown_when_no_scene_has_ever_come() {
        let config = Config::default();
        let mut latest = LatestScene::default();
        latest.start(NOW);
        let titles = |latest: &LatestScene, at: Nanos| -> Vec<&str> {
            latest.view(&config, at, at, None).warnings.iter().map(|w| w.title).collect()
        };
        assert!(titles(&latest, after(config.scene_lost_ms - 1)).is_empty(), "fusion may still be starting");
        assert_eq!(titles(&latest, after(config.scene_lost_ms)), ["ASSISTANCE LOST"]);
        let late = after(3000);
        let header = Some(v1::Header::new(late.0, 0));
        latest.on_scene(Arc::new(v1::Scene { header, ..Default::default() }), late);
        assert!(titles(&latest, late).is_empty());
    }

    #[test]
    fn in_reverse_the_road_moves_away_with_either_sign_of_the_speed() {
        let end = |speed: f64, gear: Gear| {
            let vehicle = v1::VehicleState { speed_mps: Some(speed), gear: gear.into(), ..Default::default() };
            let view = view_of(scene_with(vehicle, vec![]), after(100));
            assert_eq!(view.speed_mps, Some(5.0), "the speed shown has no sign");
            view.left.unwrap().points.last().unwrap().0
        };
        // The line ends 40 m ahead; 5 m/s for 100 ms are 0.5 m.
        let forward = end(5.0, Gear::Drive);
        assert!((forward - 39.5).abs() < 1e-9, "{forward}");
        for (speed, gear) in [(5.0, Gear::Reverse), (-5.0, Gear::Reverse), (-5.0, Gear::Unspecified)] {
            let reverse = end(speed, gear);
            assert!(
                (reverse - forward - 1.0).abs() < 1e-9,
                "{gear:?} at {speed} m/s: {reverse} m, forward {forward} m"
            );
        }
    }

    #[test]
    fn in_reverse_there_is_no_time_gap_to_the_vehicle_ahead() {
        let gap = |gear: Gear| {
            let vehicle = v1::VehicleState { speed_mps: Some(5.0), gear: gear.into(), ..Default::default() };
            let lead = v1::Track { x_m: 10.0, lead: true, ..Default::default() };
            view_of(scene_with(vehicle, vec![lead]), NOW).lead.unwrap().time_gap_s
        };
        assert_eq!((gap(Gear::Drive), gap(Gear::Reverse)), (Some(2.0), None));
    }

    #[test]
    fn the_lead_vehicle_and_the_nearest_others_are_kept_of_a_long_list() {
        let far = (0..40).map(|i| v1::Track { id: i, x_m: 140.0 - f64::from(i), ..Default::default() });
        let lead = v1::Track { id: 40, x_m: 12.0, lead: true, ..Default::default() };
        let view = view_of(scene_with(v1::VehicleState::default(), far.chain([lead]).collect()), NOW);
        assert_eq!(view.lead.map(|l| l.distance_m), Some(12.0));
        assert_eq!(view.others.len(), MAX_OBJECTS);
        assert!(view.others.iter().all(|o| o.distance_m < 140.0 - 7.5), "the farthest are left out");
    }
}
