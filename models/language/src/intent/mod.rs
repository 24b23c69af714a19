//! Intents: the catalogue, the text format, constrained decoding, and the classifier on the encoder.

pub mod catalogue;
pub mod classifier;
pub mod constrained;
pub mod output;
pub mod prompt;
pub mod scene;
pub mod tool_call;
