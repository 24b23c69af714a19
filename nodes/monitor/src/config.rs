//! The monitor's configuration; `config.toml` documents the keys.

use serde::Deserialize;
use std::path::PathBuf;

/// The commented defaults of [`Config`].
pub const DEFAULTS: &str = include_str!("../config.toml");

/// `config.toml` documents the fields.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub drive: PathBuf,
    pub name: String,
    pub vehicle: String,
    pub duration_s: f64,
    pub tail_s: f64,
    pub transcript_track: bool,
}
