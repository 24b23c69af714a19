//! What the messages of a run show: the basis of scenarios, reports and plots, for a running replay and for a recording
//! alike.

use super::{
    cabin::{self, IntentRecord, Reply, UtteranceRecord},
    road::{self, HazardSpan, LaneSample, LeadSample},
    verdict::{Arrivals, Span, is_safety_node},
};
use auriga_msgs::{Any, v1};
use auriga_runtime::{
    Nanos,
    chains::{ChainMonitor, LossMonitor},
};
use std::collections::BTreeMap;

/// Grants in force from `t_s` on. A new one begins when the mode, a level or a `run` changes.
#[derive(Debug, Clone, PartialEq)]
pub struct GrantPlan {
    /// When it was published.
    pub t_s: f64,
    /// Mode of the arbiter.
    pub mode: v1::Mode,
    /// The arbiter's reason.
    pub reason: String,
    /// By workload: level, and whether it may run.
    pub grants: BTreeMap<String, (u32, bool)>,
    /// Of its first message.
    pub trace_id: u64,
}

/// A published fault.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultRecord {
    /// When it was published.
    pub t_s: f64,
    /// The node that reports it.
    pub node: String,
    /// Its code.
    pub code: String,
    /// What it is about.
    pub subject: String,
    /// Its text.
    pub text: String,
    /// Its severity.
    pub severity: v1::Severity,
    /// How often it has occurred.
    pub count: u64,
}

/// A restart of a node: its sequence numbers begin at 0 again.
#[derive(Debug, Clone, PartialEq)]
pub struct Restart {
    /// Time of its first message.
    pub t_s: f64,
    /// The node.
    pub node: String,
}

/// Ground truth at an instant, from a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct TruthSample {
    /// Its time.
    pub t_s: f64,
    /// Of the ego vehicle.
    pub speed_mps: f64,
    /// From the lane centre, positive to the left.
    pub lane_offset_m: f64,
    /// Of the road, positive curves left.
    pub curvature_per_m: f64,
    /// With the lead car; `None`: it is not approached.
    pub time_to_collision_s: Option<f64>,
    /// Name of the event; empty: none.
    pub event: String,
}

/// Silence of all nodes: they publish their usage several times a second, so nothing was recorded.
const UNRECORDED_AFTER_S: f64 = 1.0;

/// What the messages of a run show. Takes them in the order of publishing. All times are seconds of the drive.
pub struct Observations {
    start: Nanos,
    /// Latencies, losses and faults count from here on: before, nodes that start in mid-drive catch up.
    counts_from_s: f64,
    /// What the drive says of itself.
    pub info: Option<v1::DriveInfo>,
    /// Time and speed (m/s) from the bus.
    pub speed: Vec<(f64, f64)>,
    /// When scenes were published.
    pub scenes: Vec<f64>,
    /// Detected lanes.
    pub lanes: Vec<LaneSample>,
    /// Tracked lead objects.
    pub leads: Vec<LeadSample>,
    /// Hazards in the order of their onset.
    pub hazards: Vec<HazardSpan>,
    /// Grants of the arbiter.
    pub plans: Vec<GrantPlan>,
    /// Final utterances.
    pub utterances: Vec<UtteranceRecord>,
    /// Intents.
    pub intents: Vec<IntentRecord>,
    /// Replies of the dialogue.
    pub replies: Vec<Reply>,
    /// Published faults.
    pub faults: Vec<FaultRecord>,
    /// Restarts of nodes.
    pub restarts: Vec<Restart>,
    /// Ground truth from the recording.
    pub truth: Vec<TruthSample>,
    /// The monitor's last report, in a live drive.
    pub report: Option<v1::DriveReport>,
    /// Number of messages between nodes.
    pub messages: u64,
    /// Time of the last message.
    pub end_s: f64,
    /// Time of the first message.
    pub first_s: Option<f64>,
    /// Where no message of any node was recorded.
    pub silences: Vec<Span>,
    /// Messages of reliable topics that safety nodes lost, as they report.
    pub lost_by_safety: u64,
    pub(super) arrivals: Arrivals,
    chains: ChainMonitor,
    losses: LossMonitor,
    /// Next sequence number of each topic and publisher.
    sequences: BTreeMap<(&'static str, String), u64>,
    /// Newest usage of each node.
    pub usage: BTreeMap<String, v1::Usage>,
}

impl Observations {
    /// `start`: time 0 of the drive on the clock of the messages.
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
            replies: Vec::new(),
            faults: Vec::new(),
            restarts: Vec::new(),
            truth: Vec::new(),
            report: None,
            messages: 0,
            end_s: 0.0,
            first_s: None,
            silences: Vec::new(),
            lost_by_safety: 0,
            arrivals: Arrivals::default(),
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

    /// Converts a time of the messages (ns) to seconds of the drive.
    pub fn seconds(&self, ns: u64) -> f64 {
        (ns as f64 - self.start.0 as f64) * 1e-9
    }

