//! The integration tests, in one executable: each more would be linked with all dependencies once more.

mod actuation;
mod admission;
mod common;
mod decisions;
mod planner;
mod predictive;
mod simulator;
