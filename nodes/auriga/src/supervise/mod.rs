//! Runs the processes of a launch: starts them in order, labels and logs their output, restarts those that end, and
//! stops them together.
//!
//! * A process that is restarted waits longer each time, until it has run for a while.
//! * Stopping is SIGINT to each process, then SIGTERM, then SIGKILL to its process group.
//! * When the supervisor dies, the kernel sends SIGTERM to its processes.

mod child;
mod event;
mod log;
mod policy;
mod screen;
mod supervisor;

pub use event::{Event, Exit, Outcome, Reason};
pub use log::LogFolder;
pub use policy::Policy;
pub use screen::Screen;
pub use supervisor::{Settings, Stop, run, stop_on_signals};
