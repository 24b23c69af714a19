//! A scripted model, and the replay of a timeline of messages with it.
#![allow(dead_code)]

use auriga_language::{
    Config, DEFAULTS, LanguageNode,
    engine::interface::{Class, Engine, EngineError, ModelInput, Progress},
};
use auriga_lm::intent::output::IntentOutput;
use auriga_msgs::{Any, v1};
use auriga_runtime::{Nanos, Replay};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

/// Layers of an intent, and of a word of a reply.
pub const INTENT_LAYERS: usize = 40;
pub const WORD_LAYERS: usize = 8;

/// The calls of the model, in order.
pub type Calls = Arc<Mutex<Vec<String>>>;

/// Recognises the texts of a table; any other text is out of scope. It counts layers, so that slices and preemptions have
/// an effect.
pub struct Scripted {
    pub calls: Calls,
    intent: Option<(IntentOutput, usize)>,
    reply: Option<(Vec<String>, usize)>,
}

impl Scripted {
    pub fn new() -> (Self, Calls) {
        let calls = Calls::default();
        (Self { calls: calls.clone(), intent: None, reply: None }, calls)
    }

    fn note(&self, call: impl Into<String>) {
        self.calls.lock().unwrap().push(call.into());
    }
}

fn understood(text: &str) -> IntentOutput {
    match text {
        "how far can i still go" => IntentOutput::new("range_query", &[]),
        "play some jazz" => IntentOutput::new("play_music", &[("what", "jazz")]),
        "call anna" => IntentOutput::new("call", &[("who", "anna")]),
        "open all windows" => IntentOutput::new("window_open", &[("which", "all")]),
        "say that again" => IntentOutput::new("repeat", &[]),
        "navigate to the harbour" => IntentOutput::new("navigate_to", &[("place", "the harbour")]),
        "navigate there" => IntentOutput::new("navigate_to", &[("place", "there")]),
        "set it to twenty one degrees" => IntentOutput::new("set_temperature", &[("degrees", "21")]),
        "warmer" => IntentOutput::new("climate_warmer", &[]),
        "i feel a bit dizzy" => IntentOutput::new("driver_unwell", &[]),
        "what time is it" => IntentOutput::new("time_query", &[]),
        "what does the oil lamp mean" | "what was that" => IntentOutput::new("warning_lamp", &[]),
        "read my messages" => IntentOutput::new("read_messages", &[]),
        "play a video" => IntentOutput::new("play_music", &[("what", "a video")]),
        "louder" => IntentOutput::new("volume_up", &[]),
        "don't call anna" => IntentOutput::new("call", &[("who", "anna")]),
        "set it to fifteen" => IntentOutput::new("climate_warmer", &[]),
        "tell her i am late" => IntentOutput::new("call", &[("who", "her")]),
        "explain the lamp" => IntentOutput::new("explain_car", &[]),
        "perhaps music" => IntentOutput { confidence: 0.2, ..IntentOutput::new("play_music", &[]) },
        _ => IntentOutput::new("out_of_scope", &[]),
    }
}

fn reply(text: &str) -> &'static str {
    match text {
        "how far can i still go" => "You can go 212 kilometres. Drive well.",
        "play some jazz" => "Playing jazz.",
        "call anna" => "Calling anna. One moment please. It rings.",
        "navigate to the harbour" => "On the way to the harbour.",
        "navigate there" => "To the harbour again.",
        "set it to twenty one degrees" => "I propose 21 degrees.",
        "warmer" => "I propose 22 degrees.",
        "yes" => "I call the emergency services.",
        "louder" | "more" => "A little louder.",
        "what time is it" => "It is 8 30.",
        "explain the lamp" => "It takes 9 volts.",
        _ => "I cannot help with that.",
    }
}

impl Engine for Scripted {
    fn begin_intent(&mut self, ask: &ModelInput) -> Result<(), EngineError> {
        self.note(format!("intent {}", ask.text));
        self.intent = Some((understood(&ask.text), INTENT_LAYERS));
        Ok(())
    }

