//! What a run of the nodes was like, told from its messages alone: the one view that scenarios, reports and plots
//! share, whether the messages come from a replay under way or from a recording of a live drive.
//!
//! All times are seconds of the drive.

use super::{
    cabin::{self, IntentSeen, Turn, UtteranceHeard},
    road::{self, HazardSpan, LaneSeen, LeadSeen},
};
use auriga_msgs::{Any, v1};
use auriga_runtime::{
    Nanos,
    chains::{ChainMonitor, LossMonitor},
};
use std::collections::BTreeMap;

/// Grants in force from `t_s` on: kept when the mode, a level or a `run` changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub t_s: f64,
    pub mode: v1::Mode,
    pub reason: String,
    /// By workload: level, and whether it may run.
    pub grants: BTreeMap<String, (u32, bool)>,
    pub trace_id: u64,
}

/// A fault as it was told.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultSeen {
    pub t_s: f64,
    pub node: String,
    pub code: String,
    pub subject: String,
    pub text: String,
    pub severity: v1::Severity,
    pub count: u64,
}

/// A node that came back: its messages count from 0 again.
#[derive(Debug, Clone, PartialEq)]
pub struct Restart {
    pub t_s: f64,
    pub node: String,
}

/// Truth at an instant, from the drive's file or the recording.
#[derive(Debug, Clone, PartialEq)]
pub struct TruthSeen {
    pub t_s: f64,
    pub speed_mps: f64,
    pub lane_offset_m: f64,
    pub curvature_per_m: f64,
    pub time_to_collision_s: Option<f64>,
    pub event: String,
}

/// Takes in the messages of a run, by time of publishing.
pub struct Observed {
    start: Nanos,
    /// Latencies, losses and faults count from here on: before it, a node that starts in mid-drive catches up.
    counts_from_s: f64,
    pub info: Option<v1::DriveInfo>,
    /// Time and speed from the bus.
    pub speed: Vec<(f64, f64)>,
    /// When scenes were published.
    pub scenes: Vec<f64>,
    pub lanes: Vec<LaneSeen>,
    pub leads: Vec<LeadSeen>,
    pub hazards: Vec<HazardSpan>,
    pub plans: Vec<Plan>,
    pub utterances: Vec<UtteranceHeard>,
    pub intents: Vec<IntentSeen>,
    pub turns: Vec<Turn>,
    pub faults: Vec<FaultSeen>,
    pub restarts: Vec<Restart>,
    pub truth: Vec<TruthSeen>,
    /// The monitor's last word, in a live drive.
    pub report: Option<v1::DriveReport>,
    pub messages: u64,
    /// Time of the last message.
    pub end_s: f64,
    chains: ChainMonitor,
    losses: LossMonitor,
    /// Next sequence number of each topic and publisher.
    sequences: BTreeMap<(&'static str, String), u64>,
    /// Newest usage of each node.
    pub usage: BTreeMap<String, v1::Usage>,
}

impl Observed {
    /// `start`: the drive's time 0 on the clock of the messages.
    pub fn new(start: Nanos) -> Self {
        Self {
            start,
            counts_from_s: f64::NEG_INFINITY,
            info: None,
            speed: Vec::new(),
            scenes: Vec::new(),
            lanes: Vec::new(),
            leads: Vec::new(),
            hazards: Vec::new(),
            plans: Vec::new(),
            utterances: Vec::new(),
            intents: Vec::new(),
            turns: Vec::new(),
            faults: Vec::new(),
            restarts: Vec::new(),
            truth: Vec::new(),
            report: None,
            messages: 0,
            end_s: 0.0,
            chains: ChainMonitor::new(),
            losses: LossMonitor::default(),
            sequences: BTreeMap::new(),
            usage: BTreeMap::new(),
        }
    }

    /// Counts latencies, losses and faults only from `from_s` on.
    pub fn counting_from(self, from_s: f64) -> Self {
        Self { counts_from_s: from_s, ..self }
    }

    /// Seconds of the drive at a time of the messages' clock.
    pub fn seconds(&self, ns: u64) -> f64 {
        (ns as f64 - self.start.0 as f64) * 1e-9
    }

    /// Takes in a message. What devices hand to their nodes is no message between nodes and is left out.
    pub fn take(&mut self, any: &Any) {
        if any.topic().spec().is_device() {
            return;
        }
        let header = any.header();
        let t_s = self.seconds(header.published_ns);
        let stamp_s = self.seconds(header.stamp_ns);
        self.messages += 1;
        self.end_s = self.end_s.max(t_s);
        if t_s >= self.counts_from_s {
            self.chains.observe(any);
            self.losses.observe_message(any);
        }
        self.watch_sequence(any, t_s);
        match any {
            Any::VehicleState(m) => self.speed.extend(m.speed_mps.map(|v| (stamp_s, v))),
            Any::PerceptionLanes(m) => self.lanes.push(LaneSeen::new(stamp_s, m)),
            Any::FusionScene(_) => self.scenes.push(t_s),
            Any::FusionTracks(m) => {
                self.leads.extend(m.tracks.iter().filter(|t| t.lead).map(|t| LeadSeen::new(stamp_s, t)));
            }
            Any::FusionHazard(m) => road::take_hazard(&mut self.hazards, m, stamp_s, t_s),
            Any::ArbiterGrants(m) => self.take_grants(m, t_s),
            Any::SpeechUtterance(m) if m.r#final => {
                let times = (self.seconds(m.speech_start_ns), self.seconds(m.speech_end_ns));
                self.utterances.push(UtteranceHeard::new(m, times, t_s));
            }
            Any::LanguageIntent(m) => self.intents.push(IntentSeen::new(m, stamp_s, t_s)),
            Any::LanguageTurn(m) => cabin::take_turn(&mut self.turns, m, stamp_s, t_s),
            Any::Fault(m) if m.is_active() && t_s >= self.counts_from_s => self.faults.push(FaultSeen {
                t_s,
                node: m.node.clone(),
                code: m.code.clone(),
                subject: m.subject.clone(),
                text: m.text.clone(),
                severity: m.severity(),
                count: m.count,
            }),
            Any::Usage(m) => drop(self.usage.insert(m.node.clone(), (**m).clone())),
            Any::DriveInfo(m) => self.info = Some((**m).clone()),
            Any::DriveTruth(m) => self.truth.push(TruthSeen {
                t_s: stamp_s,
                speed_mps: m.speed_mps,
                lane_offset_m: m.lane_offset_m,
                curvature_per_m: m.curvature_per_m,
                time_to_collision_s: closing_time(m),
                event: m.event.clone(),
            }),
            Any::DriveReport(m) => self.report = Some((**m).clone()),
            _ => {}
        }
    }

