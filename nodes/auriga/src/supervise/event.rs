//! What happens to processes, and how it all ends.

use std::{fmt, time::Duration};

/// What happens while processes run.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Started {
        name: String,
        pid: u32,
    },
    Exited {
        name: String,
        exit: Exit,
        ran: Duration,
    },
    /// It is started again after a time.
    Restarting {
        name: String,
        after: Duration,
        retry: u32,
    },
    /// It ends soon after each start.
    CrashLoop {
        name: String,
        exits: u32,
        last_lines: Vec<String>,
    },
    /// It has used up its restarts.
    GivenUp {
        name: String,
        retries: u32,
    },
    Stopping {
        why: Reason,
    },
    /// It did not end when asked to, and gets a harder signal.
    Escalated {
        name: String,
        signal: &'static str,
    },
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    Signal(i32),
    /// The operating system did not start it.
    NotStarted(String),
}

impl Exit {
    pub fn success(&self) -> bool {
        *self == Exit::Code(0)
    }

    /// As a shell tells it.
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

/// Why everything is stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// By a signal, or by the program this is part of.
    Asked,
    /// A process with `on_exit="shutdown"` has ended.
    Ended { name: String, exit: Exit },
    /// Nothing is left that runs.
    NothingLeft,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Started { name, pid } => write!(f, "{name} started (pid {pid})"),
            Event::Exited { name, exit, ran } => write!(f, "{name} ended: {exit}, after {:.1} s", ran.as_secs_f64()),
            Event::Restarting { name, after, retry } => {
                write!(f, "{name} is started again in {:.1} s (restart {retry})", after.as_secs_f64())
            }
            Event::CrashLoop { name, exits, last_lines } => {
                write!(f, "{name} keeps ending: {exits} times, each soon after its start. Its last lines:")?;
                last_lines.iter().try_for_each(|line| write!(f, "\n    {line}"))
            }
            Event::GivenUp { name, retries } => {
                write!(f, "{name} is not started again: {retries} restarts are used up")
            }
            Event::Stopping { why: Reason::Asked } => f.write_str("stopping"),
            Event::Stopping { why: Reason::NothingLeft } => f.write_str("nothing runs any more"),
            Event::Stopping { why: Reason::Ended { name, exit } } => {
                write!(f, "stopping, because {name} has ended ({exit})")
            }
            Event::Escalated { name, signal } => write!(f, "{name} has not ended yet; sending {signal}"),
        }
    }
}

/// How it all ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub reason: Reason,
    /// The last end of each process, in the order in which the processes were given.
    pub exits: Vec<(String, Exit)>,
    /// Processes that failed by themselves, or did not end before SIGKILL.
    pub failed: Vec<String>,
}

impl Outcome {
    /// The exit code of the whole: that of the process that ended it, or 1 when any process failed.
    pub fn code(&self) -> u8 {
        match &self.reason {
            Reason::Ended { exit, .. } if !exit.success() => exit.code(),
            _ => u8::from(!self.failed.is_empty()),
        }
    }
}
