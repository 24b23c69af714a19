//! Recordings of a bus.

mod asc;
mod candump;
mod frames;

pub use frames::{Frames, LogError, frames};
