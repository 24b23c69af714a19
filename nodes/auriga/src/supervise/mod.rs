//! Runs the processes of a launch: starts them in order, labels and logs what they write, starts again what died,
//! and stops them all together.
//!
//! * A process that has to be started again waits longer each time, until it has run well for a while.
//! * Stopping is SIGINT to each process, then SIGTERM, then SIGKILL to it and all it started.
//! * Should this process die, the kernel sends SIGTERM to its processes: they close their files and end.

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
