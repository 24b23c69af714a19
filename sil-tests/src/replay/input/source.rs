//! The input of a replay.

use crate::{drive::Drive, replay::stream::Stream};
use auriga_runtime::Nanos;

/// The input of a replay.
pub(in crate::replay) struct Input {
    pub stream: Stream,
    /// Time 0 of the drive.
    pub start: Nanos,
    pub duration_s: f64,
    pub vehicle: String,
    /// Nodes that do not run: their recorded messages are played.
    pub recorded: Vec<&'static str>,
    /// The drive, which the monitor reads too.
    pub drive: Option<Drive>,
    /// Whether utterances come from the transcript track.
    pub transcript_track: bool,
}