    fn begin_reply(&mut self, ask: &ModelInput, _intent: &IntentOutput, _max_tokens: usize) -> Result<(), EngineError> {
        self.note(format!("reply {}", ask.text));
        let words = reply(&ask.text).split_inclusive(' ').rev().map(str::to_owned).collect();
        self.reply = Some((words, WORD_LAYERS));
        Ok(())
    }

    fn advance(&mut self, class: Class, layers: usize) -> Result<Progress, EngineError> {
        self.note(format!("{class:?} {layers}"));
        match class {
            Class::Intent => {
                let (output, left) = self.intent.as_mut().expect("no intent work");
                if output.name == "out_of_scope" && self.calls.lock().unwrap()[0] == "intent break down" {
                    return Err(EngineError("a tensor is not finite".into()));
                }
                *left = left.saturating_sub(layers);
                Ok(if *left == 0 { Progress::Intent(output.clone()) } else { Progress::Working })
            }
            Class::Dialogue => {
                let (words, left) = self.reply.as_mut().expect("no reply under way");
                *left = left.saturating_sub(layers);
                if *left > 0 {
                    return Ok(Progress::Working);
                }
                *left = WORD_LAYERS;
                Ok(words.pop().map_or(Progress::Finished, Progress::Text))
            }
        }
    }

    fn abandon(&mut self, class: Class) {
        self.note(format!("abandon {class:?}"));
        match class {
            Class::Intent => self.intent = None,
            Class::Dialogue => self.reply = None,
        }
    }
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The shipped configuration with absolute paths. The environment variable AURIGA_CHECKPOINT selects another checkpoint.
pub fn config() -> Config {
    let config: Config = toml::from_str(DEFAULTS).unwrap();
    Config {
        checkpoint: std::env::var_os("AURIGA_CHECKPOINT").map_or(root().join(config.checkpoint), PathBuf::from),
        encoder: root().join(config.encoder),
        adapter: root().join(config.adapter),
        catalogue: root().join(config.catalogue),
        workloads: root().join(config.workloads),
        // Tests without tools are not to wait for their outcomes.
        outcome_timeout_ms: 600_000,
        ..config
    }
}

/// Messages to the node and their times, in milliseconds.
pub struct Timeline {
    items: Vec<(Nanos, Any)>,
}

pub fn ms(t: u64) -> Nanos {
    Nanos::from_millis(t)
}

impl Timeline {
    pub fn new() -> Self {
        Self { items: Vec::new() }
    }

    pub fn at(mut self, t: u64, message: Any) -> Self {
        self.items.push((ms(t), message));
        self
    }

    pub fn say(self, t: u64, text: &str) -> Self {
        self.at(t, utterance(t, text))
    }

    /// Replays the messages and one more minute with a scripted model.
    pub fn run(self, config: &Config) -> Outcome {
        let (engine, calls) = Scripted::new();
        let node = LanguageNode::with_model(config, Ok(Box::new(engine))).unwrap();
        self.run_node(node, calls)
    }

