//! The configuration.

use anyhow::ensure;
use auriga_runtime::config::{Range, check_ranges};
use serde::Deserialize;
use std::path::PathBuf;

/// The commented defaults of [`Config`].
pub const DEFAULTS: &str = include_str!("../config.toml");

/// The configuration; `config.toml` describes each field with its range.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The recording; if the file exists, a number is added to the name.
    pub path: PathBuf,
    /// Whether existing files are replaced instead.
    pub overwrite: bool,
    /// Size in MiB at which the recording is continued in a new file; 0: one file.
    pub max_file_mib: u64,
    /// Whether to wait for the disk after each chunk.
    pub sync: bool,
    /// JPEG quality of camera images.
    pub jpeg_quality: u8,
    /// Whether private topics are recorded.
    pub record_private: bool,
    /// Whether images are recorded when no arbiter has published grants.
    pub images_without_grant: bool,
    /// Memory in MiB for images that come while none may be recorded; 0: they are left out.
    pub held_images_mib: usize,
    /// Most messages that wait for the disk.
    pub queue_messages: usize,
    /// Most images that wait for the disk.
    pub queue_images: usize,
}

impl Config {
    /// The allowed values of its keys.
    pub fn ranges(&self) -> Vec<Range> {
        vec![
            Range::new("max_file_mib", self.max_file_mib, 0.0..=1_000_000.0).note("0: one file"),
            Range::new("jpeg_quality", self.jpeg_quality, 1.0..=100.0),
            Range::new("held_images_mib", self.held_images_mib, 0.0..=16_384.0).note("0: none"),
            Range::new("queue_messages", self.queue_messages, 1.0..=1_000_000.0),
            Range::new("queue_images", self.queue_images, 1.0..=1_000_000.0),
        ]
    }

    /// Checks the configuration.
    ///
    /// # Errors
    /// When the path is empty or a value is out of its range, naming the field.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.path.as_os_str().is_empty(), "path = \"\": expected the file to record to");
        Ok(check_ranges(&self.ranges())?)
    }
}
