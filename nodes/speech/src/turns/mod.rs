//! Turns of the speaker.

pub mod attention;
pub mod endpointing;
pub mod vad;
