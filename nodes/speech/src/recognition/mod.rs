//! From audio to text.

pub mod addressed;
pub mod model;
pub(crate) mod nbest;
pub mod vocabulary;
pub mod vosk;
pub mod wake_word;
