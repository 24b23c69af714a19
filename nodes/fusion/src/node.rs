//! The state machine: what it publishes for what it receives.

use crate::{
    config::Config,
    hazards::forward_collision::{CollisionWarning, ForwardCollision},
    hazards::lane_departure::LaneDeparture,
    hazards::registry::{Assessment, HazardKey, HazardRegistry},
    hazards::sensor_loss::SensorLoss,
    input::align::{History, Inserted, Sample, signed_difference},
    input::validate::{self, Motion},
    scene::SceneParts,
    scene::schedule::{CameralessScenes, PendingFrames, stamp_of},
    scene::signals::SignalCache,
    tracks::Tracks,
    tracks::corridor::Corridor,
};
use auriga_msgs::{Stamped, node, topic, v1};
use auriga_runtime::{
    Nanos, Node, Outbox,
    plausibility::{self, BUMPER_AHEAD_M},
};
use std::{sync::Arc, time::Duration};
use v1::{Indicator, Severity, Side};

const INFO: &str = "camera/front/info";
const LANES: &str = "perception/lanes";
const VEHICLE: &str = "vehicle/state";
const UTTERANCE: &str = "speech/utterance";

/// Radar objects of one message that are taken: a radar has a few dozen.
const MAX_RADAR: usize = 256;

/// While a hazard is active that ends without new data, the clock checks it this often.
const HAZARD_CHECK: Duration = Duration::from_millis(100);

/// The lane departures in the order of [`FusionNode::departures`].
const DEPARTURES: [(HazardKey, Side); 2] =
    [(HazardKey::DepartureLeft, Side::Left), (HazardKey::DepartureRight, Side::Right)];

/// The state machine.
pub struct FusionNode {
    config: Config,
    history: History,
    tracks: Tracks,
    collision: ForwardCollision,
    departures: [LaneDeparture; 2],
    can_loss: SensorLoss,
    camera_loss: SensorLoss,
    hazards: HazardRegistry,
    signals: SignalCache,
    /// From the camera, where lanes are measured from, to the bumper, where radar objects are; 0 until the camera's
    /// calibration has come.
    bumper_ahead_m: f64,
    /// The newest lanes, validated.
    lanes: Option<v1::Lanes>,
    pending: PendingFrames,
    cameraless: CameralessScenes,
    utterance: Option<Arc<v1::Utterance>>,
    /// When each side was last indicated: left, right.
    indicated: [Option<Nanos>; 2],
    /// Stamp of the last scene.
    last_scene: Option<Nanos>,
    /// Stamp of the last tracks published.
    last_tracks: Option<Nanos>,
    started: Option<Nanos>,
}

impl FusionNode {
    /// A node that has received nothing.
    ///
    /// # Errors
    /// When a value of the configuration is out of its range.
    pub fn new(config: Config) -> Result<Self, auriga_runtime::config::ConfigError> {
        config.check()?;
        let ms = Duration::from_millis;
        let s = &config.sensors;
        let grace = |expected: bool| expected.then_some(ms(s.startup_grace_ms));
        let half_width_m = config.vehicle_half_width_m;
        Ok(Self {
            history: History::new(ms(config.history_ms)),
            tracks: Tracks::new(config.tracks.clone()),
            collision: ForwardCollision::new(config.forward_collision.clone()),
            departures: DEPARTURES
                .map(|(_, side)| LaneDeparture::new(config.lane_departure.clone(), half_width_m, side)),
            can_loss: SensorLoss::new("vehicle bus", ms(s.can_lost_ms), grace(s.expect_can)),
            camera_loss: SensorLoss::new("camera", ms(s.camera_lost_ms), grace(s.expect_camera)),
            hazards: HazardRegistry::new(ms(config.hazard_republish_ms)),
            signals: SignalCache::default(),
            bumper_ahead_m: 0.0,
            lanes: None,
            pending: PendingFrames::default(),
            cameraless: CameralessScenes::new(
                ms(config.camera_silent_ms),
                Duration::from_secs_f64(1.0 / config.silent_scene_hz),
            ),
            utterance: None,
            indicated: [None; 2],
            last_scene: None,
            last_tracks: None,
            started: None,
            config,
        })
    }

