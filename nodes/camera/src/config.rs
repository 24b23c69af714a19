//! The camera node's configuration; `config.toml` documents the keys.

use crate::source;
use auriga_runtime::{
    camera::MAX_SIDE_PX,
    config::{ConfigError, Range, check_ranges},
};
use serde::Deserialize;
use std::path::PathBuf;

/// The commented defaults of [`Config`].
pub const DEFAULTS: &str = include_str!("../config.toml");

/// `config.toml` documents the fields.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// V4L2 device, video file or GStreamer pipeline; empty: no camera.
    pub device: String,
    /// Path of the `camera.toml`.
    pub calibration: PathBuf,
    /// Pixels across asked of a V4L2 device; 0: its own.
    pub width: u32,
    /// Pixels down asked of a V4L2 device; 0: its own.
    pub height: u32,
    /// Frames per second asked of a V4L2 device, or of a file in place of its own; 0: its own.
    pub fps: f64,
    /// Pixel format asked of a V4L2 device; empty: its own.
    pub fourcc: String,
    /// Age in milliseconds from which a frame is dropped.
    pub max_age_ms: u64,
}

/// Frame rates of cameras, in Hz; 0 leaves the rate to the source.
const FPS: std::ops::RangeInclusive<f64> = 0.5..=1000.0;

impl Config {
    /// The allowed values of its keys.
    pub fn ranges(&self) -> Vec<Range> {
        // 0 stands for the source's own rate.
        let fps = if self.fps == 0.0 { *FPS.start() } else { self.fps };
        vec![
            Range::new("width", self.width, 0.0..=MAX_SIDE_PX.into()).unit("px").note("0: the device's own"),
            Range::new("height", self.height, 0.0..=MAX_SIDE_PX.into()).unit("px").note("0: the device's own"),
            Range::new("fps", fps, FPS).unit("Hz").note("or 0: the source's own"),
            Range::new("max_age_ms", self.max_age_ms, 1.0..=10_000.0),
        ]
    }

    /// Checks that every value is allowed.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<(), ConfigError> {
        check_ranges(&self.ranges())?;
        let fourcc = self.fourcc.is_empty() || (self.fourcc.len() == 4 && self.fourcc.is_ascii());
        if !fourcc {
            return Err(ConfigError {
                field: "fourcc",
                found: format!("{:?}", self.fourcc),
                expected: r#"four letters such as "MJPG" or "YUYV", or """#.into(),
            });
        }
        Ok(())
    }

    /// What is asked of the source.
    ///
    /// # Errors
    /// What [`Self::check`] finds.
    pub fn source_settings(&self) -> Result<source::Settings, ConfigError> {
        self.check()?;
        Ok(source::Settings {
            device: source::Device::parse(&self.device),
            width: self.width,
            height: self.height,
            fps: self.fps,
            fourcc: self.fourcc.clone(),
        })
    }
}
