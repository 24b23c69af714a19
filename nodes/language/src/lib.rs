//! The language node: what the driver says becomes an intent, and is answered.
//!
//! * **Slices.** The model runs from [`Node::on_tick`] for a few layers at a time, so between two slices the node takes
//!   its messages and looks at its grants ([`engine::share`]): it leaves the processor within one slice, keeps the model's
//!   state and goes on later where it was ([`engine::scheduler`]). How many layers make a slice follows from what they have taken
//!   ([`engine::slice_size`]). Time in replay moves on by the slices' nominal length, so a preemption comes out the same each time.
//! * **Two classes.** Intent is assist work: without a lease it goes on at its floor. Dialogue is infotainment: without
//!   a lease it pauses. An utterance preempts the reply under way; if it is meant for the car it replaces the reply, if
//!   it is talk between people the reply goes on.
//! * **The model proposes.** Its intents are held to the catalogue, whose rules say what may be done now ([`understand::rules`]);
//!   numbers it says have to be the scene's, names the driver's ([`reply::draft`]). Refusals, missing values, warning lamps and
//!   questions back are said in plain sentences ([`reply::canned`], [`reply::telltales`], [`actions::tools`]). "There" and "warmer" mean what the
//!   turns before say ([`understand::dialogue_history`]).
//! * **The driving comes first.** In danger nothing is said, in a demanding moment a sentence ([`reply::verbosity`]); what waits is
//!   said afterwards ([`reply::turns`]).
//! * **Tools.** What the node cannot do itself is published as `language/action`; whoever does it answers on
//!   `cabin/outcome`, and the driver is told when nobody does ([`actions::pending`]).
//! * **Demand.** Each intent, and what is likely asked next, becomes a forecast for the arbiter ([`habits::demand`],
//!   [`habits::predictor`], [`habits::forecast`]). What was asked when is kept encrypted, by the executable alone ([`habits::usage_history`], [`habits::store`]).
//!
//! What is said in the cabin is private: no fault and no log line holds a word of it.

pub mod actions;
pub mod config;
pub mod engine;
pub mod habits;
pub mod reply;
pub mod understand;

pub use config::{Config, DEFAULTS};
pub use understand::rules::spoken_slots;

use actions::{pending, tools::Tools};
use auriga_lm::intent::{catalogue::Catalogue, output::IntentOutput, prompt::clean_utterance};
use auriga_msgs::{Stamped, node, topic, v1};
use auriga_runtime::{Nanos, Node, Outbox};
use engine::{
    interface::{Class, Engine, ModelInput},
    models, scheduler,
    share::Share,
    slice_size::SliceSizer,
    workloads,
};
use habits::{
    demand::DemandForecast,
    forecast,
    predictor::{Predictor, PredictorConfig},
    usage_history,
    wall_clock::WallClock,
};
use reply::{
    canned::{self, CannedResponses},
    draft::Draft,
    telltales::Telltales,
    turns::{self, Urgency},
};
use std::{collections::VecDeque, sync::Arc, time::Duration};
use understand::{dialogue_history::DialogueHistory, facts, hypotheses};
use v1::{Mode, Severity};

const UTTERANCE: &str = "speech/utterance";

/// Utterances remembered, to know one that comes twice.
const REMEMBERED: usize = 32;

/// The model, or why there is none.
pub type Model = Result<Box<dyn Engine>, String>;

/// What the node asks of its executable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Keep this in the private log.
    Keep(usage_history::UsageEntry),
}

/// The state machine.
pub struct LanguageNode {
    config: Config,
    catalogue: Catalogue,
    plain: CannedResponses,
    tools: Tools,
    lamps: Telltales,
    model: Model,
    /// That there is no model has been told.
    model_told: bool,
    shares: Shares,
    paces: [SliceSizer; 2],
    clock: scheduler::Clock,
    // What is known.
    scene: Option<Arc<v1::Scene>>,
    wall: Option<WallClock>,
    /// The arbiter's, until its leases end.
    mode: Option<(Mode, Nanos)>,
    /// The kind of the last danger, and when it was there.
    last_hazard: Option<(String, Nanos)>,
    // What is being done.
    /// Final utterances not begun yet, oldest first.
    queue: VecDeque<Request>,
    /// Stamps and traces of the last utterances.
    seen: VecDeque<(u64, u64)>,
    intent: Option<IntentTask>,
    reply: Option<ReplyTask>,
    /// Whole turns that wait for their moment.
    waiting: VecDeque<turns::DeferredTurn>,
    pending: VecDeque<pending::Pending>,
    // What was done.
    recall: DialogueHistory,
    last_turn: u64,
    last_action: u64,
    /// What was said last: "say that again".
    last_said: String,
    last_operation: Option<Nanos>,
    predictor: Predictor,
    outlook: DemandForecast,
    /// Of the last forecast.
    situation: Option<forecast::Situation>,
}

