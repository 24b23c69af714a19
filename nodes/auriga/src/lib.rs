//! The command line: launch files and their processes.

pub mod launch;
pub mod supervise;
