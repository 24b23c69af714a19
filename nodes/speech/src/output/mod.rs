//! Speech out.

pub mod playback;
pub mod reply;
pub mod speaker;
pub mod synthesizer;
pub mod text_normalization;
