//! The live shell: a process with one node in it, Zenoh around it and device threads beside it.

mod backoff;
mod device;
mod executor;
mod health;
mod mailbox;
mod scheduling;
mod shell;
pub mod supervision;
pub mod transport;

pub use backoff::Backoff;
pub use device::DeviceSink;
pub use shell::{Shell, init_tracing};
