//! What a launch file comes to: processes to run, in order.

use std::{path::PathBuf, time::Duration};

/// Everything a launch file and its includes describe, with every `$(…)` replaced.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LaunchDescription {
    /// In the order of the file, which is the order of starting.
    pub processes: Vec<Process>,
    /// The arguments declared, in the order they were met.
    pub arguments: Vec<Argument>,
    /// The texts of `<log>`.
    pub messages: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Process {
    /// What its output is labelled with and what it is called by; no two are the same.
    pub name: String,
    pub executable: PathBuf,
    /// Without the executable itself.
    pub arguments: Vec<String>,
    /// Set over (`Some`) or taken from (`None`) the environment of the launching process.
    pub environment: Vec<(String, Option<String>)>,
    pub respawn: Respawn,
    /// When it ends, and is not started again, everything is shut down.
    pub shutdown_on_exit: bool,
    pub output: Output,
}

/// What happens when a process ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Respawn {
    Never,
    /// Started again, first after `delay`, then with a growing one; at most `max_retries` times when that is given.
    Always { delay: Duration, max_retries: Option<u32> },
}

/// Where a process's lines go, besides the log folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Standard output and standard error are shown.
    Screen,
    /// Standard error is shown.
    Log,
}

/// `<arg>`.
#[derive(Debug, Clone, PartialEq)]
pub struct Argument {
    pub name: String,
    /// As written, its `$(…)` not yet replaced.
    pub default: Option<String>,
    pub description: String,
}
