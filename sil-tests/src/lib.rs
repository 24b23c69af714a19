//! Software in the loop: the generator of drives, their replay through all nodes, scenarios, results and reports.
//!
//! * [`generator`] makes a [`drive`] from a script; [`kept`] keeps those that were made.
//! * [`replay`] runs all nodes' state machines on a drive or a recording, with faults put in on purpose.
//! * [`scenario`] says what is played and what must be seen; [`results`] tells it to machines and people.
//! * [`report`] tells of one drive, from its recording. [`observe`] and [`view`] are what all of them look at.

pub mod generator;
pub mod kept;
pub mod observe;
pub mod page;
pub mod replay;
pub mod report;
pub mod results;
pub mod scenario;
pub mod view;

/// The drive's form on disk; the monitor node, which reads it live, owns it.
pub use auriga_monitor::drive;
