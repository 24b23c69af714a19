//! The configuration.

use crate::ground::Region;
use auriga_runtime::config::{ConfigError, Range, check_ranges, shipped};
use serde::Deserialize;

/// The commented defaults of [`Config`].
pub const DEFAULTS: &str = include_str!("../config.toml");

/// The configuration; `config.toml` describes each field with its range.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the observed road begins, in metres ahead of the camera.
    pub near_m: f64,
    /// Where the observed road ends, in metres ahead of the camera.
    pub far_m: f64,
    /// Width of the observed road to each side, in metres.
    pub half_width_m: f64,
}

impl Default for Config {
    fn default() -> Self {
        shipped(DEFAULTS)
    }
}

impl Config {
    /// The allowed values of its keys.
    pub fn ranges(&self) -> Vec<Range> {
        vec![
            Range::new("near_m", self.near_m, 1.0..=30.0),
            Range::new("far_m", self.far_m, self.near_m + 10.0..=self.near_m + 60.0).note("10 to 60 m beyond near_m"),
            Range::new("half_width_m", self.half_width_m, 3.0..=15.0),
        ]
    }

    /// The observed part of the road.
    ///
    /// # Errors
    /// When a value is out of its range, naming the key.
    pub fn region(&self) -> Result<Region, ConfigError> {
        check_ranges(&self.ranges())?;
        Ok(Region { near_m: self.near_m, far_m: self.far_m, half_width_m: self.half_width_m })
    }
}
