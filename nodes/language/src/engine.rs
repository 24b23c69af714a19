//! What the node asks of a language model. The executable and replay use [`crate::model`]; tests of the state machine
//! bring a scripted one.

use auriga_lm::prompt::{IntentOutput, SceneFacts};

/// The two kinds of work, the more urgent first. Of each there is one at most under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    Intent,
    Dialogue,
}

/// What is asked about: what was said, and what is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    pub text: String,
    pub facts: SceneFacts,
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

/// The model failed: what it said of it, without any of the driver's words.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct EngineError(pub String);

/// A language model whose work is done in slices and whose unfinished work keeps its state in between.
pub trait Engine: Send {
    /// Begins to work out the intent; replaces intent work under way.
    fn begin_intent(&mut self, ask: &Ask) -> Result<(), EngineError>;

    /// Begins the reply to what was understood last, in at most `max_tokens`; replaces the reply under way.
    fn begin_reply(&mut self, max_tokens: usize) -> Result<(), EngineError>;

    /// Does the work of about `layers` layers for one token, then returns. Outside the call nothing runs.
    fn advance(&mut self, class: Class, layers: usize) -> Result<Progress, EngineError>;

    /// Forgets the work of a class.
    fn abandon(&mut self, class: Class);
}
