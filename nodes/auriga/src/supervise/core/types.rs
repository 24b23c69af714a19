//! What goes into the state machine and what comes out of it.

use super::silence::Activity;
use crate::{
    launch::{Process, Respawn},
    supervise::event::{Event, Exit},
};
use auriga_msgs::NodeSpec;
use auriga_runtime::supervision::Message;
use std::time::Duration;

/// Something that happened to the process of this index.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// It was started.
    Started {
        /// Its process identifier.
        pid: u32,
    },
    /// It ended, or could not be started.
    Exited(Exit),
    /// It said this over its pipe.
    Said(Message),
    /// What it does, as asked for with [`Action::Look`].
    Seen(Activity),
}

/// Something to do with the process of this index.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Start it.
    Start {
        /// How often it was restarted.
        restarts: u32,
        /// How the process before ended; empty at first.
        reason: String,
    },
    /// Send it this signal.
    Signal(i32),
    /// Send SIGKILL to it and to all that it has started.
    Kill,
    /// See what it does.
    Look,
}

/// What to do, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Todo {
    /// With the process of this index.
    Process(usize, Action),
    /// Publish an event: of the process of this index, or of all.
    Report(Option<usize>, Event),
}

/// What the supervisor must know of a process to decide.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Unique in the launch.
    pub name: String,
    /// The node of the topic table that it is; `None`: another program, which is supervised only if it says something over
    /// its pipe.
    pub node: Option<NodeSpec>,
    /// Whether it is restarted when it ends.
    pub respawn: Respawn,
    /// Its end shuts down the launch.
    pub shutdown_on_exit: bool,
    /// It starts this long after the launch.
    pub start_after: Duration,
}

impl From<&Process> for Spec {
    fn from(process: &Process) -> Self {
        Self {
            name: process.name.clone(),
            node: process.table_node.copied(),
            respawn: process.respawn,
            shutdown_on_exit: process.shutdown_on_exit,
            start_after: process.start_after,
        }
    }
}
