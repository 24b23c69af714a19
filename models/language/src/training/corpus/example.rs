//! An example of the corpus, and where it comes from.

use crate::{
    dialogue::fill::fill,
    intent::{
        classifier::context::{Context, Lane},
        output::IntentOutput,
        scene::SceneFacts,
    },
};

/// A dialogue of one utterance and one reply.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The driving scene.
    pub scene: SceneFacts,
    /// The utterance.
    pub utterance: String,
    /// Its intent with slots.
    pub intent: IntentOutput,
    /// The reply with placeholders, as the model writes it.
    pub reply: String,
    /// For each word of the utterance the index of the slot that it belongs to.
    pub slot_words: Vec<Option<usize>>,
    /// Position in the lane, if known.
    pub lane: Option<Lane>,
    /// Whether it rains, if known.
    pub raining: Option<bool>,
    /// Intents of the last operations, newest first.
    pub recent: Vec<String>,
}

impl Example {
    /// The context of the utterance.
    pub fn context(&self) -> Context {
        Context { scene: self.scene.clone(), lane: self.lane, raining: self.raining, recent: self.recent.clone() }
    }

    /// The reply with its placeholders filled.
    pub fn spoken_reply(&self) -> String {
        fill(&self.reply, &self.scene, &self.intent.slots)
    }
}

/// The part of the phrasings that an example is generated from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// All phrasings except the held-out ones.
    Train,
    /// [`Split::Train`] without [`Split::Validation`].
    TrainWithoutValidation,
    /// The part of [`Split::Train`] for validation during training and for calibration.
    Validation,
    /// Phrasings, places and names that are used neither for training nor for validation.
    HeldOut,
}

/// The form of utterances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transcript {
    /// As written in the grammar.
    Clean,
    /// With errors of a speech recogniser.
    Noisy,
}
