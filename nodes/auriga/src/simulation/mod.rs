//! What needs the simulation: drives made, replayed, played through all nodes live, and scenarios.

pub mod commands;
pub mod live;
mod progress;
