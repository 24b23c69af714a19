//! A run compared with the ground truth.

use super::{
    cabin::{IntentRecord, Reply, UtteranceRecord},
    observations::Observations,
    road::HazardSpan,
    verdict::{Floor, Inputs, Judged, Span, Verdict},
};
use crate::drive::{Drive, Event, EventKind, Truth};
use anyhow::{Context, Result};
use auriga_msgs::v1;
use auriga_recorder::mcap_file::Reader;
use std::path::{Path, PathBuf};

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
    /// What the drive gave to the nodes.
    pub inputs: Inputs,
    /// What the machine itself took, if that was measured.
    pub floor: Option<Floor>,
    /// What of the recording is damaged or missing, in words.
    pub damage: Vec<String>,
}

/// What is known of a run besides its recording.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The part that was played, in seconds of the drive.
    pub played: Option<Span>,
    /// What was given to the nodes.
    pub inputs: Inputs,
    /// Latencies, losses and faults count from here on, in seconds of the drive.
    pub counts_from_s: Option<f64>,
}

/// An event of the ground truth and its warning.
#[derive(Debug, Clone, PartialEq)]
pub struct Reaction<'a> {
    /// The event.
    pub event: &'a Event,
    /// The first hazard of its kind within the event; `None`: no warning.
    pub warning: Option<&'a HazardSpan>,
    /// Without a warning: the part of the time in which it was due that was not recorded.
    pub unrecorded: Option<Span>,
}

impl Reaction<'_> {
    /// Seconds from the start of the event to the warning; negative when the warning came first.
    pub fn delay_s(&self) -> Option<f64> {
        self.warning.map(|w| w.published_s - self.event.start_s)
    }
}

/// How early a warning may come before its event: lane departures are predicted.
const MAX_EARLY_S: f64 = 2.0;
/// Shorter times without a message at the ends of a drive are normal, in seconds.
const SHORT_S: f64 = 1.0;

impl DriveRun {
    /// Reads a recording. With its drive, the full ground truth is known.
    ///
    /// # Errors
    /// When the recording or the drive cannot be read.
    pub fn from_recording(path: &Path, drive: Option<&Drive>) -> Result<DriveRun> {
        let inputs = drive.map_or(Inputs::default(), Inputs::of_drive);
        DriveRun::from_files(&[path.to_owned()], drive, Known { inputs, ..Known::default() })
    }

    /// Reads the recording of one run from all of its files, in their order: a recorder that was restarted or whose file
    /// was full goes on in another. What is damaged is left out and listed.
    ///
    /// # Errors
    /// When none of the files holds a message, or the drive cannot be read.
    pub fn from_files(files: &[PathBuf], drive: Option<&Drive>, known: Known) -> Result<DriveRun> {
        let first = files.first().context("there is no recording")?;
        let readers = files.iter().map(|path| Ok((path, Reader::open(path)?))).collect::<Result<Vec<_>>>()?;
        let info = readers.iter().find_map(|(_, reader)| reader.drive_info().cloned()).unwrap_or_default();
        let start = match info.start_ns {
            0 => readers.iter().find_map(|(_, reader)| reader.start()),
            start => Some(auriga_runtime::Nanos(start)),
        };
        let start = start.with_context(|| format!("recording {}: it contains no message", first.display()))?;
        let mut observed = Observations::new(start).counting_from(known.counts_from_s.unwrap_or(f64::NEG_INFINITY));
        let mut damage = Vec::new();
        let mut cut = false;
        for (path, reader) in readers {
            cut |= reader.truncated();
            let report = |what| damage.push(format!("{}: {what}", path.display()));
            reader.without_pixels().readable(report).for_each(|(_, any)| observed.record(&any));
        }
        let (truth, events) = match drive {
            Some(drive) => (drive.truth()?, drive.manifest.events.clone()),
            None => truth_from_recording(&observed),
        };
        // Only processes publish usage; a replay has none.
        let live = !observed.usage.is_empty();
        let (from_s, to_s) = known.played.unwrap_or_else(|| {
            let from_s = observed.speed.first().map_or(0.0, |s| s.0).max(0.0).floor();
            let planned_s =
                if info.duration_s > 0.0 { info.duration_s } else { drive.map_or(0.0, |d| d.manifest.duration_s) };
            // A whole file ends with the drive, which may have been stopped; a cut one says nothing of its end.
            let to_s =
                if planned_s > 0.0 && !cut { planned_s.min(observed.end_s) } else { planned_s.max(observed.end_s) };
            (from_s, to_s)
        });
        let floor = Floor::beside(first);
        Ok(DriveRun { observed, truth, events, from_s, to_s, live, inputs: known.inputs, floor, damage })
    }

    /// What the recording does not show of the part that was played. Of a replay nothing is missing.
    pub fn unrecorded(&self) -> Vec<Span> {
        if !self.live {
            return Vec::new();
        }
        let begin = self.observed.first_s.map_or(self.from_s, |t| t.min(self.to_s));
        let silences = self.observed.silences.iter().copied();
        let all = [(self.from_s, begin)].into_iter().chain(silences).chain([(self.observed.end_s, self.to_s)]);
        all.map(|(from, to)| (from.max(self.from_s), to.min(self.to_s)))
            .filter(|(from, to)| to - from > SHORT_S)
            .collect()
    }

    /// Whether the safety budgets were held.
    pub fn verdict(&self) -> Verdict {
        let unrecorded = self.unrecorded();
        let observed = &self.observed;
        let within = (self.from_s, self.to_s);
        let absences = observed.arrivals.absences(&self.inputs, self.live, within, &unrecorded);
        let late = |stats: v1::ChainStats| {
            let late = observed.late(&stats.chain);
            (stats, late)
        };
        Verdict::of(Judged {
            chains: observed.chains().into_iter().map(late).collect(),
            absences,
            lost: observed.lost_by_safety,
            live: self.live,
            stalls: self.floor.as_ref().map_or(Vec::new(), |floor| floor.spans(|ns| observed.seconds(ns))),
            floor: self.floor.clone(),
            unrecorded,
        })
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
        let unrecorded = self.unrecorded();
        let played = self.events_played().filter(of_hazard);
        played
            .map(|event| {
                let belongs = |h: &&HazardSpan| {
                    Some(h.kind) == hazard_for_event(event.kind)
                        && h.published_s >= event.start_s - MAX_EARLY_S
                        && h.published_s <= event.end_s
                };
                let warning = self.hazards().find(belongs);
                let hidden = |s: &&Span| s.0 < event.end_s && s.1 > event.start_s - MAX_EARLY_S;
                let unrecorded = unrecorded.iter().find(hidden).filter(|_| warning.is_none()).copied();
                Reaction { event, warning, unrecorded }
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
