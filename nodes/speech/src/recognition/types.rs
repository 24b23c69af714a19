//! Types that the modules of recognition share: words, hypotheses, the trait of a recogniser.

use serde::Deserialize;
use std::time::Duration;

/// A recognised word. Times count from the first sample after the last [`Recogniser::finish`].
#[derive(Clone, PartialEq)]
pub struct RecognisedWord {
    /// The word in lower case.
    pub text: String,
    /// When it begins.
    pub start: Duration,
    /// When it ends.
    pub end: Duration,
    /// 0 to 1.
    pub confidence: f32,
}

/// The text of these words.
pub(crate) fn joined(words: &[RecognisedWord]) -> String {
    words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ")
}

/// One hypothesis of the n-best list of a turn.
#[derive(Clone, PartialEq, Default)]
pub struct Hypothesis {
    /// Its words in order.
    pub words: Vec<RecognisedWord>,
    /// 0 to 1; those of all hypotheses of a turn sum to 1.
    pub probability: f32,
}

impl Hypothesis {
    /// Its words, separated by spaces.
    pub fn text(&self) -> String {
        joined(&self.words)
    }
}

/// The result of a turn.
#[derive(Clone, PartialEq, Default)]
pub struct Recognition {
    /// The words of the most probable hypothesis.
    pub words: Vec<RecognisedWord>,
    /// The other hypotheses, most probable first.
    pub alternatives: Vec<Hypothesis>,
}

impl Recognition {
    /// Its words, separated by spaces.
    pub fn text(&self) -> String {
        joined(&self.words)
    }

    /// Mean confidence of the words, 0 to 1; 0 without words.
    pub fn confidence(&self) -> f32 {
        self.words.iter().map(|w| w.confidence).sum::<f32>() / self.words.len().max(1) as f32
    }
}

/// The recogniser failed and must not be used again.
#[derive(Debug, thiserror::Error)]
#[error("the recogniser failed: {0}")]
pub struct RecogniserError(pub String);

/// A streaming recogniser of 16 kHz mono audio.
///
/// # Errors
/// Every method fails when the recogniser does; it must not be used afterwards.
pub trait Recogniser: Send {
    /// Takes the next samples of a turn.
    fn accept(&mut self, samples: &[i16]) -> Result<(), RecogniserError>;
    /// The text so far; it may still change.
    fn partial(&mut self) -> Result<String, RecogniserError>;
    /// The words so far with times and confidences; slower than [`Recogniser::partial`].
    fn partial_words(&mut self) -> Result<Vec<RecognisedWord>, RecogniserError>;
    /// Ends the turn and returns its result. The next samples belong to the next turn.
    fn finish(&mut self) -> Result<Recognition, RecogniserError>;
}

/// Which words the recogniser can output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Vocabulary {
    /// All words of the model.
    Model,
    /// The words of the intents' phrasings and of the phone book.
    Catalogue,
}

/// The language model of the recogniser.
#[derive(Clone, PartialEq, Eq)]
pub enum LanguageModel {
    /// The one in the model's graph.
    BuiltIn,
    /// A bigram model that libvosk makes of these phrases.
    Phrases(Vec<String>),
}
