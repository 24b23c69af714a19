//! The state machine.

use crate::{
    config::Config,
    hazards::forward_collision::{ForwardCollision, Verdict},
    hazards::lane_departure::{LaneDeparture, Side},
    hazards::registry::{Assessment, HazardKey, HazardRegistry},
    input::align::{self, History, Inserted, Sample},
    input::checked::{self, Motion},
    scene::{PendingFrames, SignalCache},
    tracks::Tracks,
    tracks::corridor::Corridor,
};
use auriga_msgs::{Stamped, node, topic, v1};
use auriga_runtime::{Nanos, Node, Outbox};
use std::{sync::Arc, time::Duration};
use v1::{Indicator, Severity};

const INFO: &str = "camera/front/info";
const LANES: &str = "perception/lanes";
const VEHICLE: &str = "vehicle/state";
const UTTERANCE: &str = "speech/utterance";

/// While a hazard is on that data may stop feeding, the clock looks after it this often.
pub(crate) const HAZARD_CHECK: Duration = Duration::from_millis(100);

/// The state machine.
pub struct FusionNode {
    pub(crate) config: Config,
    pub(crate) history: History,
    pub(crate) tracks: Tracks,
    collision: ForwardCollision,
    departures: [LaneDeparture; 2],
    pub(crate) hazards: HazardRegistry,
    pub(crate) signals: SignalCache,
    /// Radar objects are measured from the bumper, lanes from the camera: how far it is between them, from the camera's
    /// calibration; 0 until that has come.
    bumper_ahead_m: f64,
    /// The newest lanes, checked.
    pub(crate) lanes: Option<v1::Lanes>,
    pub(crate) pending: PendingFrames,
    pub(crate) utterance: Option<Arc<v1::Utterance>>,
    /// When each side was last indicated: left, right.
    indicated: [Option<Nanos>; 2],
    /// Stamp of the last scene, and when the next is due without camera.
    pub(crate) last_scene: Option<Nanos>,
    pub(crate) next_silent_scene: Nanos,
    last_tracks: Option<Nanos>,
    pub(crate) started: Option<Nanos>,
}

impl FusionNode {
    pub fn new(config: Config) -> Result<Self, auriga_runtime::config::ConfigError> {
        config.check()?;
        let departure = |side| LaneDeparture::new(config.lane_departure.clone(), config.vehicle_half_width_m, side);
        Ok(Self {
            history: History::new(Duration::from_millis(config.history_ms)),
            tracks: Tracks::new(config.tracks.clone()),
            collision: ForwardCollision::new(config.forward_collision.clone()),
            departures: [departure(Side::Left), departure(Side::Right)],
            hazards: HazardRegistry::default(),
            signals: SignalCache::default(),
            bumper_ahead_m: 0.0,
            lanes: None,
            pending: PendingFrames::default(),
            utterance: None,
            indicated: [None; 2],
            last_scene: None,
            next_silent_scene: Nanos::ZERO,
            last_tracks: None,
            started: None,
            config,
        })
    }

    fn on_vehicle(&mut self, state: Arc<v1::VehicleState>, now: Nanos, out: &mut Outbox<Self>) {
        let header = state.header_copy();
        let stamp = Nanos(header.stamp_ns);
        if !self.stamp_is_plausible(stamp, VEHICLE, now, out) {
            return;
        }
        let motion = Motion::checked(&state, |name, value| {
            let text = format!("{name} = {value} is not a vehicle's; the value is left out, check the DBC");
            out.fault(now, Severity::Warning, "implausible-value", name, text);
        });
        let sample = Sample { stamp, seq: header.seq, trace: header.trace_id, motion, message: state.clone() };
        match self.history.insert(sample) {
            Inserted::Newest | Inserted::Late => {}
            Inserted::Duplicate => return,
            Inserted::TooOld => {
                let text = format!(
                    "a message is more than {} ms older than the newest and was dropped",
                    self.config.history_ms
                );
                return out.fault(now, Severity::Info, "message-too-old", VEHICLE, text);
            }
        }
        self.record_indicator(&state, stamp);
        let radar_changed = self.take_radar(&state, stamp, now, out);
        self.update_collision(v1::Header::new(header.stamp_ns, header.trace_id), out);
        self.check_can(now, v1::Header::new(header.stamp_ns, header.trace_id), out);
        if radar_changed {
            self.publish_tracks(header, out);
        }
        self.signals.absorb(&state);
        self.release_scenes(now, out);
        self.arm(now, out);
    }