    pub fn run_node(self, node: LanguageNode, calls: Calls) -> Outcome {
        let mut replay = Replay::new();
        replay.add(node);
        let last = self.items.iter().map(|(t, _)| *t).max().unwrap_or(Nanos(0));
        let items = renewed(self.items);
        // The last renewal is the last item.
        let runs_on = (last + RUNS_ON).since(items.last().map_or(last, |(t, _)| *t));
        let mut published = Vec::new();
        let own = |any: &Any| any.topic().spec().publisher == "language" || matches!(any, Any::Fault(_));
        let source = items.into_iter().map(Ok);
        let sink = |any: &Any| {
            published.extend(own(any).then(|| any.clone()));
            Ok(())
        };
        replay.run(source, runs_on, |_, _| {}, sink).unwrap();
        Outcome { published, calls: calls.lock().unwrap().clone() }
    }
}

/// A timeline is followed for so long after its last message.
const RUNS_ON: Duration = Duration::from_secs(60);

/// In the order of time, with leases as an arbiter grants them: of a few seconds, renewed until the one wished for has
/// ended or other grants come.
fn renewed(mut items: Vec<(Nanos, Any)>) -> Vec<(Nanos, Any)> {
    const LEASE: Duration = Duration::from_secs(6);
    const RENEWED_AFTER: Duration = Duration::from_secs(3);
    items.sort_by_key(|(t, _)| *t);
    let last = items.last().map_or(Nanos(0), |(t, _)| *t);
    let mut all = Vec::new();
    for (i, (at, item)) in items.iter().enumerate() {
        let Any::ArbiterGrants(wished) = item else {
            all.push((*at, item.clone()));
            continue;
        };
        let next = items[i + 1..].iter().find(|(_, any)| matches!(any, Any::ArbiterGrants(_))).map(|(t, _)| *t);
        let end = wished.grants.iter().map(|g| Nanos(g.lease_end_ns)).max().unwrap_or(*at).min(last + RUNS_ON);
        let mut t = *at;
        loop {
            let mut grants = v1::Grants::clone(wished);
            let header = grants.header.get_or_insert_default();
            (header.stamp_ns, header.published_ns) = (t.0, t.0);
            grants.grants.iter_mut().for_each(|g| g.lease_end_ns = g.lease_end_ns.min((t + LEASE).0));
            all.push((t, Any::ArbiterGrants(Arc::new(grants))));
            t = t + RENEWED_AFTER;
            if t >= end || next.is_some_and(|next| t >= next) {
                break;
            }
        }
    }
    all.sort_by_key(|(t, _)| *t);
    all
}

/// What the node published, and how it called its model.
pub struct Outcome {
    pub published: Vec<Any>,
    pub calls: Vec<String>,
}

impl Outcome {
    /// Number of slices of a class.
    pub fn slices(&self, class: Class) -> usize {
        let class = format!("{class:?} ");
        self.calls.iter().filter(|c| c.starts_with(&class)).count()
    }

    pub fn intents(&self) -> Vec<v1::Intent> {
        self.published
            .iter()
            .filter_map(|m| if let Any::LanguageIntent(m) = m { Some(m.as_ref().clone()) } else { None })
            .collect()
    }

    pub fn turns(&self) -> Vec<v1::DialogueTurn> {
        self.published
            .iter()
            .filter_map(|m| if let Any::LanguageTurn(m) = m { Some(m.as_ref().clone()) } else { None })
            .collect()
    }

    pub fn statuses(&self) -> Vec<v1::SliceStatus> {
        self.published
            .iter()
            .filter_map(|m| if let Any::LanguageSlices(m) = m { Some(m.as_ref().clone()) } else { None })
            .collect()
    }

    pub fn demands(&self) -> Vec<v1::Demand> {
        self.published
            .iter()
            .filter_map(|m| if let Any::LanguageDemand(m) = m { Some(m.as_ref().clone()) } else { None })
            .collect()
    }

    pub fn actions(&self) -> Vec<v1::Action> {
        self.published
            .iter()
            .filter_map(|m| if let Any::LanguageAction(m) = m { Some(m.as_ref().clone()) } else { None })
            .collect()
    }

    /// The text of each turn and the time of its last piece, in milliseconds.
    pub fn sentences(&self) -> Vec<(u64, String)> {
        let mut turns: Vec<(u64, u64, String)> = Vec::new();
        for piece in self.turns() {
            let at = piece.header.unwrap_or_default().published_ns / 1_000_000;
            match turns.iter_mut().find(|(id, ..)| *id == piece.turn_id) {
                Some(turn) => (turn.1, turn.2) = (at, turn.2.clone() + &piece.text),
                None => turns.push((piece.turn_id, at, piece.text)),
            }
        }
        turns.into_iter().map(|(_, at, text)| (at, text)).collect()
    }

    /// Faults that were raised, without those that were cleared.
    pub fn faults(&self) -> Vec<v1::Fault> {
        let faults =
            self.published.iter().filter_map(|m| if let Any::Fault(m) = m { Some(m.as_ref().clone()) } else { None });
        faults.filter(|fault| fault.is_active()).collect()
    }

    pub fn fault_codes(&self) -> Vec<String> {
        self.faults().into_iter().map(|f| f.code).collect()
    }

    /// The text of all turns.
    pub fn spoken(&self) -> String {
        self.turns().iter().map(|t| t.text.as_str()).collect()
    }

