//! Speech output: the reply's sentences, text normalization, synthesis, playback.
//!
//! ```text
//! language/turn ─► reply ─► Effect::Speak ─► player ─► text_normalization ─► synthesizer ─► playback
//!                                                                            playback_command
//! ```

pub mod effect;
pub mod playback;
pub mod playback_command;
pub mod player;
pub mod reply;
pub mod speech_output;
pub mod synthesizer;
pub mod text_normalization;
