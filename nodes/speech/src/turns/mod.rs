//! Turns of the speaker: where they begin and end, and whether they are addressed to the system.

pub mod attention;
pub mod current;
pub mod endpointing;
pub mod talk_button;
pub mod vad;
