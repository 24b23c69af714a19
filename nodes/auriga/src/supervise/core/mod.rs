//! The supervisor's decisions: a state machine that takes what happens to the processes, with the time, and gives what is
//! to be done. It reads no clock and touches no process.

mod life;
mod machine;
mod silence;
#[cfg(test)]
mod tests;
mod types;

pub use machine::{Core, Up};
pub use silence::Activity;
pub use types::{Action, Input, Spec, Todo};
