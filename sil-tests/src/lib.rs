//! Software in the loop: the generator of drives, their replay through all nodes, scenarios, results and reports.
//!
//! * [`generator`] makes a [`drive`] from a script.
//! * [`replay`] runs all nodes' state machines on a drive or a recording, with faults put in on purpose.
//! * [`analysis`] is what a run was like, from its messages, and beside it the ground truth.
//! * [`scenario`] says what is played and what must be seen.
//! * [`report`] tells of a drive and of scenarios, to people and to machines.

pub mod analysis;
pub mod generator;
pub mod replay;
pub mod report;
pub mod scenario;

/// The drive's form on disk; the monitor node, which reads it live, owns it.
pub use auriga_monitor::drive;
