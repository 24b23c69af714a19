//! What the node asks its shell to do.

use std::fmt;

/// A request to the shell about speech output.
#[derive(Clone, PartialEq, Eq)]
pub enum Effect {
    /// Speak this sentence after those before it.
    Speak(String),
    /// Go silent at once; what is queued is kept.
    PauseSpeaking,
    /// Continue where [`Effect::PauseSpeaking`] stopped.
    ResumeSpeaking,
    /// Go silent at once and drop everything that is queued.
    StopSpeaking,
}

impl fmt::Debug for Effect {
    /// Without the text: it is private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Effect::Speak(text) => write!(f, "Speak({} bytes)", text.len()),
            Effect::PauseSpeaking => f.write_str("PauseSpeaking"),
            Effect::ResumeSpeaking => f.write_str("ResumeSpeaking"),
            Effect::StopSpeaking => f.write_str("StopSpeaking"),
        }
    }
}
