//! The workload table, `launch/workloads.toml`: its rows, the checks it has to pass, and the timing analysis of its safety
//! workloads.

pub mod admission;
mod check;
mod types;

pub use check::TableError;
pub(crate) use types::MICRO;
pub use types::{
    Capacity, Chain, Class, Level, MODES, ModeLimits, ModeTable, Policy, RESOURCES, Workload, WorkloadTable,
};
