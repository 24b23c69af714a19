//! Recordings of a bus: candump's two text formats and Vector's ASC, recognised by their content.
//!
//! ```no_run
//! use auriga_runtime::Nanos;
//! for batch in auriga_can::log::frames("can.log", Nanos::ZERO)? {
//!     let (time, frames) = batch?;
//!     println!("{time:?}: {} frames", frames.frames.len());
//! }
//! # Ok::<(), anyhow::Error>(())
//! ```

mod asc;
mod candump;
mod format;
mod frames;

pub use frames::{Frames, LogError, frames};
