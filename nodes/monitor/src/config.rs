//! The monitor's configuration; `config.toml` documents the keys.

use auriga_runtime::config::{ConfigError, Range, check_ranges};
use serde::Deserialize;
use std::path::PathBuf;

/// The commented defaults of [`Config`].
pub const DEFAULTS: &str = include_str!("../config.toml");

/// Longest drive: a day.
const LONGEST_S: f64 = 86_400.0;

/// `config.toml` documents the fields.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Folder of the drive that is played; empty: none.
    pub drive: PathBuf,
    /// Name of the drive; empty: the drive's own.
    pub name: String,
    /// Folder of the vehicle in `calibration/`; empty: the drive's own.
    pub vehicle: String,
    /// How long the drive is, in seconds; 0: the drive's own duration.
    pub duration_s: f64,
    /// Time from the end of the drive to the end of the node, in seconds.
    pub tail_s: f64,
    /// Utterances come from the drive's transcript track.
    pub transcript_track: bool,
}

impl Config {
    /// The allowed values of its keys.
    pub fn ranges(&self) -> Vec<Range> {
        vec![
            Range::new("duration_s", self.duration_s, 0.0..=LONGEST_S).note("0: the drive's own"),
            Range::new("tail_s", self.tail_s, 0.0..=LONGEST_S),
        ]
    }

    /// Checks that every value is allowed.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<(), ConfigError> {
        check_ranges(&self.ranges())
    }
}
