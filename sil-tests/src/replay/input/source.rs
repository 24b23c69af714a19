//! The input of a replay.

use crate::{drive::Drive, replay::stream::Stream};
use auriga_runtime::Nanos;
use std::{cell::RefCell, rc::Rc};

/// What of a recording is damaged or missing, in words: filled while it is read.
pub(in crate::replay) type Damage = Rc<RefCell<Vec<String>>>;

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
    pub damage: Damage,
}