    /// A number that goes back is that of a publisher started anew; its topics all say so, and count once.
    fn watch_sequence(&mut self, any: &Any, t_s: f64) {
        let spec = any.topic().spec();
        let node = match any {
            Any::Usage(m) => m.node.as_str(),
            Any::Fault(m) => m.node.as_str(),
            _ => spec.publisher,
        };
        let seq = any.header().seq;
        let next = self.sequences.entry((spec.name, node.to_owned())).or_default();
        let anew = seq < *next;
        *next = seq + 1;
        if anew {
            // From now on the old life's numbers of its other topics do not count as going back.
            self.sequences.iter_mut().filter(|((_, n), _)| n == node).for_each(|(_, next)| *next = 0);
            self.sequences.insert((spec.name, node.to_owned()), seq + 1);
            self.restarts.push(Restart { t_s, node: node.to_owned() });
        }
    }

    fn take_grants(&mut self, m: &v1::Grants, t_s: f64) {
        let grants: BTreeMap<_, _> = m.grants.iter().map(|g| (g.workload.clone(), (g.level, g.run))).collect();
        let mode = m.mode();
        if self.plans.last().is_none_or(|p| p.mode != mode || p.grants != grants) {
            let trace_id = m.header.map_or(0, |h| h.trace_id);
            self.plans.push(Plan { t_s, mode, reason: m.reason.clone(), grants, trace_id });
        }
    }

    /// The chains' figures, in the table's order: told from the messages at hand, or as the monitor told them where it
    /// saw more (a recorder leaves images out when it has to).
    pub fn chains(&self) -> Vec<v1::ChainStats> {
        let mut chains = self.chains.report();
        // The monitor knows of no part of a drive, only of the whole.
        let whole = self.report.as_ref().filter(|_| self.counts_from_s <= 0.0);
        for told in whole.iter().flat_map(|report| &report.chains) {
            if let Some(own) = chains.iter_mut().find(|own| own.chain == told.chain && own.count < told.count) {
                own.clone_from(told);
            }
        }
        chains
    }

    /// Messages missing on reliable topics: seen from here, or as the monitor counted them where it saw more.
    pub fn lost_reliable(&self) -> u64 {
        let told = self.report.as_ref().map_or(0, |r| r.lost_reliable);
        self.losses.lost_reliable.max(told)
    }

    /// Spans in which a mode was in force, up to `end_s`.
    pub fn modes(&self, end_s: f64) -> Vec<(f64, f64, v1::Mode)> {
        let mut spans: Vec<(f64, f64, v1::Mode)> = Vec::new();
        for (i, plan) in self.plans.iter().enumerate() {
            let until = self.plans.get(i + 1).map_or(end_s, |next| next.t_s);
            match spans.last_mut() {
                Some(last) if last.2 == plan.mode => last.1 = until,
                _ => spans.push((plan.t_s, until, plan.mode)),
            }
        }
        spans
    }

    /// Spans of one workload's grant: level and whether it may run.
    pub fn grants(&self, workload: &str, end_s: f64) -> Vec<(f64, f64, u32, bool)> {
        let mut spans: Vec<(f64, f64, u32, bool)> = Vec::new();
        for (i, plan) in self.plans.iter().enumerate() {
            let Some(&(level, run)) = plan.grants.get(workload) else { continue };
            let until = self.plans.get(i + 1).map_or(end_s, |next| next.t_s);
            match spans.last_mut() {
                Some(last) if (last.2, last.3) == (level, run) => last.1 = until,
                _ => spans.push((plan.t_s, until, level, run)),
            }
        }
        spans
    }

    /// Workloads that were granted something, by name.
    pub fn workloads(&self) -> Vec<String> {
        let mut names: Vec<String> = self.plans.iter().flat_map(|p| p.grants.keys().cloned()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Whether what was said came from a transcript track and not from a recogniser.
    pub fn transcript_track(&self) -> bool {
        self.info.as_ref().is_some_and(|i| i.transcript_track) || self.utterances.iter().any(|u| u.from_track)
    }
}

fn closing_time(truth: &v1::GroundTruth) -> Option<f64> {
    let closing = truth.speed_mps - truth.lead_speed_mps?;
    truth.lead_distance_m.filter(|_| closing > 0.05).map(|gap| gap / closing)
}