    fn on_info(&mut self, info: &v1::CameraInfo, now: Nanos, out: &mut Outbox<Self>) {
        if (-5.0..=10.0).contains(&info.bumper_ahead_m) {
            self.bumper_ahead_m = info.bumper_ahead_m;
        } else {
            let text = format!("bumper_ahead_m = {}: expected -5 to 10 m; the last one is kept", info.bumper_ahead_m);
            out.fault(now, Severity::Warning, "camera-info-malformed", INFO, text);
        }
    }

    /// A stamp ahead of the clock would make everything after it look old.
    fn stamp_is_plausible(&self, stamp: Nanos, subject: &str, now: Nanos, out: &mut Outbox<Self>) -> bool {
        let ahead = stamp.since(now);
        let sane = ahead <= Duration::from_millis(self.config.max_stamp_ahead_ms);
        if !sane {
            let text = format!("a message is stamped {} ms ahead of the clock and was dropped", ahead.as_millis());
            out.fault(now, Severity::Warning, "stamp-ahead", subject, text);
        }
        sane
    }

    fn record_indicator(&mut self, state: &v1::VehicleState, stamp: Nanos) {
        let side = match state.indicator() {
            Indicator::Left => 0,
            Indicator::Right => 1,
            // Hazard lights announce no lane change.
            Indicator::Hazard | Indicator::Off | Indicator::Unspecified => return,
        };
        self.indicated[side] = self.indicated[side].max(Some(stamp));
    }

    fn take_radar(&mut self, state: &v1::VehicleState, stamp: Nanos, now: Nanos, out: &mut Outbox<Self>) -> bool {
        let mut changed = false;
        for report in &state.radar {
            if report.valid && !checked::radar_is_plausible(report) {
                let (x, y, v) = (report.x_m, report.y_m, report.vx_mps);
                let text = format!("radar object {} at ({x}, {y}) m with {v} m/s cannot be; it is left out", report.id);
                out.fault(now, Severity::Warning, "implausible-value", "radar", text);
                continue;
            }
            // No report is newer than the message that carries it.
            let measured = if report.stamp_ns == 0 { stamp } else { Nanos(report.stamp_ns).min(stamp) };
            changed |= self.tracks.measure(report, measured);
        }
        changed
    }

    fn update_collision(&mut self, header: v1::Header, out: &mut Outbox<Self>) {
        let Some(newest) = self.history.newest() else { return };
        let (time, motion) = (newest.stamp, newest.motion);
        let lanes = self.recent_lanes(time);
        let corridor = Corridor::new(lanes, &motion, self.bumper_ahead_m);
        self.tracks.assign(time, &corridor);
        let verdict = self.collision.update(self.tracks.lead(), motion.speed_mps, time);
        self.set_collision(verdict, header, out);
    }

    fn set_collision(&mut self, verdict: Verdict, header: v1::Header, out: &mut Outbox<Self>) {
        let danger = match verdict {
            Verdict::Clear => None,
            Verdict::Danger { severity, ttc_s, distance_m } => {
                let text = match (distance_m, ttc_s) {
                    (Some(d), Some(t)) => format!("vehicle ahead: {d:.0} m, {t:.1} s to collision"),
                    (Some(d), None) => format!("vehicle ahead: {d:.0} m"),
                    _ => "vehicle ahead".into(),
                };
                Some(Assessment { severity, time_to_collision_s: ttc_s, distance_m, text })
            }
        };
        self.set(HazardKey::ForwardCollision, danger, header, out);
    }

    fn set(&mut self, key: HazardKey, danger: Option<Assessment>, header: v1::Header, out: &mut Outbox<Self>) {
        if let Some(hazard) = self.hazards.set(key, danger, header) {
            out.publish::<topic::FusionHazard>(hazard);
        }
    }

