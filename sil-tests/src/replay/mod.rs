//! All nodes in one process, fed from files in log time: the same state machines as live, with identical results.
//!
//! [`run`] builds the nodes from their default configuration, plays the files of a drive or a recording as their devices,
//! injects [`faults`], and passes every message to a sink and optionally into a recording.

mod config;
pub mod faults;
mod input;
mod nodes;
mod options;
mod run;
mod stream;

pub(crate) use config::check_node_names;
pub use config::{NODES, Param, find_root};
pub use input::media_duration_s;
pub use options::{Options, Source};
pub use run::{Outcome, drive_of, run, start_of};
