//! A run and its truth side by side: what the pages draw and the tables tell.

use super::{
    cabin::{IntentSeen, Turn, UtteranceHeard},
    observed::Observed,
    road::HazardSpan,
};
use crate::{
    drive::{Drive, Event, EventKind, Truth},
    replay::start_of_recording,
    scenario::expect::Seen,
};
use anyhow::{Context, Result};
use auriga_msgs::v1;
use auriga_recorder::mcap_file::Reader;
use std::path::Path;

/// A run with its truth.
pub struct View {
    pub observed: Observed,
    pub truth: Vec<Truth>,
    pub events: Vec<Event>,
    /// The part of the drive that was played, in seconds of it.
    pub from_s: f64,
    pub to_s: f64,
    /// Driven in real time by processes: then latencies mean something.
    pub live: bool,
}

/// An event of the truth and the warning that came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reaction<'a> {
    pub event: &'a Event,
    pub warning: Option<&'a HazardSpan>,
}

impl Reaction<'_> {
    /// From the event's start to the warning; negative when it came before.
    pub fn after_s(&self) -> Option<f64> {
        self.warning.map(|w| w.published_s - self.event.start_s)
    }
}

/// A warning that begins this long before its event still belongs to it: lane departures are foreseen.
const FORESEEN_S: f64 = 2.0;

impl View {
    /// Of a recording; with the drive its truth is known in full.
    pub fn of_recording(path: &Path, drive: Option<&Drive>) -> Result<View> {
        Self::of_recording_from(path, drive, f64::NEG_INFINITY)
    }

    /// Of a recording that was begun in mid-drive: before `from_s` nothing counts.
    pub fn of_recording_from(path: &Path, drive: Option<&Drive>, from_s: f64) -> Result<View> {
        let reader = Reader::open(path).with_context(|| format!("recording {}", path.display()))?;
        let info = reader.drive_info().cloned().unwrap_or_default();
        let start = start_of_recording(&reader, path)?;
        let mut observed = Observed::new(start).counting_from(from_s);
        for item in reader {
            observed.take(&item.with_context(|| format!("recording {}", path.display()))?.1);
        }
        let (truth, events) = match drive {
            Some(drive) => (drive.truth()?, drive.manifest.events.clone()),
            None => told_truth(&observed),
        };
        // What was driven may be a part of the drive.
        let duration_s = match info.duration_s {
            0.0 => drive.map_or(0.0, |d| d.manifest.duration_s),
            told => told,
        };
        let to_s = if duration_s > 0.0 { duration_s.min(observed.end_s) } else { observed.end_s };
        // In real time, processes tell what they use; a replay has none.
        let live = !observed.usage.is_empty();
        let from_s = observed.speed.first().map_or(0.0, |s| s.0).max(0.0).floor();
        Ok(View { observed, truth, events, from_s, to_s, live })
    }

    /// As expectations take it.
    pub fn seen(&self) -> Seen<'_> {
        let View { observed, truth, events, from_s, to_s, .. } = self;
        Seen { observed, truth, events, from_s: *from_s, to_s: *to_s }
    }

    /// Events that happened in the part that was played.
    pub fn events_played(&self) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(|e| e.start_s < self.to_s && e.end_s > self.from_s)
    }

    /// Hazards of the drive, without those that the sensors' silence at its end raises.
    pub fn hazards(&self) -> impl Iterator<Item = &HazardSpan> {
        self.observed.hazards.iter().filter(|h| h.published_s <= self.to_s)
    }

    /// Each event that is to be warned of, with its warning.
    pub fn reactions(&self) -> Vec<Reaction<'_>> {
        let of_hazard = |e: &&Event| hazard_of(e.kind).is_some();
        let played = self.events_played().filter(of_hazard);
        played
            .map(|event| {
                let belongs = |h: &&HazardSpan| {
                    Some(h.kind) == hazard_of(event.kind)
                        && h.published_s >= event.start_s - FORESEEN_S
                        && h.published_s <= event.end_s
                };
                Reaction { event, warning: self.hazards().find(belongs) }
            })
            .collect()
    }

    /// Warnings that no event of the truth explains.
    pub fn unexplained(&self) -> Vec<&HazardSpan> {
        let reactions = self.reactions();
        let explained = |h: &HazardSpan| {
            reactions.iter().any(|r| {
                hazard_of(r.event.kind) == Some(h.kind) && h.overlaps(r.event.start_s - FORESEEN_S, r.event.end_s)
            })
        };
        self.hazards().filter(|h| !explained(h)).collect()
    }

    /// What was said and what became of it: the utterance, the intent, the turn.
    pub fn dialogue(&self) -> Vec<Exchange<'_>> {
        let answers = |u: &UtteranceHeard, end_s: f64| (u.end_s - end_s).abs() < 1e-3;
        let of = |utterance| Exchange {
            utterance,
            intent: self.observed.intents.iter().find(|i| answers(utterance, i.speech_end_s)),
            turn: self.observed.turns.iter().find(|t| answers(utterance, t.speech_end_s)),
        };
        self.observed.utterances.iter().map(of).collect()
    }
}

/// An utterance and its answers.
pub struct Exchange<'a> {
    pub utterance: &'a UtteranceHeard,
    pub intent: Option<&'a IntentSeen>,
    pub turn: Option<&'a Turn>,
}

/// The hazard that warns of an event, where one does.
pub fn hazard_of(kind: EventKind) -> Option<v1::HazardKind> {
    match kind {
        EventKind::ForwardCollision => Some(v1::HazardKind::ForwardCollision),
        EventKind::LaneDeparture => Some(v1::HazardKind::LaneDeparture),
        EventKind::Pedestrian | EventKind::LeadBrakes | EventKind::LaneChange | EventKind::Dark => None,
    }
}

/// The truth as a recording tells it: less than the drive's own file, and events by their names alone.
fn told_truth(observed: &Observed) -> (Vec<Truth>, Vec<Event>) {
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