    /// Asserts that each turn has one beginning and one end.
    pub fn check_turns(&self) {
        let turns = self.turns();
        for id in turns.iter().map(|t| t.turn_id) {
            let pieces: Vec<_> = turns.iter().filter(|t| t.turn_id == id).collect();
            assert!(pieces[0].first && pieces.iter().filter(|p| p.first).count() == 1, "{pieces:?}");
            assert!(pieces.last().unwrap().last && pieces.iter().filter(|p| p.last).count() == 1, "{pieces:?}");
        }
    }

    /// All messages encoded, with their headers.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.published.iter().for_each(|m| m.encode(&mut bytes).unwrap());
        bytes
    }
}

pub fn utterance(t: u64, text: &str) -> Any {
    Any::SpeechUtterance(Arc::new(v1::Utterance {
        header: Some(v1::Header::new(ms(t).0, 7000 + t)),
        text: text.into(),
        r#final: true,
        source: v1::TranscriptSource::Track.into(),
        ..Default::default()
    }))
}

pub fn scene(t: u64, speed_mps: f64) -> Any {
    let vehicle = v1::VehicleState {
        speed_mps: Some(speed_mps),
        range_km: Some(212.4),
        battery: Some(0.64),
        gear: v1::Gear::Drive.into(),
        ..Default::default()
    };
    Any::FusionScene(Arc::new(v1::Scene {
        header: Some(v1::Header::new(ms(t).0, 1)),
        vehicle: Some(vehicle),
        can_age_ns: Some(0),
        driving_load: 0.2,
        ..Default::default()
    }))
}

/// A scene with a change.
pub fn scene_with(t: u64, speed_mps: f64, change: impl FnOnce(&mut v1::Scene)) -> Any {
    let Any::FusionScene(known) = scene(t, speed_mps) else { unreachable!("it makes scenes") };
    let mut changed = v1::Scene::clone(&known);
    change(&mut changed);
    Any::FusionScene(Arc::new(changed))
}

/// A scene with a pedestrian ahead.
pub fn hazard_scene(t: u64) -> Any {
    let hazard = v1::Hazard {
        kind: v1::HazardKind::Pedestrian.into(),
        severity: v1::Severity::Critical.into(),
        active: true,
        ..Default::default()
    };
    scene_with(t, 14.0, |scene| scene.hazards = vec![hazard])
}

/// The local time at time 0 is half past eight.
pub fn half_past_eight(t: u64) -> Any {
    let info = v1::DriveInfo { wall_ns: 1_777_876_200_000_000_000, utc_offset_s: 7200, ..Default::default() };
    Any::DriveInfo(Arc::new(v1::DriveInfo { header: Some(v1::Header::new(ms(t).0, 0)), ..info }))
}

/// The outcome of an action.
pub fn outcome(t: u64, action_id: u64, done: bool, text: &str) -> Any {
    let header = Some(v1::Header::new(ms(t).0, 6000 + t));
    Any::CabinOutcome(Arc::new(v1::Outcome { header, action_id, done, text: text.into() }))
}

/// Grants to both workloads until `end`: level, run, share.
pub fn grants(t: u64, intent: (u32, bool, f64), dialogue: (u32, bool, f64), end: u64) -> Any {
    let grant = |workload: &str, (level, run, cpu_share): (u32, bool, f64)| v1::Grant {
        workload: workload.into(),
        node: "language".into(),
        level,
        run,
        cpu_share,
        lease_end_ns: ms(end).0,
        ..Default::default()
    };
    Any::ArbiterGrants(Arc::new(v1::Grants {
        header: Some(v1::Header { published_ns: ms(t).0, ..v1::Header::new(ms(t).0, 9000 + t) }),
        grants: vec![grant("language-intent", intent), grant("language-dialogue", dialogue)],
        ..Default::default()
    }))
}

/// Both workloads at their highest level.
pub fn full_grants(t: u64, end: u64) -> Any {
    grants(t, (1, true, 0.06), (3, true, 0.35), end)
}

/// Later than the end of any timeline.
pub const FAR: u64 = 200_000;

/// Grants as in the hazard mode: dialogue off the processor.
pub fn hazard_grants(t: u64, end: u64) -> Any {
    grants(t, (0, true, 0.03), (0, false, 0.0), end)
}
