//! A run compared with the ground truth.

use super::{
    cabin::{IntentRecord, Reply, UtteranceRecord},
    observations::Observations,
    road::HazardSpan,
};
use crate::{
    drive::{Drive, Event, EventKind, Truth},
    replay::start_of_recording,
};
use anyhow::{Context, Result};
use auriga_msgs::v1;
use auriga_recorder::mcap_file::Reader;
use std::path::Path;

/// A run of the nodes, with the ground truth of its drive.
pub struct DriveRun {
    /// What its messages show.
    pub observed: Observations,
    /// Ground truth at each camera frame.
    pub truth: Vec<Truth>,
    /// Events of the ground truth.
    pub events: Vec<Event>,
    /// Start of the part that was played, in seconds of the drive.
    pub from_s: f64,
    /// End of that part.
    pub to_s: f64,
    /// Run by processes in real time: only then latencies are measured.
    pub live: bool,
}

/// An event of the ground truth and its warning.
#[derive(Debug, Clone, PartialEq)]
pub struct Reaction<'a> {
    /// The event.
    pub event: &'a Event,
    /// The first hazard of its kind within the event; `None`: no warning.
    pub warning: Option<&'a HazardSpan>,
}

impl Reaction<'_> {
    /// Seconds from the start of the event to the warning; negative when the warning came first.
    pub fn delay_s(&self) -> Option<f64> {
        self.warning.map(|w| w.published_s - self.event.start_s)
    }
}

/// How early a warning may come before its event: lane departures are predicted.
const MAX_EARLY_S: f64 = 2.0;

impl DriveRun {
    /// Reads a recording. With its drive, the full ground truth is known.
    ///
    /// # Errors
    /// When the recording or the drive cannot be read.
    pub fn from_recording(path: &Path, drive: Option<&Drive>) -> Result<DriveRun> {
        Self::from_partial_recording(path, drive, f64::NEG_INFINITY)
    }

    /// As [`DriveRun::from_recording`], with latencies, losses and faults counted from `from_s` on.
    ///
    /// # Errors
    /// When the recording or the drive cannot be read.
    pub fn from_partial_recording(path: &Path, drive: Option<&Drive>, from_s: f64) -> Result<DriveRun> {
        let reader = Reader::open(path).with_context(|| format!("recording {}", path.display()))?;
        let info = reader.drive_info().cloned().unwrap_or_default();
        let start = start_of_recording(&reader, path)?;
        let mut observed = Observations::new(start).counting_from(from_s);
        for item in reader {
            observed.record(&item.with_context(|| format!("recording {}", path.display()))?.1);
        }
        let (truth, events) = match drive {
            Some(drive) => (drive.truth()?, drive.manifest.events.clone()),
            None => truth_from_recording(&observed),
        };
        // Possibly a part of the drive.
        let duration_s = match info.duration_s {
            0.0 => drive.map_or(0.0, |d| d.manifest.duration_s),
            recorded => recorded,
        };
        let to_s = if duration_s > 0.0 { duration_s.min(observed.end_s) } else { observed.end_s };
        // Only processes publish usage; a replay has none.
        let live = !observed.usage.is_empty();
        let from_s = observed.speed.first().map_or(0.0, |s| s.0).max(0.0).floor();
        Ok(DriveRun { observed, truth, events, from_s, to_s, live })
    }

    /// Events that happened in the part that was played.
    pub fn events_played(&self) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(|e| e.start_s < self.to_s && e.end_s > self.from_s)
    }

    /// Hazards of the drive, without those raised by silent sensors after its end.
    pub fn hazards(&self) -> impl Iterator<Item = &HazardSpan> {
        self.observed.hazards.iter().filter(|h| h.published_s <= self.to_s)
    }

    /// Each event that requires a warning, with its warning.
    pub fn reactions(&self) -> Vec<Reaction<'_>> {
        let of_hazard = |e: &&Event| hazard_for_event(e.kind).is_some();
        let played = self.events_played().filter(of_hazard);
        played
            .map(|event| {
                let belongs = |h: &&HazardSpan| {
                    Some(h.kind) == hazard_for_event(event.kind)
                        && h.published_s >= event.start_s - MAX_EARLY_S
                        && h.published_s <= event.end_s
                };
                Reaction { event, warning: self.hazards().find(belongs) }
            })
            .collect()
    }

    /// Warnings without an event of the ground truth.
    pub fn false_alarms(&self) -> Vec<&HazardSpan> {
        let reactions = self.reactions();
        let explained = |h: &HazardSpan| {
            reactions.iter().any(|r| {
                hazard_for_event(r.event.kind) == Some(h.kind)
                    && h.overlaps(r.event.start_s - MAX_EARLY_S, r.event.end_s)
            })
        };
        self.hazards().filter(|h| !explained(h)).collect()
    }

    /// All utterances with their intents and replies.
    pub fn dialogue(&self) -> Vec<Exchange<'_>> {
        let answers = |u: &UtteranceRecord, end_s: f64| (u.end_s - end_s).abs() < 1e-3;
        let of = |utterance| Exchange {
            utterance,
            intent: self.observed.intents.iter().find(|i| answers(utterance, i.speech_end_s)),
            reply: self.observed.replies.iter().find(|t| answers(utterance, t.speech_end_s)),
        };
        self.observed.utterances.iter().map(of).collect()
    }
}

/// An utterance with its intent and reply.
pub struct Exchange<'a> {
    /// The utterance.
    pub utterance: &'a UtteranceRecord,
    /// What was understood.
    pub intent: Option<&'a IntentRecord>,
    /// What was answered.
    pub reply: Option<&'a Reply>,
}

/// The kind of hazard that warns of a kind of event; `None`: no warning is required.
pub fn hazard_for_event(kind: EventKind) -> Option<v1::HazardKind> {
    match kind {
        EventKind::ForwardCollision => Some(v1::HazardKind::ForwardCollision),
        EventKind::LaneDeparture => Some(v1::HazardKind::LaneDeparture),
        EventKind::Pedestrian | EventKind::LeadBrakes | EventKind::LaneChange | EventKind::Dark => None,
    }
}

/// Ground truth from a recording: fewer values than in the drive's file, and events without their values.
fn truth_from_recording(observed: &Observations) -> (Vec<Truth>, Vec<Event>) {
    let mut events: Vec<Event> = Vec::new();
    let mut open: Option<Event> = None;
    let mut truths = Vec::new();
    for (i, t) in observed.truth.iter().enumerate() {
        let kind = EventKind::ALL.into_iter().find(|k| k.name() == t.event);
        if open.map(|e| e.kind) != kind {
            events.extend(open.take());
            open = kind.map(|kind| Event { kind, start_s: t.t_s, end_s: t.t_s, value: f64::NAN });
        }
        open.iter_mut().for_each(|e| e.end_s = t.t_s);
        truths.push(Truth {
            frame: i as u64,
            t_s: t.t_s,
            speed_mps: t.speed_mps,
            accel_mps2: f64::NAN,
            yaw_rate_radps: f64::NAN,
            steering_wheel_rad: f64::NAN,
            s_m: f64::NAN,
            lane: 0,
            lane_width_m: 0.0,
            lane_offset_m: t.lane_offset_m,
            heading_rad: f64::NAN,
            curvature_per_m: t.curvature_per_m,
            lead_distance_m: None,
            lead_speed_mps: None,
            time_to_collision_s: t.time_to_collision_s,
            brightness: f64::NAN,
            event: t.event.clone(),
        });
    }
    events.extend(open);
    (truths, events)
}
