//! What a launch file comes to: processes to run, in order.

use super::parameter::Value;
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
    /// The words of `args`.
    pub arguments: Vec<String>,
    /// `name` and `namespace`, when given.
    pub node: Option<String>,
    pub namespace: Option<String>,
    /// In the order of the file: later ones win.
    pub parameters: Vec<Parameter>,
    /// Set over (`Some`) or taken from (`None`) the environment of the launching process.
    pub environment: Vec<(String, Option<String>)>,
    pub respawn: Respawn,
    /// When it ends, everything is shut down.
    pub shutdown_on_exit: bool,
    pub output: Output,
}

impl Process {
    /// The words after the executable, as ROS 2 nodes take them.
    pub fn command_line(&self) -> Vec<String> {
        let mut words = self.arguments.clone();
        words.push("--ros-args".into());
        let names = [("__node", &self.node), ("__ns", &self.namespace)];
        for (what, name) in names {
            words.extend(name.iter().flat_map(|name| ["-r".into(), format!("{what}:={name}")]));
        }
        for parameter in &self.parameters {
            match parameter {
                Parameter::Value { name, value } => words.extend(["-p".into(), format!("{name}:={value}")]),
                Parameter::File(path) => words.extend(["--params-file".into(), path.display().to_string()]),
            }
        }
        words
    }
}

/// `<param>`.
#[derive(Debug, Clone, PartialEq)]
pub enum Parameter {
    Value { name: String, value: Value },
    File(PathBuf),
}

/// What happens when a process ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Respawn {
    Never,
    /// Started again, first after `delay`, then with a growing one; at most `max_retries` times when that is given.
    Always {
        delay: Duration,
        max_retries: Option<u32>,
    },
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
    /// What it came to.
    pub value: String,
}
