//! A scene: all modalities at one instant.

pub mod load;
pub mod schedule;
pub mod signals;

use crate::{
    input::align::{Aligned, signed_difference},
    tracks::corridor::own_curvature_per_m,
};
use auriga_msgs::v1;
use auriga_runtime::Nanos;
use load::{Situation, driving_load};
use schedule::stamp_of;
use signals::SignalCache;

/// What a scene is made from.
pub struct SceneParts<'a> {
    /// The scene's instant: the stamp of its camera frame, or without camera the time at which it is made.
    pub instant: Nanos,
    /// Trace of the message that caused it.
    pub trace_id: u64,
    /// The lanes of this instant; `None` without camera.
    pub lanes: Option<v1::Lanes>,
    /// Stamp of the newest lanes.
    pub camera: Option<Nanos>,
    /// The vehicle's state at the instant.
    pub vehicle: Option<Aligned<'a>>,
    /// The newest signals.
    pub signals: &'a SignalCache,
    /// The objects at the instant.
    pub tracks: Vec<v1::Track>,
    /// The active hazards.
    pub hazards: Vec<v1::Hazard>,
    /// The last utterance.
    pub utterance: Option<&'a v1::Utterance>,
    /// Whether the words of the utterance are part of the scene.
    pub utterance_text: bool,
}

impl SceneParts<'_> {
    /// The scene as a message.
    pub fn build(self) -> v1::Scene {
        let age = |stamp: Nanos| signed_difference(self.instant, stamp);
        let own_curvature = self.vehicle.as_ref().and_then(|v| own_curvature_per_m(&v.motion));
        let situation = Situation {
            speed_mps: self.vehicle.as_ref().and_then(|v| v.motion.speed_mps).unwrap_or(0.0),
            curvature_per_m: self.lanes.as_ref().and_then(|l| l.curvature_per_m).or(own_curvature).unwrap_or(0.0),
            lead_distance_m: self.tracks.iter().find(|t| t.lead).map(|t| t.x_m.max(0.0)),
            worst_hazard: self.hazards.iter().map(v1::Hazard::severity).max().unwrap_or_default(),
        };
        v1::Scene {
            header: Some(v1::Header::new(self.instant.0, self.trace_id)),
            can_age_ns: self.vehicle.as_ref().map(|v| v.age_ns),
            vehicle: self.vehicle.as_ref().map(|v| vehicle_state(v, self.signals)),
            camera_age_ns: self.camera.map(age),
            speech_age_ns: self.utterance.map(|u| age(stamp_of(u))),
            last_utterance: self.utterance.map(|u| utterance(u, self.utterance_text)),
            driving_load: driving_load(&situation),
            lanes: self.lanes,
            tracks: self.tracks,
            hazards: self.hazards,
        }
    }
}

fn utterance(utterance: &v1::Utterance, with_text: bool) -> v1::Utterance {
    let mut utterance = utterance.clone();
    if !with_text {
        utterance.text.clear();
        utterance.words.clear();
    }
    utterance
}

/// The aligned state as a message. Radar objects are in the tracks.
fn vehicle_state(aligned: &Aligned, signals: &SignalCache) -> v1::VehicleState {
    let (motion, held) = (aligned.motion, &aligned.base.message);
    let finite = |v: Option<f64>| v.filter(|v| v.is_finite());
    v1::VehicleState {
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
        signals: signals.all(),
        frames_total: held.frames_total,
        frames_unknown: held.frames_unknown,
        frames_wrong_length: held.frames_wrong_length,
        frames_error: held.frames_error,
        push_to_talk: held.push_to_talk,
    }
}
