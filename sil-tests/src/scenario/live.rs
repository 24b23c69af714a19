//! Live scenarios: all processes, started and supervised as in a car. The command that knows how to launch them
//! implements [`LiveRunner`].

use anyhow::Result;
use std::path::{Path, PathBuf};

/// A process to be killed with SIGKILL. Its supervisor brings it back.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveKill {
    pub node: String,
    /// Seconds of the drive.
    pub at_s: f64,
}

/// A drive to be driven live.
#[derive(Debug, Clone, PartialEq)]
pub struct LivePlan<'a> {
    /// The drive's folder.
    pub drive: &'a Path,
    /// The part to play: the drive's time 0 lies `from_s` before the first sensor data.
    pub from_s: f64,
    pub to_s: f64,
    pub kills: Vec<LiveKill>,
    /// Configuration of nodes: node, field, value.
    pub params: Vec<(String, String, String)>,
    /// Where recording and logs go.
    pub out: &'a Path,
}

/// Launches all nodes on a drive and returns the recording of it once the launch has ended by itself. The recording
/// holds private topics too: the drive is generated, nobody's privacy is in it.
pub trait LiveRunner {
    fn run(&mut self, plan: &LivePlan<'_>, progress: &mut dyn FnMut(f64)) -> Result<PathBuf>;
}