    fn recent_lanes(&self, time: Nanos) -> Option<&v1::Lanes> {
        let limit = i64::try_from(self.config.tracks.lanes_max_age_ms).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        self.lanes.as_ref().filter(|l| align::signed_difference(time, stamp_of(*l)).abs() <= limit)
    }

    fn publish_tracks(&mut self, header: v1::Header, out: &mut Outbox<Self>) {
        let stamp = Nanos(header.stamp_ns);
        let interval = Duration::from_millis(self.config.tracks.publish_interval_ms);
        if self.last_tracks.is_some_and(|last| stamp.since(last) < interval) {
            return;
        }
        self.last_tracks = Some(stamp);
        let header = Some(v1::Header::new(header.stamp_ns, header.trace_id));
        out.publish::<topic::FusionTracks>(v1::Tracks { header, tracks: self.tracks.at(stamp) });
    }

    fn on_lanes(&mut self, message: &v1::Lanes, now: Nanos, out: &mut Outbox<Self>) {
        let stamp = stamp_of(message);
        if !self.stamp_is_plausible(stamp, LANES, now, out) {
            return;
        }
        if self.pending.holds(stamp) || self.last_scene == Some(stamp) {
            return;
        }
        let (lanes, removed) = checked::lanes(message);
        if removed {
            let text = "a value of the lanes is not a number or not a road's; it is left out";
            out.fault(now, Severity::Warning, "implausible-value", LANES, text);
        }
        if self.lanes.as_ref().is_none_or(|l| stamp_of(l) < stamp) {
            self.update_departure(&lanes, out);
            self.lanes = Some(lanes);
            let header = lanes.header_copy();
            self.check_camera(now, v1::Header::new(header.stamp_ns, header.trace_id), out);
        }
        if self.last_scene.is_some_and(|last| stamp < last) {
            let text = "a camera frame came after the scene of a later instant; it has no scene of its own";
            return out.fault(now, Severity::Info, "message-too-old", LANES, text);
        }
        // On a bus that is silent anyway there is nothing to wait for.
        let wait = Duration::from_millis(if self.can_is_alive(now) { self.config.max_wait_ms } else { 0 });
        self.pending.push(lanes, now + wait);
        self.release_scenes(now, out);
        self.arm(now, out);
    }

    fn update_departure(&mut self, lanes: &v1::Lanes, out: &mut Outbox<Self>) {
        let header = lanes.header_copy();
        let (stamp, header) = (Nanos(header.stamp_ns), v1::Header::new(header.stamp_ns, header.trace_id));
        // The newest speed, unless CAN has fallen silent: then nobody knows how fast we are.
        let limit = Duration::from_millis(self.config.sensors.can_lost_ms);
        let newest = self.history.newest().filter(|s| stamp.since(s.stamp) <= limit);
        let speed = newest.and_then(|s| s.motion.speed_mps);
        let hold = Duration::from_millis(self.config.lane_departure.indicator_hold_ms);
        for (index, (key, side)) in SIDES.into_iter().enumerate() {
            let indicated = self.indicated[index].is_some_and(|at| stamp.since(at) <= hold);
            let monitor = &mut self.departures[index];
            let state = monitor.update(lanes, speed, indicated, stamp);
            let danger = monitor.is_active().then(|| Assessment {
                severity: Severity::Warning,
                time_to_collision_s: None,
                distance_m: state.map(|s| s.distance_m),
                text: format!("leaving the lane to the {} without indicator", side.name()),
            });
            self.set(key, danger, header, out);
        }
    }

