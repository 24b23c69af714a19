//! The perception node: the lane's lines from camera frames, in metres.

pub mod ground;
pub mod lanes;
pub mod marking;
pub mod model;
mod node;
pub mod vote;

pub use node::{Config, DEFAULTS, PerceptionNode};
