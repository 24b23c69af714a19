//! All nodes in one process, fed from files in log time: the same state machines as live, the same bytes every time.
//!
//! [`run`] builds the nodes from their defaults, opens the drive's files or a recording as their devices, injects
//! [`faults`] and hands every message to a sink, and into a recording if one is asked for.

mod config;
pub mod faults;
mod input;
mod nodes;
mod options;
mod run;
mod stream;

pub(crate) use config::check_node_names;
pub use config::{NODES, Param, find_root};
pub(crate) use input::start_of_recording;
pub use options::{Options, Source};
pub use run::{Outcome, drive_of, run, start_of};