/// Both classes' shares of the processor.
struct Shares {
    intent: Share,
    dialogue: Share,
}

impl Shares {
    fn of(&mut self, class: Class) -> &mut Share {
        match class {
            Class::Intent => &mut self.intent,
            Class::Dialogue => &mut self.dialogue,
        }
    }

    fn get(&self, class: Class) -> &Share {
        match class {
            Class::Intent => &self.intent,
            Class::Dialogue => &self.dialogue,
        }
    }
}

/// An utterance that is to be understood.
#[derive(Debug, Clone)]
struct Request {
    header: v1::Header,
    text: String,
    /// What else it may have been, the likeliest last.
    others: Vec<String>,
    from_track: bool,
    /// Who sits beside the driver said it.
    by_passenger: bool,
}

struct IntentTask {
    heard: Request,
    ask: ModelInput,
    /// The best reading so far, when another one is under way.
    best: Option<(String, IntentOutput)>,
}

struct ReplyTask {
    turn: turns::Turn,
    draft: Draft,
    /// Off the processor since.
    paused: Option<Nanos>,
}

impl LanguageNode {
    /// With the models of the configuration's folders. A model that cannot be read does not keep the node from starting:
    /// it says so, by fault and to the driver.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let model = models::open(config, &Catalogue::load(&config.catalogue)?, None);
        Self::with_model(config, model)
    }

    /// With a model that is there already, or the reason why there is none.
    pub fn with_model(config: &Config, model: Model) -> anyhow::Result<Self> {
        config.check()?;
        let catalogue = Catalogue::load(&config.catalogue)?;
        let [intent, dialogue] = workloads::load(&config.workloads)?;
        let habit = PredictorConfig {
            prior_weight: config.habit_prior_weight,
            half_life: config.habit_half_life,
            lead_s: config.habit_lead_s as u32,
        };
        Ok(Self {
            plain: CannedResponses::new(&catalogue)?,
            tools: Tools::new(&catalogue, &config.connected)?,
            lamps: Telltales::new()?,
            predictor: Predictor::new(&catalogue, habit)?,
            catalogue,
            model,
            model_told: false,
            shares: Shares { intent: Share::new(intent), dialogue: Share::new(dialogue) },
            paces: [(); 2].map(|()| SliceSizer::new(config.slice(), config.layers_per_slice)),
            clock: scheduler::Clock::default(),
            scene: None,
            wall: None,
            mode: None,
            last_hazard: None,
            queue: VecDeque::new(),
            seen: VecDeque::new(),
            intent: None,
            reply: None,
            waiting: VecDeque::new(),
            pending: VecDeque::new(),
            recall: DialogueHistory::default(),
            last_turn: 0,
            last_action: 0,
            last_said: String::new(),
            last_operation: None,
            outlook: DemandForecast::default(),
            situation: None,
            config: config.clone(),
        })
    }

    fn on_utterance(&mut self, utterance: &v1::Utterance, now: Nanos, out: &mut Outbox<Self>) {
        // What is still being said cannot be understood yet.
        if !utterance.r#final {
            return;
        }
        let header = utterance.header_copy();
        if self.is_known(&header) {
            let text = "an utterance came twice; the second is left out";
            return out.fault(now, Severity::Info, "utterance-duplicate", UTTERANCE, text);
        }
        let most = self.config.utterance_max_chars;
        let end = utterance.text.char_indices().nth(most).map(|(end, _)| end);
        let heard = Request {
            header: v1::Header::new(header.stamp_ns, header.trace_id),
            text: utterance.text[..end.unwrap_or(utterance.text.len())].to_owned(),
            others: hypotheses::others(utterance, most),
            from_track: utterance.source() == v1::TranscriptSource::Track,
            by_passenger: utterance.zone() == v1::SpeakerZone::Passenger,
        };
        if clean_utterance(&heard.text).is_empty() {
            let text = "a final utterance without words; there is nothing to answer";
            return out.fault(now, Severity::Info, "utterance-empty", UTTERANCE, text);
        }
        if let Err(problem) = &self.model {
            let text = format!("{problem}; a request was not understood");
            out.fault(now, Severity::Critical, "language-model-missing", "checkpoint", text);
            return self.say(&heard, canned::NO_MODEL, Urgency::Deferrable, now, out);
        }
        if end.is_some() {
            let text = format!("an utterance is longer than {most} characters (utterance_max_chars) and was refused");
            out.fault(now, Severity::Warning, "utterance-too-long", UTTERANCE, text);
            return self.say(&heard, canned::TOO_LONG, Urgency::Deferrable, now, out);
        }
        self.queue.push_back(heard);
        if self.queue.len() > self.config.queue {
            self.queue.pop_front();
            let text = format!("more than {} utterances wait (queue); the oldest is dropped", self.config.queue);
            out.fault(now, Severity::Warning, "utterance-dropped", UTTERANCE, text);
        }
    }

    fn is_known(&mut self, header: &v1::Header) -> bool {
        let key = (header.stamp_ns, header.trace_id);
        if self.seen.contains(&key) {
            return true;
        }
        if self.seen.len() == REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(key);
        false
    }

    fn on_grants(&mut self, grants: &v1::Grants, now: Nanos) {
        self.shares.intent.update(grants, now);
        self.shares.dialogue.update(grants, now);
        let until = grants.grants.iter().map(|g| Nanos(g.lease_end_ns)).max();
        let newer = |until: &Nanos| self.mode.is_none_or(|(_, known)| known <= *until);
        if let Some(until) = until.filter(newer) {
            self.mode = Some((grants.mode(), until));
        }
    }

    fn on_scene(&mut self, scene: Arc<v1::Scene>, now: Nanos) {
        let newer = |known: &Arc<v1::Scene>| known.header_copy().stamp_ns <= scene.header_copy().stamp_ns;
        if !self.scene.as_ref().is_none_or(newer) {
            return;
        }
        if let Some(kind) = facts::hazards(&scene.hazards).into_iter().next() {
            self.last_hazard = Some((kind, now));
        }
        self.scene = Some(scene);
    }

    /// Says once that there is no model.
    fn tell_model(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        if let Err(problem) = &self.model
            && !self.model_told
        {
            let text = format!("{problem}; the node goes on without, and says so when spoken to");
            out.fault(now, Severity::Critical, "language-model", "checkpoint", text);
            self.model_told = true;
        }
    }

    /// Says on `language/slices` when a class has left the processor because of a grant, or is back.
    fn tell_changes(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        for class in [Class::Dialogue, Class::Intent] {
            let Some(change) = self.shares.of(class).change(now) else { continue };
            let has_work = match class {
                Class::Intent => self.intent.is_some(),
                Class::Dialogue => self.reply.is_some(),
            };
            let used = self.clock.taken_off(class, !change.running && has_work);
            out.publish::<topic::LanguageSlices>(v1::SliceStatus {
                header: Some(v1::Header::new(change.stamp.0, change.trace)),
                workload: self.shares.of(class).name().into(),
                running: change.running,
                slices: used.slices,
                last_slice_ns: used.last_slice.as_nanos() as u64,
                preemptions: used.preemptions,
            });
        }
    }

    /// What holds at any time: changes are told, what has waited is said, what has waited for too long is given up.
    fn settle(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        self.tell_changes(now, out);
        self.give_up_old(now, out);
        self.give_up_actions(now, out);
        self.say_what_waits(now, out);
        self.look_ahead(now, out);
        self.arm(now, out);
    }
}

impl Node for LanguageNode {
    type Name = node::Language;
    type Effect = Effect;

    fn on_input(&mut self, input: node::LanguageInput, now: Nanos, out: &mut Outbox<Self>) {
        match input {
            node::LanguageInput::SpeechUtterance(utterance) => self.on_utterance(&utterance, now, out),
            node::LanguageInput::FusionScene(scene) => self.on_scene(scene, now),
            node::LanguageInput::ArbiterGrants(grants) => self.on_grants(&grants, now),
            node::LanguageInput::CabinOutcome(outcome) => self.on_outcome(&outcome, now, out),
            node::LanguageInput::DriveInfo(info) => self.wall = WallClock::of(&info).or(self.wall),
        }
        self.settle(now, out);
    }

    fn on_tick(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        self.tell_model(now, out);
        self.tell_problem(now, out);
        self.tell_changes(now, out);
        self.slice(now, out);
        self.settle(now, out);
    }

    fn workloads(&self, now: Nanos) -> Vec<v1::WorkloadUsage> {
        self.used(now)
    }
}

/// Milliseconds as a duration.
fn ms(t: u64) -> Duration {
    Duration::from_millis(t)
}
