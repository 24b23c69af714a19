//! The monitor node: what a drive tells of itself.
//!
//! It says which drive this is (`drive/info`), plays its ground truth beside it (`drive/truth`, for whoever compares;
//! no node reads it), measures every chain of the table and counts lost messages over all topics (`drive/report`), and
//! ends itself when the drive is over, so that a launch that ends with it ends too. [`drive`] is a drive's form on disk.

mod config;
pub mod drive;
mod losses;
mod node;

pub use config::{Config, DEFAULTS};
pub use node::{Effect, MonitorNode};
