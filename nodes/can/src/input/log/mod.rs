//! Recordings of a bus: candump's text formats, Vector's ASC, PEAK's TRC and comma-separated values, recognised by their
//! content.
//!
//! * `formats`: lines to frames.
//! * `records`: the lines of a file, of which those without a frame are passed over.
//! * `timeline`: the recording's clock.
//!
//! ```no_run
//! use auriga_runtime::Nanos;
//! for batch in auriga_can::log::frames("can.log", Nanos::ZERO)? {
//!     let (time, frames) = batch?;
//!     println!("{time:?}: {} frames", frames.frames.len());
//! }
//! # Ok::<(), anyhow::Error>(())
//! ```

mod error;
mod formats;
mod frames;
mod notices;
mod options;
mod records;
mod timeline;

pub use error::LogError;
pub use frames::{Frames, frames, frames_with};
pub use notices::Notice;
pub use options::{Names, Options};
