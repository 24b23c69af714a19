//! Live scenarios: all processes, started and supervised as in a car. The command line, which can launch them,
//! implements [`LiveRunner`].

use anyhow::Result;
use std::path::{Path, PathBuf};

/// A process to kill with SIGKILL; its supervisor restarts it.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveKill {
    /// The node.
    pub node: String,
    /// When, in seconds of the drive.
    pub at_s: f64,
}

/// A drive to be played live.
#[derive(Debug, Clone, PartialEq)]
pub struct LivePlan<'a> {
    /// Folder of the drive.
    pub drive: &'a Path,
    /// Start of the part that is played: time 0 of the drive is `from_s` before the first sensor data.
    pub from_s: f64,
    /// End of that part.
    pub to_s: f64,
    /// Processes to kill.
    pub kills: Vec<LiveKill>,
    /// Configuration of nodes: node, key, value.
    pub params: Vec<(String, String, String)>,
    /// Folder for recording and logs.
    pub out: &'a Path,
}

/// Plays a drive through all processes.
pub trait LiveRunner {
    /// Launches all nodes, waits for the end of the drive, and returns its recording, private topics included (the drive
    /// is generated). `progress` gets the fraction that is done.
    ///
    /// # Errors
    /// When a process fails or there is no recording.
    fn run(&mut self, plan: &LivePlan<'_>, progress: &mut dyn FnMut(f64)) -> Result<PathBuf>;
}