    /// Adds a message. Device topics are ignored.
    pub fn record(&mut self, any: &Any) {
        if any.topic().spec().is_device() {
            return;
        }
        let header = any.header();
        let t_s = self.seconds(header.published_ns);
        let stamp_s = self.seconds(header.stamp_ns);
        self.messages += 1;
        self.watch_time(t_s);
        self.arrivals.record(any, stamp_s);
        if t_s >= self.counts_from_s {
            self.chains.observe(any);
            self.losses.observe_message(any);
        }
        self.watch_sequence(any, t_s);
        match any {
            Any::VehicleState(m) => self.speed.extend(m.speed_mps.map(|v| (stamp_s, v))),
            Any::PerceptionLanes(m) => self.lanes.push(LaneSample::new(stamp_s, m)),
            Any::FusionScene(_) => self.scenes.push(t_s),
            Any::FusionTracks(m) => {
                self.leads.extend(m.tracks.iter().filter(|t| t.lead).map(|t| LeadSample::new(stamp_s, t)));
            }
            Any::FusionHazard(m) => road::record_hazard(&mut self.hazards, m, stamp_s, t_s),
            Any::ArbiterGrants(m) => self.record_grants(m, t_s),
            Any::SpeechUtterance(m) if m.r#final => {
                let times = (self.seconds(m.speech_start_ns), self.seconds(m.speech_end_ns));
                self.utterances.push(UtteranceRecord::new(m, times, t_s));
            }
            Any::LanguageIntent(m) => self.intents.push(IntentRecord::new(m, stamp_s, t_s)),
            Any::LanguageTurn(m) => cabin::record_reply(&mut self.replies, m, stamp_s, t_s),
            Any::Fault(m) if m.is_active() && t_s >= self.counts_from_s => self.faults.push(FaultRecord {
                t_s,
                node: m.node.clone(),
                code: m.code.clone(),
                subject: m.subject.clone(),
                text: m.text.clone(),
                severity: m.severity(),
                count: m.count,
            }),
            Any::Usage(m) => self.record_usage(m, t_s),
            Any::DriveInfo(m) => self.info = Some((**m).clone()),
            Any::DriveTruth(m) => self.truth.push(TruthSample {
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

    fn watch_time(&mut self, t_s: f64) {
        if self.first_s.is_none() {
            (self.first_s, self.end_s) = (Some(t_s), t_s);
        }
        if t_s - self.end_s > UNRECORDED_AFTER_S {
            self.silences.push((self.end_s, t_s));
        }
        self.end_s = self.end_s.max(t_s);
    }

    fn record_usage(&mut self, m: &v1::Usage, t_s: f64) {
        let before = self.usage.insert(m.node.clone(), m.clone()).map_or(0, |usage| usage.messages_lost);
        if is_safety_node(&m.node) && t_s >= self.counts_from_s {
            // A new process counts from 0.
            self.lost_by_safety += m.messages_lost.checked_sub(before).unwrap_or(m.messages_lost);
        }
    }

    /// A sequence number that goes back shows a restart of its publisher, which is counted once for all of its topics.
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
            // Numbers of its other topics may go back without being counted again.
            self.sequences.iter_mut().filter(|((_, n), _)| n == node).for_each(|(_, next)| *next = 0);
            self.sequences.insert((spec.name, node.to_owned()), seq + 1);
            self.restarts.push(Restart { t_s, node: node.to_owned() });
        }
    }

    fn record_grants(&mut self, m: &v1::Grants, t_s: f64) {
        let grants: BTreeMap<_, _> = m.grants.iter().map(|g| (g.workload.clone(), (g.level, g.run))).collect();
        let mode = m.mode();
        if self.plans.last().is_none_or(|p| p.mode != mode || p.grants != grants) {
            let trace_id = m.header.map_or(0, |h| h.trace_id);
            self.plans.push(GrantPlan { t_s, mode, reason: m.reason.clone(), grants, trace_id });
        }
    }

    /// Statistics of the latency chains, in the order of the chain table: from the recorded messages, or as the monitor
    /// reported them where it received more (a recorder may leave out images).
    pub fn chains(&self) -> Vec<v1::ChainStats> {
        let mut chains = self.chains.report();
        // The monitor reports on the whole drive only.
        let monitored = self.report.as_ref().filter(|_| self.counts_from_s <= 0.0);
        for reported in monitored.iter().flat_map(|report| &report.chains) {
            if let Some(own) = chains.iter_mut().find(|own| own.chain == reported.chain && own.count < reported.count) {
                own.clone_from(reported);
            }
        }
        chains
    }

    /// The interval in which both the camera and the bus gave something.
    pub fn input_span(&self) -> Option<Span> {
        self.arrivals.input_span()
    }

    /// Late answers of a chain: from, to.
    pub fn late(&self, chain: &str) -> Vec<Span> {
        self.chains.late(chain).iter().map(|late| (self.seconds(late.from.0), self.seconds(late.to.0))).collect()
    }

    /// Messages lost on reliable topics: by sequence numbers of the recording, or as the monitor reported them if more.
    pub fn lost_reliable(&self) -> u64 {
        self.losses.lost_reliable.max(self.report.as_ref().map_or(0, |r| r.lost_reliable))
    }

    /// Intervals of each mode up to `end_s`: from, to, mode.
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

    /// Intervals of the grant of one workload up to `end_s`: from, to, level, whether it may run.
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

    /// Names of the workloads with grants, sorted.
    pub fn workloads(&self) -> Vec<String> {
        let mut names: Vec<String> = self.plans.iter().flat_map(|p| p.grants.keys().cloned()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Whether utterances came from a transcript track and not from a recogniser.
    pub fn transcript_track(&self) -> bool {
        self.info.as_ref().is_some_and(|i| i.transcript_track) || self.utterances.iter().any(|u| u.from_track)
    }
}

fn closing_time(truth: &v1::GroundTruth) -> Option<f64> {
    let closing = truth.speed_mps - truth.lead_speed_mps?;
    truth.lead_distance_m.filter(|_| closing > 0.05).map(|gap| gap / closing)
}