    fn on_vehicle(&mut self, state: Arc<v1::VehicleState>, now: Nanos, out: &mut Outbox<Self>) {
        let header = state.header_copy();
        let stamp = Nanos(header.stamp_ns);
        if !Self::stamp_is_plausible(stamp, VEHICLE, now, out) {
            return;
        }
        let motion = Motion::validated(&state, |name, value| {
            let text = format!("{name} = {value} is out of a vehicle's range; the value is ignored, check the DBC");
            out.fault(now, Severity::Warning, "implausible-value", name, text);
        });
        let sample = Sample { stamp, seq: header.seq, trace: header.trace_id, motion, message: state.clone() };
        match self.history.insert(sample) {
            Inserted::Newest | Inserted::Late => {}
            Inserted::Duplicate => return,
            Inserted::TooOld => {
                let limit_ms = self.config.history_ms;
                let text = format!("a message is more than {limit_ms} ms older than the newest and was dropped");
                return out.fault(now, Severity::Info, "message-too-old", VEHICLE, text);
            }
        }
        self.record_indicator(&state, stamp);
        let radar_changed = self.update_radar(&state, stamp, now, out);
        let evidence = v1::Header::new(header.stamp_ns, header.trace_id);
        self.update_collision(evidence, now, out);
        self.update_can_loss(now, evidence, out);
        if radar_changed {
            self.publish_tracks(evidence, out);
        }
        let refused = self.signals.update(&state, stamp);
        if refused > 0 {
            let text = format!("{refused} signals are more than are kept, or have names that no signal has; ignored");
            out.fault(now, Severity::Warning, "signals-refused", VEHICLE, text);
        }
        self.release_scenes(now, out);
        self.arm(now, out);
    }

    fn on_info(&mut self, info: &v1::CameraInfo, now: Nanos, out: &mut Outbox<Self>) {
        if BUMPER_AHEAD_M.contains(&info.bumper_ahead_m) {
            self.bumper_ahead_m = info.bumper_ahead_m;
        } else {
            let text = format!(
                "bumper_ahead_m = {}: expected {BUMPER_AHEAD_M:?} m; the last one is kept",
                info.bumper_ahead_m
            );
            out.fault(now, Severity::Warning, "camera-info-malformed", INFO, text);
        }
    }

