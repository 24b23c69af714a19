//! A node's configuration: its own commented defaults, then a file, then single values from the command line or from
//! a ROS 2 launch file, each over the one before ([`load`]). Allowed values are listed and checked as [`Range`]s; a key
//! that was renamed is refused with its new name ([`RENAMED`]).

mod args;
mod load;
mod ranges;
mod renamed;
mod runtime;

pub use args::Args;
pub use load::{effective, load, shipped};
pub(crate) use load::{split, typed};
pub use ranges::{Allowed, ConfigError, Number, Range, check_ranges, unit_of};
pub use renamed::{RENAMED, Renamed, RenamedKey, refuse_renamed};
pub use runtime::{NoConfig, RUNTIME_DEFAULTS, RuntimeConfig};
