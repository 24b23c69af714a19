//! When a scene is made, and what is in it.

pub mod load;

use crate::{
    hazards::registry::HazardKey,
    input::align::signed_difference,
    node::{FusionNode, HAZARD_CHECK, stamp_of},
    tracks::corridor::own_curvature_per_m,
};
use auriga_msgs::{Stamped, topic, v1};
use auriga_runtime::{Nanos, Outbox};
use load::{Situation, driving_load};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// Camera frames that wait for CAN at most; the wait is shorter than two frames, so more is a flood.
const MAX_PENDING: usize = 8;
/// VSS paths remembered at most; VSS 4.2 has about 1000 signals in all.
const MAX_SIGNALS: usize = 1024;

/// Camera frames whose scenes wait for CAN, by their stamps.
#[derive(Debug, Default)]
pub(crate) struct PendingFrames {
    frames: VecDeque<(v1::Lanes, Nanos)>,
}

impl PendingFrames {
    pub fn holds(&self, stamp: Nanos) -> bool {
        self.frames.iter().any(|(l, _)| stamp_of(l) == stamp)
    }

    /// `until`: when the scene is made, CAN or not.
    pub fn push(&mut self, lanes: v1::Lanes, until: Nanos) {
        let place = self.frames.partition_point(|(l, _)| stamp_of(l) < stamp_of(&lanes));
        self.frames.insert(place, (lanes, until));
    }

    /// The oldest frame, if its time has come: CAN has been heard at or after it, it has waited long enough, or too
    /// many wait. A frame must not overtake an older one that still waits.
    fn pop_ready(&mut self, newest_can: Option<Nanos>, now: Nanos) -> Option<v1::Lanes> {
        let (oldest, until) = self.frames.front()?;
        let covered = newest_can.is_some_and(|t| t >= stamp_of(oldest));
        let ready = covered || *until <= now || self.frames.len() > MAX_PENDING;
        if ready { self.frames.pop_front().map(|(lanes, _)| lanes) } else { None }
    }

    fn next(&self) -> Option<Nanos> {
        self.frames.front().map(|(_, until)| *until)
    }
}

/// The newest value of every signal on the bus.
#[derive(Debug, Default)]
pub(crate) struct SignalCache {
    by_path: BTreeMap<String, v1::VssSignal>,
}

impl SignalCache {
    pub fn absorb(&mut self, state: &v1::VehicleState) {
        for signal in &state.signals {
            let full = self.by_path.len() >= MAX_SIGNALS;
            match self.by_path.get_mut(&signal.path) {
                Some(known) if known.stamp_ns <= signal.stamp_ns => *known = signal.clone(),
                Some(_) => {}
                None if !full => {
                    self.by_path.insert(signal.path.clone(), signal.clone());
                }
                None => {}
            }
        }
    }
}

impl FusionNode {
    /// Makes the scenes of the camera frames whose wait is over.
    pub(crate) fn release_scenes(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        let newest = self.history.newest().map(|s| s.stamp);
        while let Some(lanes) = self.pending.pop_ready(newest, now) {
            let header = lanes.header_copy();
            self.publish_scene(Nanos(header.stamp_ns), header.trace_id, Some(lanes), out);
        }
    }

    /// A scene without camera, when it has been silent for long enough.
    pub(crate) fn silent_scene(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        if self.silent_scene_due().is_none_or(|due| now < due) || self.last_scene.is_some_and(|last| now <= last) {
            return;
        }
        let period = Duration::from_secs_f64(1.0 / self.config.silent_scene_hz);
        // On the grid of the last one: a late tick does not slow the rate down.
        let on_grid = self.next_silent_scene + period;
        self.next_silent_scene = if on_grid > now { on_grid } else { now + period };
        let trace = self.history.newest().map_or(0, |s| s.trace);
        self.publish_scene(now, trace, None, out);
    }

    /// `None` while nothing at all has been heard.
    fn silent_scene_due(&self) -> Option<Nanos> {
        let silent = Duration::from_millis(self.config.camera_silent_ms);
        let begin = match &self.lanes {
            Some(lanes) => stamp_of(lanes) + silent,
            None => self.started.filter(|_| self.history.newest().is_some())? + silent,
        };
        Some(begin.max(self.next_silent_scene))
    }