    /// A stamp ahead of the clock would make everything after it look old.
    fn stamp_is_plausible(stamp: Nanos, subject: &str, now: Nanos, out: &mut Outbox<Self>) -> bool {
        let ahead = plausibility::stamp_ahead(stamp, now);
        if let Some(ahead) = ahead {
            let text = format!("a message is stamped {} ms ahead of the clock and was dropped", ahead.as_millis());
            out.fault(now, Severity::Warning, "stamp-ahead", subject, text);
        }
        ahead.is_none()
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

    /// Returns whether any track changed.
    fn update_radar(&mut self, state: &v1::VehicleState, stamp: Nanos, now: Nanos, out: &mut Outbox<Self>) -> bool {
        let mut changed = false;
        self.tracks.set_own_speed(self.history.newest().and_then(|s| s.motion.speed_mps));
        if state.radar.len() > MAX_RADAR {
            let text = format!("{} objects in one message; only the first {MAX_RADAR} are taken", state.radar.len());
            out.fault(now, Severity::Warning, "implausible-value", "radar", text);
        }
        for report in state.radar.iter().take(MAX_RADAR) {
            if report.valid && !plausibility::is_radar_track(report) {
                let (x, y, v) = (report.x_m, report.y_m, report.vx_mps);
                let text = format!("radar object {} at ({x}, {y}) m with {v} m/s is implausible; ignored", report.id);
                out.fault(now, Severity::Warning, "implausible-value", "radar", text);
                continue;
            }
            // No report is newer than the message that carries it.
            let measured = if report.stamp_ns == 0 { stamp } else { Nanos(report.stamp_ns).min(stamp) };
            changed |= self.tracks.measure(report, measured);
        }
        changed
    }

    fn update_collision(&mut self, evidence: v1::Header, now: Nanos, out: &mut Outbox<Self>) {
        let Some(newest) = self.history.newest() else { return };
        let (time, motion) = (newest.stamp, newest.motion);
        let corridor = Corridor::new(self.recent_lanes(time), &motion, self.bumper_ahead_m);
        self.tracks.assign(time, &corridor);
        let warning = self.collision.update(self.tracks.lead(), motion.speed_mps, time);
        self.set_hazard(
            HazardKey::ForwardCollision,
            warning.as_ref().map(CollisionWarning::assessment),
            evidence,
            now,
            out,
        );
    }

    /// Sets or ends a hazard by the evidence of a header, and publishes what changed.
    fn set_hazard(
        &mut self,
        key: HazardKey,
        assessment: Option<Assessment>,
        evidence: v1::Header,
        now: Nanos,
        out: &mut Outbox<Self>,
    ) {
        if let Some(hazard) = self.hazards.set(key, assessment, evidence, now) {
            out.publish::<topic::FusionHazard>(hazard);
        }
    }

    fn recent_lanes(&self, time: Nanos) -> Option<&v1::Lanes> {
        let limit = i64::try_from(self.config.tracks.lanes_max_age_ms).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        self.lanes.as_ref().filter(|l| signed_difference(time, stamp_of(*l)).abs() <= limit)
    }

    fn publish_tracks(&mut self, header: v1::Header, out: &mut Outbox<Self>) {
        let stamp = Nanos(header.stamp_ns);
        let interval = Duration::from_millis(self.config.tracks.publish_interval_ms);
        if self.last_tracks.is_some_and(|last| stamp.since(last) < interval) {
            return;
        }
        self.last_tracks = Some(stamp);
        out.publish::<topic::FusionTracks>(v1::Tracks { header: Some(header), tracks: self.tracks.at(stamp) });
    }

    fn on_lanes(&mut self, message: &v1::Lanes, now: Nanos, out: &mut Outbox<Self>) {
        let stamp = stamp_of(message);
        if !Self::stamp_is_plausible(stamp, LANES, now, out) {
            return;
        }
        if self.pending.contains(stamp) || self.last_scene == Some(stamp) {
            return;
        }
        let (lanes, removed) = validate::lanes(message);
        if removed {
            let text = "a value of the lanes is not a number or not a road's; it is ignored";
            out.fault(now, Severity::Warning, "implausible-value", LANES, text);
        }
        if self.lanes.as_ref().is_none_or(|l| stamp_of(l) < stamp) {
            let header = lanes.header_copy();
            let evidence = v1::Header::new(header.stamp_ns, header.trace_id);
            self.update_departures(&lanes, evidence, now, out);
            self.lanes = Some(lanes);
            self.update_camera_loss(now, evidence, out);
        }
        if self.last_scene.is_some_and(|last| stamp < last) {
            let text = "a camera frame came after the scene of a later instant; it has no scene of its own";
            return out.fault(now, Severity::Info, "message-too-old", LANES, text);
        }
        // On a silent bus there is nothing to wait for.
        let wait = Duration::from_millis(if self.can_is_alive(now) { self.config.max_wait_ms } else { 0 });
        self.pending.push(lanes, now + wait);
        self.release_scenes(now, out);
        self.arm(now, out);
    }

    fn update_departures(&mut self, lanes: &v1::Lanes, evidence: v1::Header, now: Nanos, out: &mut Outbox<Self>) {
        let stamp = Nanos(evidence.stamp_ns);
        // The newest speed, unless CAN has fallen silent: then the speed is unknown.
        let limit = Duration::from_millis(self.config.sensors.can_lost_ms);
        let newest = self.history.newest().filter(|s| stamp.since(s.stamp) <= limit);
        let speed = newest.and_then(|s| s.motion.speed_mps);
        let hold = Duration::from_millis(self.config.lane_departure.indicator_hold_ms);
        for (index, (key, _)) in DEPARTURES.into_iter().enumerate() {
            let indicated = self.indicated[index].is_some_and(|at| stamp.since(at) <= hold);
            let departure = &mut self.departures[index];
            let line = departure.update(lanes, speed, indicated, stamp);
            let assessment = departure.assessment(line);
            self.set_hazard(key, assessment, evidence, now, out);
        }
    }

    fn on_utterance(&mut self, utterance: Arc<v1::Utterance>, now: Nanos, out: &mut Outbox<Self>) {
        let stamp = stamp_of(utterance.as_ref());
        let newer = self.utterance.as_ref().is_none_or(|u| stamp_of(u.as_ref()) < stamp);
        // Partial utterances are not part of a scene.
        if utterance.r#final && newer && Self::stamp_is_plausible(stamp, UTTERANCE, now, out) {
            self.utterance = Some(utterance);
        }
    }

    fn can_is_alive(&self, now: Nanos) -> bool {
        let limit = Duration::from_millis(self.config.sensors.can_lost_ms);
        self.history.newest().is_some_and(|s| now.since(s.stamp) <= limit)
    }

    /// Stamp of the newest vehicle state.
    fn last_can(&self) -> Option<Nanos> {
        self.history.newest().map(|s| s.stamp)
    }

    /// Stamp of the newest lanes.
    fn last_camera(&self) -> Option<Nanos> {
        self.lanes.as_ref().map(stamp_of)
    }

    fn update_can_loss(&mut self, now: Nanos, evidence: v1::Header, out: &mut Outbox<Self>) {
        let loss = self.can_loss.assessment(self.last_can(), self.started, now);
        self.set_hazard(HazardKey::CanLost, loss, evidence, now, out);
    }

