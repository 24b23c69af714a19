//! The camera node's configuration; `config.toml` documents the keys.

use crate::source;
use auriga_runtime::camera::MAX_SIDE_PX;
use serde::Deserialize;
use std::path::PathBuf;

/// The commented defaults of [`Config`].
pub const DEFAULTS: &str = include_str!("../config.toml");

/// `config.toml` documents the fields.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub device: String,
    pub calibration: PathBuf,
    pub width: u32,
    pub height: u32,
    pub fps: f64,
    pub fourcc: String,
    pub max_age_ms: u64,
}

impl Config {
    /// What is asked of the source. Errors name the field.
    pub fn source_settings(&self) -> anyhow::Result<source::Settings> {
        anyhow::ensure!(
            self.fps == 0.0 || (0.5..=1000.0).contains(&self.fps),
            "fps = {}: expected 0 (the source's own) or 0.5 to 1000",
            self.fps
        );
        anyhow::ensure!(
            self.fourcc.is_empty() || (self.fourcc.len() == 4 && self.fourcc.is_ascii()),
            "fourcc = {:?}: expected four letters such as \"MJPG\" or \"YUYV\", or \"\"",
            self.fourcc
        );
        anyhow::ensure!(
            self.width.max(self.height) <= MAX_SIDE_PX,
            "width, height = {}, {}: expected at most {} pixels",
            self.width,
            self.height,
            MAX_SIDE_PX
        );
        Ok(source::Settings {
            device: source::Device::parse(&self.device),
            width: self.width,
            height: self.height,
            fps: self.fps,
            fourcc: self.fourcc.clone(),
        })
    }
}
