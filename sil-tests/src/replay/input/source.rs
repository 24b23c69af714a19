//! What is fed to the nodes.

use crate::{drive::Drive, replay::stream::Stream};
use auriga_runtime::Nanos;

/// What is fed to the nodes.
pub(in crate::replay) struct Input {
    pub stream: Stream,
    /// The drive's time 0.
    pub start: Nanos,
    pub duration_s: f64,
    pub vehicle: String,
    /// Nodes whose messages are played as they were recorded, so that they do not run.
    pub recorded: Vec<&'static str>,
    /// A drive's folder: the monitor reads it too.
    pub drive: Option<Drive>,
    pub transcript_track: bool,
}
