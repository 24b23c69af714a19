//! The result of evaluating a launch file: processes to run, in order.

use super::parameter::Value;
use auriga_msgs::NodeSpec;
use std::{path::PathBuf, time::Duration};

/// The processes of a launch file and its includes, with every `$(…)` replaced.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LaunchDescription {
    /// In the order of the file, which is the order in which they start.
    pub processes: Vec<Process>,
    /// The declared arguments, in the order of evaluation.
    pub arguments: Vec<Argument>,
    /// Messages of `<log>`.
    pub messages: Vec<String>,
}

/// A process to run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Process {
    /// Whether it is a node, which takes ROS 2's arguments; else any program.
    pub kind: Kind,
    /// Unique in the launch; the label of its output.
    pub name: String,
    /// Path of the program.
    pub executable: PathBuf,
    /// The node of the topic table whose executable it is; `None`: any other program.
    pub table_node: Option<&'static NodeSpec>,
    /// The attribute `args`, split into words.
    pub arguments: Vec<String>,
    /// The attribute `name`.
    pub node: Option<String>,
    /// The attribute `namespace`.
    pub namespace: Option<String>,
    /// In the order of the file: later ones override earlier ones.
    pub parameters: Vec<Parameter>,
    /// Names that are replaced by others: from, to.
    pub remaps: Vec<(String, String)>,
    /// Its working folder; `None`: that of the launching process.
    pub folder: Option<PathBuf>,
    /// It starts this long after the launch, by its timers.
    pub start_after: Duration,
    /// Variables that are set (`Some`) or unset (`None`) in the environment of the launching process.
    pub environment: Vec<(String, Option<String>)>,
    /// Whether it is restarted when it ends.
    pub respawn: Respawn,
    /// Its end shuts down the launch.
    pub shutdown_on_exit: bool,
    /// What of its output is shown.
    pub output: Output,
}

impl Process {
    /// The arguments of the executable, as ROS 2 nodes take them.
    pub fn command_line(&self) -> Vec<String> {
        let mut words = self.arguments.clone();
        if self.kind == Kind::Program {
            return words;
        }
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
        for (from, to) in &self.remaps {
            words.extend(["-r".into(), format!("{from}:={to}")]);
        }
        words
    }
}

/// What a process is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    /// `<node>`.
    #[default]
    Node,
    /// `<executable>`.
    Program,
}

/// `<param>`.
#[derive(Debug, Clone, PartialEq)]
pub enum Parameter {
    /// A single parameter.
    Value {
        /// Dotted name.
        name: String,
        /// Its value.
        value: Value,
    },
    /// A parameter file.
    File(PathBuf),
}

/// What happens when a process ends.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Respawn {
    /// It is not restarted.
    #[default]
    Never,
    /// It is restarted, with growing delays.
    Always {
        /// The first delay.
        delay: Duration,
        /// The most restarts; `None`: no limit.
        max_retries: Option<u32>,
    },
}

/// What of a process's output is shown, besides being logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Output {
    /// Standard output and standard error are shown.
    Screen,
    /// Standard error is shown.
    #[default]
    Log,
}

/// `<arg>`.
#[derive(Debug, Clone, PartialEq)]
pub struct Argument {
    /// Its name.
    pub name: String,
    /// As written, before `$(…)` are replaced.
    pub default: Option<String>,
    /// The attribute `description`.
    pub description: String,
    /// Its value in this evaluation.
    pub value: String,
}
