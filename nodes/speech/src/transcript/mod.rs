//! What becomes of a turn: the utterance that is published, from the recogniser or from a drive's transcript track.

pub mod file;
pub mod track;
pub(crate) mod utterance;
