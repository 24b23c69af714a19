//! Runs the model slice by slice, and reports its problems and its leaving and returning to the processor.

use super::{
    interface::{Class, Engine, EngineError, Model, ModelInput, Problem, Progress},
    scheduler::Scheduler,
};
use auriga_lm::intent::output::IntentOutput;
use auriga_msgs::{node, topic, v1};
use auriga_runtime::{Nanos, Node, Outbox};
use v1::Severity;

/// The model and its scheduler.
pub(crate) struct ModelRunner {
    model: Model,
    missing_reported: bool,
    pub scheduler: Scheduler,
}

impl ModelRunner {
    /// Nothing has run yet.
    pub fn new(model: Model, scheduler: Scheduler) -> Self {
        Self { model, missing_reported: false, scheduler }
    }

    /// Reports that there is no model for a request. False if there is one.
    pub fn report_missing<N: Node<Name = node::Language>>(&self, now: Nanos, out: &mut Outbox<N>) -> bool {
        let Err(problem) = &self.model else { return false };
        let text = format!("{problem}; a request was not answered");
        out.fault(now, Severity::Critical, "language-model-missing", "checkpoint", text);
        true
    }

    /// Reports that the model failed at a request.
    pub fn report_failed<N: Node<Name = node::Language>>(error: &EngineError, now: Nanos, out: &mut Outbox<N>) {
        let text = format!("{error}; a request was not answered, check the checkpoint");
        out.fault(now, Severity::Critical, "language-model-failed", "checkpoint", text);
    }

    /// See [`Engine::can_reply`].
    pub fn can_reply(&self) -> bool {
        self.model.as_ref().is_ok_and(|engine| engine.can_reply())
    }

    fn engine(&mut self) -> Result<&mut dyn Engine, EngineError> {
        match &mut self.model {
            Ok(engine) => Ok(engine.as_mut()),
            Err(problem) => Err(EngineError(problem.clone())),
        }
    }

    /// See [`Engine::begin_intent`].
    pub fn begin_intent(&mut self, input: &ModelInput) -> Result<(), EngineError> {
        self.engine()?.begin_intent(input)
    }

    /// See [`Engine::begin_reply`].
    pub fn begin_reply(
        &mut self,
        input: &ModelInput,
        intent: &IntentOutput,
        max_tokens: usize,
    ) -> Result<(), EngineError> {
        self.engine()?.begin_reply(input, intent, max_tokens)
    }

    /// See [`Engine::abandon`].
    pub fn abandon(&mut self, class: Class) {
        if let Ok(engine) = self.engine() {
            engine.abandon(class);
        }
    }

    /// Runs a slice of the class and charges it.
    pub fn advance(&mut self, class: Class, now: Nanos) -> Result<Progress, EngineError> {
        let plan = self.scheduler.plan(class, now);
        let engine = self.engine()?;
        let progress = engine.advance(class, plan.layers);
        let measured = if progress.is_ok() { engine.last_slice() } else { None };
        self.scheduler.account(class, plan, measured, now);
        progress
    }

    /// Reports once that there is no model, and each problem of a part of the model.
    pub fn report_problems<N: Node<Name = node::Language>>(&mut self, now: Nanos, out: &mut Outbox<N>) {
        match &mut self.model {
            Err(problem) if !self.missing_reported => {
                let text = format!("{problem}; requests are answered with a canned response");
                out.standing_fault(now, Severity::Critical, "language-model", "checkpoint", text);
                self.missing_reported = true;
            }
            Err(_) => {}
            Ok(engine) => {
                let (code, subject) = ("language-model-part", "encoder");
                match engine.problem() {
                    Some(Problem { text, is_lasting: true }) => {
                        out.standing_fault(now, Severity::Warning, code, subject, text);
                    }
                    Some(Problem { text, is_lasting: false }) => out.fault(now, Severity::Warning, code, subject, text),
                    None => {}
                }
            }
        }
    }

    /// Publishes on `language/slices` that a class has left the processor because of a grant, or has returned.
    /// `is_started`, for each class: whether it has unfinished work.
    pub fn publish_changes<N: Node<Name = node::Language>>(
        &mut self,
        is_started: [bool; 2],
        now: Nanos,
        out: &mut Outbox<N>,
    ) {
        for class in [Class::Dialogue, Class::Intent] {
            if let Some(status) = self.scheduler.change(class, is_started[class as usize], now) {
                out.publish::<topic::LanguageSlices>(status);
            }
        }
    }
}