    fn on_utterance(&mut self, utterance: Arc<v1::Utterance>, now: Nanos, out: &mut Outbox<Self>) {
        let stamp = Nanos(utterance.header_copy().stamp_ns);
        let newer = self.utterance.as_ref().is_none_or(|u| u.header_copy().stamp_ns < stamp.0);
        // What is still being said is of no use to a scene.
        if utterance.r#final && newer && self.stamp_is_plausible(stamp, UTTERANCE, now, out) {
            self.utterance = Some(utterance);
        }
    }

    fn can_is_alive(&self, now: Nanos) -> bool {
        let limit = Duration::from_millis(self.config.sensors.can_lost_ms);
        self.history.newest().is_some_and(|s| now.since(s.stamp) <= limit)
    }

    /// Raises and ends the loss of the CAN bus.
    fn check_can(&mut self, now: Nanos, header: v1::Header, out: &mut Outbox<Self>) {
        let last = self.history.newest().map(|s| s.stamp);
        let s = &self.config.sensors;
        let danger = self.silence(last, s.can_lost_ms, s.expect_can, "vehicle bus", now);
        self.set(HazardKey::CanLost, danger, header, out);
    }

    /// Raises and ends the loss of the camera (or of the lane detection behind it: to the driver the same).
    fn check_camera(&mut self, now: Nanos, header: v1::Header, out: &mut Outbox<Self>) {
        let last = self.lanes.as_ref().map(stamp_of);
        let s = &self.config.sensors;
        let danger = self.silence(last, s.camera_lost_ms, s.expect_camera, "camera", now);
        self.set(HazardKey::CameraLost, danger, header, out);
    }

    fn silence(
        &self,
        last: Option<Nanos>,
        limit_ms: u64,
        expected: bool,
        what: &str,
        now: Nanos,
    ) -> Option<Assessment> {
        let text = match (last, self.started) {
            (Some(last), _) if now.since(last) >= Duration::from_millis(limit_ms) => {
                format!("{what}: nothing new for more than {limit_ms} ms")
            }
            (None, Some(started)) if expected => {
                let grace_ms = self.config.sensors.startup_grace_ms;
                if now.since(started) < Duration::from_millis(grace_ms) {
                    return None;
                }
                format!("{what}: nothing since the start, {grace_ms} ms ago")
            }
            _ => return None,
        };
        Some(Assessment { severity: Severity::Warning, time_to_collision_s: None, distance_m: None, text })
    }

    /// What the clock alone decides, in time order of urgency.
    fn on_time(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        // Decided by the clock, so caused by no message: no trace.
        let header = v1::Header::new(now.0, 0);
        self.check_can(now, header, out);
        self.check_camera(now, header, out);
        let timeout = Duration::from_millis(self.config.tracks.timeout_ms);
        if self.collision.is_active() && self.history.newest().is_none_or(|s| now.since(s.stamp) > timeout) {
            let verdict = self.collision.update(None, None, now);
            self.set_collision(verdict, header, out);
        }
        let lost = Duration::from_millis(self.config.lane_departure.lost_after_ms);
        if self.lanes.as_ref().is_some_and(|l| now.since(stamp_of(l)) >= lost) {
            for (index, (key, _)) in SIDES.into_iter().enumerate() {
                self.departures[index].without_line(now);
                if !self.departures[index].is_active() {
                    self.set(key, None, header, out);
                }
            }
        }
    }
}

const SIDES: [(HazardKey, Side); 2] =
    [(HazardKey::DepartureLeft, Side::Left), (HazardKey::DepartureRight, Side::Right)];

pub(crate) fn stamp_of<M: Stamped>(message: &M) -> Nanos {
    Nanos(message.header_copy().stamp_ns)
}

impl Node for FusionNode {
    type Name = node::Fusion;
    type Effect = ();

    fn on_input(&mut self, input: node::FusionInput, now: Nanos, out: &mut Outbox<Self>) {
        match input {
            node::FusionInput::CameraFrontInfo(info) => self.on_info(&info, now, out),
            node::FusionInput::VehicleState(state) => self.on_vehicle(state, now, out),
            node::FusionInput::PerceptionLanes(lanes) => self.on_lanes(&lanes, now, out),
            node::FusionInput::SpeechUtterance(utterance) => self.on_utterance(utterance, now, out),
        }
    }

    fn on_tick(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        self.started.get_or_insert(now);
        self.on_time(now, out);
        self.release_scenes(now, out);
        self.silent_scene(now, out);
        self.arm(now, out);
    }
}
