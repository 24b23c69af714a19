//! The workload table, `launch/workloads.toml`: its rows, the checks it has to pass, and the timing analysis of its safety
//! workloads.

pub mod admission;
mod check;
mod error;
mod levels;
mod types;

pub use error::TableError;
pub use types::{
    Activation, Age, Capacity, Chain, Class, EventSource, EventStream, Level, MODES, Measured, ModeLimits, ModeTable,
    Policy, RECEIVED, RESOURCE_NAMES, RESOURCES, SENT, TIMER, Thread, Workload, WorkloadTable,
};