    /// The camera, or the lane detection behind it: to the driver the same.
    fn update_camera_loss(&mut self, now: Nanos, evidence: v1::Header, out: &mut Outbox<Self>) {
        let loss = self.camera_loss.assessment(self.last_camera(), self.started, now);
        self.set_hazard(HazardKey::CameraLost, loss, evidence, now, out);
    }

    /// Hazards that begin or end because nothing came.
    fn check_silence(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        // Caused by the clock and by no message: no trace.
        let evidence = v1::Header::new(now.0, 0);
        self.update_can_loss(now, evidence, out);
        self.update_camera_loss(now, evidence, out);
        let timeout = Duration::from_millis(self.config.tracks.timeout_ms);
        if self.collision.is_active() && self.last_can().is_none_or(|stamp| now.since(stamp) > timeout) {
            let warning = self.collision.update(None, None, now);
            let assessment = warning.as_ref().map(CollisionWarning::assessment);
            self.set_hazard(HazardKey::ForwardCollision, assessment, evidence, now, out);
        }
        let lost = Duration::from_millis(self.config.lane_departure.lost_after_ms);
        if self.last_camera().is_some_and(|stamp| now.since(stamp) >= lost) {
            for (index, (key, _)) in DEPARTURES.into_iter().enumerate() {
                self.departures[index].without_line(now);
                if !self.departures[index].is_active() {
                    self.set_hazard(key, None, evidence, now, out);
                }
            }
        }
    }

    /// Publishes the scenes of the camera frames whose wait is over.
    fn release_scenes(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        while let Some(lanes) = self.pending.pop_ready(self.last_can(), now) {
            let header = lanes.header_copy();
            self.publish_scene(Nanos(header.stamp_ns), header.trace_id, Some(lanes), out);
        }
    }

    /// When the next scene without camera is due; `None` while nothing at all has been received.
    fn cameraless_due(&self) -> Option<Nanos> {
        let started = self.started.filter(|_| self.history.newest().is_some());
        self.cameraless.due(self.last_camera().or(started))
    }

    /// Publishes a scene without camera, if one is due.
    fn release_cameraless_scene(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        if self.cameraless_due().is_none_or(|due| now < due) || self.last_scene.is_some_and(|last| now <= last) {
            return;
        }
        self.cameraless.made(now);
        let trace = self.history.newest().map_or(0, |s| s.trace);
        self.publish_scene(now, trace, None, out);
    }

    fn publish_scene(&mut self, instant: Nanos, trace_id: u64, lanes: Option<v1::Lanes>, out: &mut Outbox<Self>) {
        self.last_scene = Some(instant);
        let parts = SceneParts {
            instant,
            trace_id,
            camera: lanes.as_ref().map(stamp_of).or(self.last_camera()),
            lanes,
            vehicle: self.history.at(instant),
            signals: &self.signals,
            tracks: self.tracks.at(instant),
            hazards: self.hazards.active(),
            utterance: self.utterance.as_deref(),
            utterance_text: self.config.utterance_text_in_scene,
        };
        out.publish::<topic::FusionScene>(parts.build());
    }

    /// Asks for a tick when the clock next decides something.
    fn arm(&self, now: Nanos, out: &mut Outbox<Self>) {
        let inactive = |key: HazardKey| move |_: &Nanos| !self.hazards.is_active(key);
        let camera_lost = self.camera_loss.deadline(self.last_camera(), self.started);
        let can_lost = self.can_loss.deadline(self.last_can(), self.started);
        let fed = [HazardKey::ForwardCollision, HazardKey::DepartureLeft, HazardKey::DepartureRight];
        let check = fed.into_iter().any(|key| self.hazards.is_active(key)).then(|| now + HAZARD_CHECK);
        let deadlines = [
            self.pending.next_deadline(),
            self.cameraless_due(),
            self.hazards.republish_due(),
            camera_lost.filter(inactive(HazardKey::CameraLost)),
            can_lost.filter(inactive(HazardKey::CanLost)),
            check,
        ];
        if let Some(at) = deadlines.into_iter().flatten().min() {
            // Later than now: a deadline in the past has just been handled.
            out.tick_at(at.max(now + Duration::from_millis(1)));
        }
    }
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
        self.check_silence(now, out);
        for hazard in self.hazards.republish(now) {
            out.publish::<topic::FusionHazard>(hazard);
        }
        self.release_scenes(now, out);
        self.release_cameraless_scene(now, out);
        self.arm(now, out);
    }
}
