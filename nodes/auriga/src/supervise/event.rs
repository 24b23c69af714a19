//! What happens to processes, and how it all ends.

use std::{fmt, time::Duration};

/// An event in the life of the supervised processes.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A process was started.
    Started {
        /// Name of the process.
        name: String,
        /// Its process identifier.
        pid: u32,
    },
    /// A process is up: it has said so.
    Up {
        /// Name of the process.
        name: String,
        /// How long its start took.
        after: Duration,
    },
    /// A process is silent for longer than it should be, but is not hung.
    Late {
        /// Name of the process.
        name: String,
        /// For how long.
        silent: Duration,
        /// Why it is not taken for hung.
        why: &'static str,
    },
    /// A process is hung, or does not get ready or closed in time: it is killed.
    Hung {
        /// Name of the process.
        name: String,
        /// In which way.
        why: String,
    },
    /// A safety node is away for so long that the watchdogs are no longer fed.
    SafetyLost {
        /// Name of the process.
        name: String,
    },
    /// All safety nodes are alive again: the watchdogs are fed.
    SafetyBack,
    /// A process ended, or could not be started.
    Exited {
        /// Name of the process.
        name: String,
        /// How it ended.
        exit: Exit,
        /// How long it ran.
        ran: Duration,
    },
    /// A process will be restarted after a delay.
    Restarting {
        /// Name of the process.
        name: String,
        /// The delay.
        after: Duration,
        /// Number of this restart, from 1.
        retry: u32,
    },
    /// A process ended soon after each of its last starts.
    CrashLoop {
        /// Name of the process.
        name: String,
        /// How many times in a row.
        exits: u32,
        /// Its last lines of output.
        last_lines: Vec<String>,
    },
    /// A process has used up its restarts.
    GivenUp {
        /// Name of the process.
        name: String,
        /// How many restarts it had.
        retries: u32,
    },
    /// All processes are being stopped.
    Stopping {
        /// Why.
        why: Reason,
    },
    /// A process did not end in time and gets a stronger signal.
    Escalated {
        /// Name of the process.
        name: String,
        /// SIGTERM or SIGKILL.
        signal: &'static str,
    },
}

/// How urgently all processes have to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Not at all.
    No,
    /// SIGINT, then SIGTERM, then SIGKILL.
    Gracefully,
    /// SIGKILL at once.
    Now,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// The operating system did not start it.
    NotStarted(String),
}

impl Exit {
    /// Whether it ended with exit code 0.
    pub fn success(&self) -> bool {
        *self == Exit::Code(0)
    }

    /// The exit code that a shell reports for it.
    pub fn code(&self) -> u8 {
        match self {
            Exit::Code(code) => u8::try_from(*code).unwrap_or(1),
            Exit::Signal(signal) => 128 + u8::try_from(*signal).unwrap_or(0).min(127),
            Exit::NotStarted(_) => 127,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit code {code}"),
            Exit::Signal(signal) => write!(f, "signal {signal}"),
            Exit::NotStarted(why) => write!(f, "not started: {why}"),
        }
    }
}

/// Why the launch stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A signal, or the program that runs the launch, requested it.
    Requested,
    /// A process with `on_exit="shutdown"` has ended.
    Ended {
        /// Name of the process.
        name: String,
        /// How it ended.
        exit: Exit,
    },
    /// All processes have ended.
    AllEnded,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Started { name, pid } => write!(f, "{name} started (pid {pid})"),
            Event::Up { name, after } => write!(f, "{name} is up after {:.1} s", after.as_secs_f64()),
            Event::Late { name, silent, why } => {
                write!(f, "{name} has been silent for {} ms: {why}", silent.as_millis())
            }
            Event::Hung { name, why } => write!(f, "{name} is hung and is killed: {why}"),
            Event::SafetyLost { name } => {
                write!(f, "{name} is not alive: the watchdogs are no longer fed until every safety node is")
            }
            Event::SafetyBack => f.write_str("every safety node is alive again: the watchdogs are fed"),
            Event::Exited { name, exit, ran } => write!(f, "{name} ended: {exit}, after {:.1} s", ran.as_secs_f64()),
            Event::Restarting { name, after, retry } => {
                write!(f, "{name} is restarted in {:.1} s (restart {retry})", after.as_secs_f64())
            }
            Event::CrashLoop { name, exits, last_lines } => {
                write!(f, "{name} is in a crash loop: {exits} exits in a row, each soon after its start. Last lines:")?;
                last_lines.iter().try_for_each(|line| write!(f, "\n    {line}"))
            }
            Event::GivenUp { name, retries } => {
                write!(f, "{name} is not restarted: all {retries} restarts are used up")
            }
            Event::Stopping { why: Reason::Requested } => f.write_str("stopping"),
            Event::Stopping { why: Reason::AllEnded } => f.write_str("all processes have ended"),
            Event::Stopping { why: Reason::Ended { name, exit } } => {
                write!(f, "stopping: {name} has ended ({exit})")
            }
            Event::Escalated { name, signal } => write!(f, "{name} is still running; sending {signal}"),
        }
    }
}

/// The result of a launch.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Why it stopped.
    pub reason: Reason,
    /// The last exit of each process, in the order of the launch.
    pub exits: Vec<(String, Exit)>,
    /// Processes that failed by themselves, or had to be killed.
    pub failed: Vec<String>,
}

impl Outcome {
    /// The exit code of the launch: that of the process whose end stopped it, or 1 when any process failed.
    pub fn code(&self) -> u8 {
        match &self.reason {
            Reason::Ended { exit, .. } if !exit.success() => exit.code(),
            _ => u8::from(!self.failed.is_empty()),
        }
    }
}
