//! What the node asks of a language model. The executable and replay use [`crate::engine::models`]; tests of the state
//! machine bring a scripted one.

use auriga_lm::intent::{classifier::context::Context, output::IntentOutput, scene::SceneFacts};
use std::time::Duration;

/// The two kinds of work, the more urgent first. Of each there is one at most under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    Intent,
    Dialogue,
}

/// What is asked about: what was said, and what is known.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelInput {
    pub text: String,
    pub context: Context,
}

impl ModelInput {
    pub fn facts(&self) -> &SceneFacts {
        &self.context.scene
    }
}

/// What a slice led to.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// Nothing to show yet.
    Working,
    /// Intent work is over.
    Intent(IntentOutput),
    /// A reply goes on with this text.
    Text(String),
    /// The reply is over.
    Finished,
}

/// What a slice has taken, measured outside the state machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    pub layers: usize,
    /// From its beginning to its end.
    pub wall: Duration,
    /// Of it on the processor.
    pub cpu: Duration,
}

/// The model failed: what it said of it, without any of the driver's words.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct EngineError(pub String);

/// A language model whose work is done in slices and whose unfinished work keeps its state in between.
pub trait Engine: Send {
    /// Begins to work out the intent; replaces intent work under way.
    fn begin_intent(&mut self, ask: &ModelInput) -> Result<(), EngineError>;

    /// Whether it can say something, and not only understand.
    fn can_reply(&self) -> bool {
        true
    }

    /// Begins the reply to what was understood, in at most `max_tokens`; replaces the reply under way.
    fn begin_reply(&mut self, ask: &ModelInput, intent: &IntentOutput, max_tokens: usize) -> Result<(), EngineError>;

    /// Does the work of about `layers` layers for one token, then returns. Outside the call nothing runs.
    fn advance(&mut self, class: Class, layers: usize) -> Result<Progress, EngineError>;

    /// What the last [`Self::advance`] has taken; `None` where nothing is measured, in replay.
    fn last_slice(&self) -> Option<Slice> {
        None
    }

    /// What has gone wrong without stopping the work, once: a part of the model that is missing or failed.
    fn problem(&mut self) -> Option<String> {
        None
    }

    /// Forgets the work of a class.
    fn abandon(&mut self, class: Class);
}
