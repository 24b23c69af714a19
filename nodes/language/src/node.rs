//! The state machine of the language node, with all of its state.

use crate::{
    actions::{
        pending::PendingActions,
        tools::{Executor, Tools},
    },
    config::Config,
    engine::{
        interface::{Class, EngineError, Model, Progress},
        models,
        runner::ModelRunner,
        scheduler::Scheduler,
        workloads,
    },
    habits::{Effect, forecast::Forecaster, predictor::Predictor, usage_history::UsageEntry},
    reply::{
        canned::{self, CannedResponses},
        draft::Draft,
        telltales::{self, Telltales},
        turns::{DialogueTurns, Urgency},
        verbosity::Verbosity,
    },
    understand::{
        dialogue_history::{DialogueHistory, Question, Reaction},
        driving_context::DrivingContext,
        hypotheses::{IntentTask, NextStep},
        interpret::{Meaning, REPEAT, STOP, WARNING_LAMP, interpret},
        phrasing::cancel::{self, Target},
        requests::{Request, RequestQueue},
        rules::{CheckedIntent, SlotSource, check_intent, spoken_slots},
    },
};
use auriga_lm::intent::{catalogue::Catalogue, output::IntentOutput};
use auriga_msgs::{Stamped, node, topic, v1};
use auriga_runtime::{Nanos, Node, Outbox};

type Out = Outbox<LanguageNode>;

/// The state machine.
pub struct LanguageNode {
    config: Config,
    catalogue: Catalogue,
    canned: CannedResponses,
    tools: Tools,
    telltales: Telltales,
    runner: ModelRunner,
    driving: DrivingContext,
    requests: RequestQueue,
    /// The intent work in progress.
    intent: Option<IntentTask>,
    turns: DialogueTurns,
    actions: PendingActions,
    history: DialogueHistory,
    forecaster: Forecaster,
}

