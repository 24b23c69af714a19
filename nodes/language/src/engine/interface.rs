//! What the node asks of a language model. The executable and replay use [`models`](super::models); tests of the state
//! machine use a scripted engine.

use auriga_lm::intent::{classifier::context::Context, output::IntentOutput, scene::SceneFacts};
use std::time::Duration;

/// The model, or the reason why there is none, with what to do about it.
pub type Model = Result<Box<dyn Engine>, String>;

/// The two classes of model work, the more urgent first. At most one task of each is in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Working out the intent of an utterance (assist).
    Intent,
    /// Writing a reply (infotainment).
    Dialogue,
}

impl Class {
    /// Both classes, the more urgent first.
    pub const ALL: [Class; 2] = [Class::Intent, Class::Dialogue];
}

/// The input of the model: an utterance and the context in which it was spoken.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelInput {
    /// The transcript.
    pub text: String,
    /// The scene, the lane, the weather and the last intents.
    pub context: Context,
}

impl ModelInput {
    /// The facts of the scene.
    pub fn facts(&self) -> &SceneFacts {
        &self.context.scene
    }
}

/// The result of a slice.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// The work goes on; there is no result yet.
    Working,
    /// The intent is known; intent work has ended.
    Intent(IntentOutput),
    /// The next text of the reply.
    Text(String),
    /// The reply has ended.
    Finished,
}

/// The measured cost of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// Layers that were computed.
    pub layers: usize,
    /// Time from the slice's beginning to its end.
    pub elapsed: Duration,
    /// Processor time of the calling thread.
    pub cpu: Duration,
}

/// Why the model failed, without any of the driver's words.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct EngineError(pub String);

impl EngineError {
    /// The model returned a result of another class than the work.
    pub(crate) fn wrong_class(class: Class) -> Self {
        Self(format!("the model returned a result of the wrong class for {class:?} work"))
    }
}

/// A part of the model is missing or failed, and another part does its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong and what to do about it, without any of the driver's words.
    pub text: String,
    /// The part is missing; otherwise it failed at one request.
    pub is_lasting: bool,
}

/// A language model that works in slices and keeps the state of unfinished work between them.
pub trait Engine: Send {
    /// Starts to work out the intent of `input`. Replaces intent work in progress.
    ///
    /// # Errors
    /// When the input cannot be read by the model.
    fn begin_intent(&mut self, input: &ModelInput) -> Result<(), EngineError>;

    /// Whether the engine can write replies. Without a decoder it only works out intents.
    fn can_reply(&self) -> bool {
        true
    }

    /// Starts a reply of at most `max_tokens` tokens to an intent. Replaces the reply in progress.
    ///
    /// # Errors
    /// When there is no decoder, or the input cannot be read by it.
    fn begin_reply(&mut self, input: &ModelInput, intent: &IntentOutput, max_tokens: usize) -> Result<(), EngineError>;

    /// Computes about `layers` layers for one token, then returns. Nothing runs outside this call.
    ///
    /// # Errors
    /// When no work of this class is in progress, or the model failed.
    fn advance(&mut self, class: Class, layers: usize) -> Result<Progress, EngineError>;

    /// The cost of the last [`Self::advance`]; `None` where nothing is measured, as in replay.
    fn last_slice(&self) -> Option<Slice> {
        None
    }

    /// A problem that did not stop the work, returned once.
    fn problem(&mut self) -> Option<Problem> {
        None
    }

    /// Discards the work of a class.
    fn abandon(&mut self, class: Class);
}
