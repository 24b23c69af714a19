//! From audio to text: the model and its check, the recogniser, the wake phrase, the part of a turn that is addressed to
//! the system.

pub mod addressed;
pub mod model;
mod nbest;
pub mod open;
pub mod types;
pub mod vocabulary;
pub mod vosk;
pub mod wake_word;

pub use open::{OpenedRecogniser, open};
pub use types::{Hypothesis, RecognisedWord, Recogniser, RecogniserError, Recognition, Vocabulary};