    fn publish_scene(&mut self, instant: Nanos, trace: u64, lanes: Option<v1::Lanes>, out: &mut Outbox<Self>) {
        self.last_scene = Some(instant);
        let camera = lanes.as_ref().or(self.lanes.as_ref()).map(stamp_of);
        let vehicle = self.vehicle_at(instant);
        let tracks = self.tracks.at(instant);
        let age = |stamp: Nanos| signed_difference(instant, stamp);
        let situation = Situation {
            speed_mps: vehicle.as_ref().and_then(|v| v.0.speed_mps).unwrap_or(0.0),
            curvature_per_m: lanes
                .as_ref()
                .and_then(|l| l.curvature_per_m)
                .or(vehicle.as_ref().and_then(|v| v.2))
                .unwrap_or(0.0),
            lead_distance_m: tracks.iter().find(|t| t.lead).map(|t| t.x_m.max(0.0)),
            worst_hazard: self.hazards.worst(),
        };
        out.publish::<topic::FusionScene>(v1::Scene {
            header: Some(v1::Header::new(instant.0, trace)),
            lanes,
            can_age_ns: vehicle.as_ref().map(|v| v.1),
            vehicle: vehicle.map(|v| v.0),
            tracks,
            hazards: self.hazards.active(),
            camera_age_ns: camera.map(age),
            speech_age_ns: self.utterance.as_ref().map(|u| age(stamp_of(u.as_ref()))),
            last_utterance: self.utterance.as_ref().map(|u| {
                let mut u = u.as_ref().clone();
                if !self.config.utterance_text_in_scene {
                    u.text.clear();
                    u.words.clear();
                }
                u
            }),
            driving_load: driving_load(&situation),
        });
    }

    /// The vehicle's state, its age and the curvature of its path at an instant. Radar objects are in the tracks.
    fn vehicle_at(&self, instant: Nanos) -> Option<(v1::VehicleState, i64, Option<f64>)> {
        let aligned = self.history.at(instant)?;
        let (motion, held) = (aligned.motion, &aligned.base.message);
        let finite = |v: Option<f64>| v.filter(|v| v.is_finite());
        let state = v1::VehicleState {
            header: Some(v1::Header::new(aligned.base.stamp.0, aligned.base.trace)),
            speed_mps: motion.speed_mps,
            yaw_rate_radps: motion.yaw_rate_radps,
            steering_wheel_rad: motion.steering_wheel_rad,
            accelerator: motion.accelerator,
            brake: motion.brake,
            accel_mps2: motion.accel_mps2,
            gear: held.gear,
            indicator: held.indicator,
            range_km: finite(held.range_km),
            battery: finite(held.battery),
            outside_temp_c: finite(held.outside_temp_c),
            radar: Vec::new(),
            signals: self.signals.by_path.values().cloned().collect(),
            frames_total: held.frames_total,
            frames_unknown: held.frames_unknown,
            frames_wrong_length: held.frames_wrong_length,
            frames_error: held.frames_error,
            push_to_talk: held.push_to_talk,
        };
        Some((state, aligned.age_ns, own_curvature_per_m(&motion)))
    }

    /// Asks for a tick when the clock next decides something.
    pub(crate) fn arm(&self, now: Nanos, out: &mut Outbox<Self>) {
        let s = &self.config.sensors;
        let lost = |last: Option<Nanos>, limit_ms: u64, expected: bool, key: HazardKey| {
            let limit = Duration::from_millis(limit_ms);
            let grace = Duration::from_millis(s.startup_grace_ms);
            let at = last.map(|t| t + limit).or(self.started.filter(|_| expected).map(|t| t + grace));
            at.filter(|_| !self.hazards.is_active(key))
        };
        let lanes = self.lanes.as_ref().map(stamp_of);
        let can = self.history.newest().map(|s| s.stamp);
        let fed = [HazardKey::ForwardCollision, HazardKey::DepartureLeft, HazardKey::DepartureRight];
        let check = fed.into_iter().any(|key| self.hazards.is_active(key)).then(|| now + HAZARD_CHECK);
        let deadlines = [
            self.pending.next(),
            self.silent_scene_due(),
            lost(lanes, s.camera_lost_ms, s.expect_camera, HazardKey::CameraLost),
            lost(can, s.can_lost_ms, s.expect_can, HazardKey::CanLost),
            check,
        ];
        if let Some(at) = deadlines.into_iter().flatten().min() {
            // Never at once again: a deadline that lies behind has just been looked at.
            out.tick_at(at.max(now + Duration::from_millis(1)));
        }
    }
}
