//! The recorder: every topic of the table to MCAP ([`mcap_file`]).

pub mod mcap_file;
mod node;
pub mod queue;
pub mod recording;

pub use mcap_file::PictureError;
pub use node::{Config, DEFAULTS, Effect, RecorderNode};
