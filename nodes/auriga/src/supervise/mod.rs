//! Runs the processes of a launch: starts them in order, labels and logs their output, restarts those that end, and
//! stops them together.
//!
//! * A process that is restarted waits longer each time, until it has run for a while.
//! * Stopping is SIGINT to each process, then SIGTERM, then SIGKILL to its process group.
//! * When the supervisor dies, the kernel sends SIGTERM to its processes.
//! * A node says over a pipe of its own that it is up and that its loop turns ([`auriga_runtime::supervision`]). One that is
//!   silent is killed and restarted: a safety node within 500 ms, others within 2 s. A safety node is restarted for ever, at
//!   least every second.
//! * What a process has started ends with it, also what has left its process group.
//! * systemd and the hardware watchdog are fed while every safety node is alive.
//!
//! What is decided is in `core`, a state machine without processes or clock; `supervisor` carries it out.

mod child;
mod core;
mod event;
mod log;
mod policy;
mod procfs;
mod screen;
mod supervisor;
mod watchdog;

pub use event::{Event, Exit, Outcome, Reason, Stop};
pub use log::LogFolder;
pub use policy::{Limits, Policy};
pub use screen::Screen;
pub use supervisor::{Settings, run, stop_on_signals};
pub use watchdog::{ServiceManager, WatchdogDevice};