impl LanguageNode {
    /// With the models of the configuration. A model that cannot be loaded does not stop the node: it is reported as a
    /// fault and said to the driver.
    ///
    /// # Errors
    /// When the configuration, the catalogue or the workload table is invalid.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let model = models::open(config, &Catalogue::load(&config.catalogue)?, None);
        Self::with_model(config, model)
    }

    /// With a model that is loaded already, or the reason why there is none.
    ///
    /// # Errors
    /// When the configuration, the catalogue or the workload table is invalid.
    pub fn with_model(config: &Config, model: Model) -> anyhow::Result<Self> {
        config.check()?;
        let catalogue = Catalogue::load(&config.catalogue)?;
        let scheduler = Scheduler::new(workloads::load(&config.workloads)?, config.slice(), config.layers_per_slice);
        Ok(Self {
            canned: CannedResponses::new(&catalogue)?,
            tools: Tools::new(&catalogue, &config.connected_tools)?,
            telltales: Telltales::new()?,
            runner: ModelRunner::new(model, scheduler),
            driving: DrivingContext::new(config.scene_max_age()),
            requests: RequestQueue::default(),
            intent: None,
            turns: DialogueTurns::new(config.queue, config.reply_max_pause()),
            actions: PendingActions::default(),
            history: DialogueHistory::default(),
            forecaster: Forecaster::new(Predictor::new(&catalogue, config.predictor())?, config.habit_lead()),
            catalogue,
            config: config.clone(),
        })
    }

    /// Learns the usage history of earlier drives, oldest first.
    pub fn learn(&mut self, entries: &[UsageEntry]) {
        self.forecaster.learn(entries);
    }

    fn on_utterance(&mut self, utterance: &v1::Utterance, now: Nanos, out: &mut Out) {
        let Some(request) = self.requests.receive(utterance, self.config.utterance_max_chars, now, out) else { return };
        if self.runner.report_missing(now, out) {
            return self.respond(&request, canned::NO_MODEL, Urgency::Deferrable, now, out);
        }
        if request.is_cut {
            return self.respond(&request, canned::TOO_LONG, Urgency::Deferrable, now, out);
        }
        self.requests.push(request, self.config.queue, now, out);
    }

    fn on_outcome(&mut self, outcome: &v1::Outcome, now: Nanos, out: &mut Out) {
        let Some(action) = self.actions.take(outcome.action_id, now, out) else { return };
        if let Some(text) = action.sentence(outcome) {
            let request = action.request.follow_up(outcome.header_copy().trace_id, now);
            self.turns.defer(&request, &text, now);
        }
    }

    fn has_work(&self, class: Class) -> bool {
        match class {
            Class::Intent => self.intent.is_some() || !self.requests.is_empty(),
            Class::Dialogue => self.turns.is_replying(),
        }
    }

    /// Whether a class may use the processor. A reply that must not be said now is not computed either.
    fn may_run(&self, class: Class, now: Nanos) -> bool {
        let silent = class == Class::Dialogue && self.verbosity(now) == Verbosity::Silent;
        !silent && self.runner.scheduler.may_run(class, now)
    }

    fn run_slice(&mut self, now: Nanos, out: &mut Out) {
        let runnable = Class::ALL.map(|class| self.has_work(class) && self.may_run(class, now));
        let Some((class, previous)) = self.runner.scheduler.next_class(runnable, now) else { return };
        if class == Class::Intent && !self.begin_intent(now, out) {
            return;
        }
        if class == Class::Intent && previous == Some(Class::Dialogue) && self.turns.is_replying() {
            self.runner.scheduler.count_preemption(Class::Dialogue);
        }
        let progress = self.runner.advance(class, now);
        self.on_progress(class, progress, now, out);
        self.runner.report_problems(now, out);
        self.runner.scheduler.end_slice(class, self.has_work(class));
    }

    fn on_progress(&mut self, class: Class, progress: Result<Progress, EngineError>, now: Nanos, out: &mut Out) {
        match (class, progress) {
            (_, Ok(Progress::Working)) => {}
            (Class::Intent, Ok(Progress::Intent(output))) => self.on_intent(output, now, out),
            (Class::Dialogue, Ok(Progress::Text(text))) => self.advance_reply(Some(&text), now, out),
            (Class::Dialogue, Ok(Progress::Finished)) => self.advance_reply(None, now, out),
            (class, Ok(_)) => self.work_failed(class, &EngineError::wrong_class(class), now, out),
            (class, Err(e)) => self.work_failed(class, &e, now, out),
        }
    }

    fn work_failed(&mut self, class: Class, error: &EngineError, now: Nanos, out: &mut Out) {
        self.runner.abandon(class);
        let request = match class {
            Class::Intent => self.intent.take().map(|task| task.request),
            Class::Dialogue => self.turns.replying_to().cloned(),
        };
        if let Some(request) = request {
            self.model_failed(&request, error, now, out);
        }
    }

    fn model_failed(&mut self, request: &Request, error: &EngineError, now: Nanos, out: &mut Out) {
        ModelRunner::report_failed(error, now, out);
        self.respond(request, canned::MODEL_FAILED, Urgency::Deferrable, now, out);
    }

    /// Makes sure that intent work is in progress. False if no request waits or the next one needs no model.
    fn begin_intent(&mut self, now: Nanos, out: &mut Out) -> bool {
        if self.intent.is_some() {
            return true;
        }
        let Some(request) = self.requests.pop() else { return false };
        let input = self.driving.model_input(&request.text, self.history.recent(), now, out);
        let task = IntentTask::new(request, input);
        if self.answer_question(&task, now, out) || self.cancel(&task, now, out) {
            return false;
        }
        self.start_intent(task, now, out);
        self.runner.report_problems(now, out);
        self.intent.is_some()
    }

    fn start_intent(&mut self, task: IntentTask, now: Nanos, out: &mut Out) {
        match self.runner.begin_intent(&task.input) {
            Ok(()) => self.intent = Some(task),
            Err(e) => self.model_failed(&task.request, &e, now, out),
        }
    }

    /// Handles the answer to a question of the node, which needs no model. False if the request is none.
    fn answer_question(&mut self, task: &IntentTask, now: Nanos, out: &mut Out) -> bool {
        let request = &task.request;
        let intent = match self.history.react(&request.text, now) {
            Reaction::None => return false,
            Reaction::Telltale => return self.answer_telltale(task, now, out),
            Reaction::AskAgain(text) => {
                self.respond(request, &text, Urgency::Immediate, now, out);
                return true;
            }
            Reaction::Confirmed(intent) => intent,
            Reaction::Declined(further) => {
                further.into_iter().for_each(|text| self.requests.push_further(request, text));
                IntentOutput::new(STOP, &[])
            }
        };
        self.accept(task, CheckedIntent::certain(&self.catalogue, intent, &task.input), now, out);
        true
    }

    fn answer_telltale(&mut self, task: &IntentTask, now: Nanos, out: &mut Out) -> bool {
        let Some(text) = self.telltales.explain(&task.request.text, self.verbosity(now)) else { return false };
        self.history.close_question();
        self.answer(task, WARNING_LAMP, &text, now, out);
        true
    }

    /// Publishes an intent that needs no action, and says this.
    fn answer(&mut self, task: &IntentTask, intent: &str, text: &str, now: Nanos, out: &mut Out) {
        let checked = CheckedIntent::certain(&self.catalogue, IntentOutput::new(intent, &[]), &task.input);
        out.publish::<topic::LanguageIntent>(checked.message(&task.request));
        self.respond(&task.request, text, Urgency::Deferrable, now, out);
    }

    /// Ends the actions under way that the request is about, or takes back what was withdrawn, without the model. False if the
    /// request asks for something else.
    fn cancel(&mut self, task: &IntentTask, now: Nanos, out: &mut Out) -> bool {
        let request = &task.request;
        // "Stop" silences a reply.
        let silences = self.turns.is_replying() && request.text.contains(STOP);
        let target = cancel::target(&request.text).filter(|target| *target != Target::Last || !silences);
        let stopped = target.filter(|_| !request.is_withdrawn).and_then(|t| self.stop_actions(&t, request, out));
        let text = stopped.or_else(|| request.is_withdrawn.then(|| canned::ALL_RIGHT.into()));
        text.inspect(|text| self.answer(task, STOP, text, now, out)).is_some()
    }

    /// Asks the tools to stop the actions that are meant. What is said then; `None` if no such action is under way.
    fn stop_actions(&mut self, target: &Target, request: &Request, out: &mut Out) -> Option<String> {
        let (actions, names) = self.actions.cancel(target, request);
        actions.into_iter().for_each(|action| out.publish::<topic::LanguageAction>(action));
        (!names.is_empty()).then(|| canned::stopping(&names))
    }

    fn on_intent(&mut self, output: IntentOutput, now: Nanos, out: &mut Out) {
        let Some(task) = self.intent.take() else { return };
        let (task, output) = match task.next_step(output) {
            NextStep::Done(task, output) => (task, output),
            NextStep::Try(task) => return self.start_intent(task, now, out),
        };
        let output = match interpret(&task.request.text, output, &self.catalogue) {
            Meaning::Intent(output) => output,
            Meaning::Unwanted(unwanted) => {
                let same = Target::Intent(unwanted.name);
                let text = self.stop_actions(&same, &task.request, out).unwrap_or_else(|| canned::ALL_RIGHT.into());
                return self.answer(&task, STOP, &text, now, out);
            }
        };
        let resolved = self.history.resolve(&task.request.text, &output, &self.catalogue, now);
        let source = if resolved.is_some() { SlotSource::History } else { SlotSource::Utterance };
        let output = resolved.unwrap_or(output);
        let mut checked = check_intent(&self.catalogue, output, &task.input, self.config.min_confidence, source);
        let speed_mps = task.input.facts().speed_mps;
        self.tools.restrict(&mut checked, &self.catalogue, &task.request.text, speed_mps);
        self.accept(&task, checked, now, out);
    }

    /// Publishes a checked intent, records it, forecasts from it, carries it out and replies.
    fn accept(&mut self, task: &IntentTask, mut checked: CheckedIntent, now: Nanos, out: &mut Out) {
        let request = &task.request;
        checked.restrict_passenger(&self.catalogue, request);
        out.publish::<topic::LanguageIntent>(checked.message(request));
        let circumstances = self.driving.circumstances(now);
        if checked.is_in_scope() {
            let entry = self.forecaster.record(&checked.output.name, circumstances, &self.catalogue, now);
            out.effect(Effect::Store(entry));
        }
        if checked.is_in_scope() && checked.refusal.is_none() {
            self.history.add(&checked.output, now);
        }
        let items = self.forecaster.forecast(&circumstances, &self.catalogue, now);
        out.publish::<topic::LanguageDemand>(v1::Demand { header: Some(request.header), items });
        if !checked.is_in_scope() && checked.refusal.is_none() && self.turns.is_replying() {
            // Conversation between people: the reply in progress goes on.
            return;
        }
        self.interrupt_reply(out);
        let urgency = if checked.is_safety(&self.catalogue) { Urgency::Immediate } else { Urgency::Deferrable };
        // Of several requests in one utterance each is answered in its turn.
        let text = self.response(task, &checked, now, out);
        let further = || self.canned.sentence(&checked.output, task.input.facts());
        match text.or_else(|| self.requests.has_further().then(further)) {
            Some(text) => self.respond(request, &text, urgency, now, out),
            None => self.begin_reply(task, checked.output, now, out),
        }
    }

    /// The response that needs no model: a refusal, a question, an unknown value, a telltale, a repetition. Publishes the
    /// action of the intent. `None`: the model is to reply.
    fn response(&mut self, task: &IntentTask, checked: &CheckedIntent, now: Nanos, out: &mut Out) -> Option<String> {
        let (name, facts) = (checked.output.name.as_str(), task.input.facts());
        if let Some(refusal) = &checked.refusal {
            return Some(refusal.clone());
        }
        let question = if checked.is_in_scope() { None } else { self.history.ask_again(now) };
        if question.is_some() || checked.overruled {
            return question.or(Some(canned::NOT_SURE.into()));
        }
        if let Some(problem) = self.publish_action(task, checked, now, out) {
            return Some(problem);
        }
        match name {
            REPEAT if !self.turns.last_text().is_empty() => return Some(self.turns.last_text().to_owned()),
            STOP => self.turns.clear_deferred(),
            WARNING_LAMP => return Some(self.explain_warning(&task.input.text, now)),
            _ => {}
        }
        let sentence = self.canned.sentence(&checked.output, facts);
        if let Some((question, confirmed)) = self.tools.follow_up_question(name) {
            let text = format!("{sentence} {question}");
            self.history.open_question(Question::Confirm { ask: question.into(), intent: confirmed }, now);
            return Some(text);
        }
        let needs_model = self.runner.can_reply() && name != REPEAT && !self.canned.lacks_fact(name, facts);
        (!needs_model).then_some(sentence)
    }

    /// Publishes the action of an intent that a tool of the vehicle carries out. Returns what is said if that tool is not
    /// connected.
    fn publish_action(
        &mut self,
        task: &IntentTask,
        checked: &CheckedIntent,
        now: Nanos,
        out: &mut Out,
    ) -> Option<String> {
        let tool = self.tools.for_intent(&checked.output.name).filter(|tool| tool.by == Executor::Vehicle)?;
        let connected = self.tools.is_connected(tool);
        if !connected && !checked.proposal {
            return Some(format!("{} is not connected, so I cannot do that.", tool.spoken_name));
        }
        let deadline = connected.then(|| now + self.config.outcome_timeout());
        out.publish::<topic::LanguageAction>(self.actions.start(&task.request, checked, tool, deadline));
        let proposal = || self.canned.sentence(&checked.output, task.input.facts());
        (!connected).then(|| canned::only_proposed(&proposal(), &tool.spoken_name))
    }

    /// The meaning of the telltale that was named, of the last warning, or the question which telltale is meant.
    fn explain_warning(&mut self, text: &str, now: Nanos) -> String {
        let found = self.telltales.explain_any(text, self.driving.last_hazard(now), self.verbosity(now));
        if found.is_none() {
            self.history.open_question(Question::WhichTelltale, now);
        }
        found.unwrap_or_else(|| telltales::WHICH.into())
    }

    /// How much may be said now.
    fn verbosity(&self, now: Nanos) -> Verbosity {
        self.driving.workload(now).verbosity(self.config.reply_brief_from_mps)
    }

    /// Publishes a complete turn in place of the reply in progress, now or when the driver's workload allows it.
    fn respond(&mut self, request: &Request, text: &str, urgency: Urgency, now: Nanos, out: &mut Out) {
        self.interrupt_reply(out);
        if urgency == Urgency::Deferrable && self.verbosity(now) == Verbosity::Silent {
            return self.turns.defer(request, text, now);
        }
        self.turns.publish(request, text, out);
    }

    fn begin_reply(&mut self, task: &IntentTask, intent: IntentOutput, now: Nanos, out: &mut Out) {
        let words = self.config.reply_max_words(self.verbosity(now), task.input.facts().driving_load);
        if let Err(e) = self.runner.begin_reply(&task.input, &intent, self.config.reply_max_tokens) {
            return self.model_failed(&task.request, &e, now, out);
        }
        let spoken = spoken_slots(&self.catalogue, &intent.name);
        self.turns.begin_reply(&task.request, Draft::new(task.input.clone(), intent, &spoken, words));
        if !self.requests.is_empty() {
            // The driver has spoken again: only the newest request gets a reply of the model.
            self.interrupt_reply(out);
        }
    }

    /// Ends the reply in progress, if there is one, before it is complete.
    fn interrupt_reply(&mut self, out: &mut Out) {
        if self.turns.interrupt_reply(out) {
            self.runner.abandon(Class::Dialogue);
        }
    }

    /// Adds text of the model to the reply; `None`: the model has ended it.
    fn advance_reply(&mut self, text: Option<&str>, now: Nanos, out: &mut Out) {
        if self.turns.advance_reply(text, &self.canned, now, out) {
            self.runner.abandon(Class::Dialogue);
        }
    }

    /// Drops requests that are too old, and a reply that did not get the processor back in time.
    fn drop_expired(&mut self, now: Nanos, out: &mut Out) {
        let max_age = self.config.utterance_max_age();
        self.requests.drop_expired(max_age, now, out);
        if self.intent.take_if(|task| now >= task.request.expires_at(max_age)).is_some() {
            self.runner.abandon(Class::Intent);
            RequestQueue::report_expired(max_age, now, out);
        }
        if self.turns.is_paused_too_long(self.may_run(Class::Dialogue, now), now) {
            self.interrupt_reply(out);
        }
    }

    /// Reports the actions without an outcome to the driver.
    fn expire_actions(&mut self, now: Nanos, out: &mut Out) {
        while let Some(action) = self.actions.take_expired(now, out) {
            let request = action.request.follow_up(0, now);
            self.turns.defer(&request, &format!("{} does not answer.", action.spoken_name), now);
        }
    }

    /// Publishes the turns that wait, unless they have waited too long.
    fn publish_deferred(&mut self, now: Nanos, out: &mut Out) {
        self.turns.drop_expired(now, out);
        let is_idle = !self.turns.is_replying() && self.intent.is_none() && self.requests.is_empty();
        if is_idle && self.turns.has_text() && self.verbosity(now) != Verbosity::Silent {
            self.turns.publish_deferred(out);
        }
    }

    /// Publishes a forecast between two requests when the situation has changed it.
    fn update_forecast(&mut self, now: Nanos, out: &mut Out) {
        let circumstances = self.driving.has_scene().then(|| self.driving.circumstances(now));
        let items = circumstances.and_then(|at| self.forecaster.update(&at, &self.catalogue, now));
        if let Some(items) = items {
            out.publish::<topic::LanguageDemand>(v1::Demand { header: Some(v1::Header::new(now.0, 0)), items });
        }
    }

    /// Requests a tick for the next moment at which time alone changes something.
    fn request_tick(&mut self, now: Nanos, out: &mut Out) {
        let wakes = Class::ALL.map(|class| {
            let runnable = self.has_work(class) && self.may_run(class, now);
            self.runner.scheduler.wakes(class, runnable, now).collect::<Vec<_>>()
        });
        let max_age = self.config.utterance_max_age();
        let requests = self.requests.iter().chain(self.intent.as_ref().map(|task| &task.request));
        let mut at: Vec<Nanos> = wakes.concat();
        at.extend(requests.map(|request| request.expires_at(max_age)));
        let workload = self.turns.has_text().then(|| self.driving.workload_changes(now));
        at.extend(workload.into_iter().flatten().chain(self.turns.expiries()).chain(self.actions.deadlines()));
        at.extend(self.forecaster.next_change(now));
        if let Some(at) = at.into_iter().min() {
            out.tick_at(at.max(now));
        }
    }

    /// What has to be done after each input and tick.
    fn settle(&mut self, now: Nanos, out: &mut Out) {
        self.runner.publish_changes([self.intent.is_some(), self.turns.is_replying()], now, out);
        self.drop_expired(now, out);
        self.expire_actions(now, out);
        self.publish_deferred(now, out);
        self.update_forecast(now, out);
        self.request_tick(now, out);
    }
}

impl Node for LanguageNode {
    type Name = node::Language;
    type Effect = Effect;

    fn on_input(&mut self, input: node::LanguageInput, now: Nanos, out: &mut Out) {
        match input {
            node::LanguageInput::SpeechUtterance(utterance) => self.on_utterance(&utterance, now, out),
            node::LanguageInput::FusionScene(scene) => self.driving.update_scene(scene, now),
            node::LanguageInput::ArbiterGrants(grants) => {
                self.runner.scheduler.update(&grants, now);
                self.driving.update_mode(&grants);
            }
            node::LanguageInput::CabinOutcome(outcome) => self.on_outcome(&outcome, now, out),
            node::LanguageInput::DriveInfo(info) => self.driving.update_time(&info),
        }
        self.settle(now, out);
    }

    fn on_tick(&mut self, now: Nanos, out: &mut Out) {
        self.runner.report_problems(now, out);
        self.runner.publish_changes([self.intent.is_some(), self.turns.is_replying()], now, out);
        self.run_slice(now, out);
        self.settle(now, out);
    }

    fn workloads(&self, now: Nanos) -> Vec<v1::WorkloadUsage> {
        self.runner.scheduler.workload_usage(now)
    }
}
