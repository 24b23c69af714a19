//! What the node is told.

use crate::vad;
use anyhow::ensure;
use serde::Deserialize;
use std::{path::PathBuf, time::Duration};

/// The commented defaults of [`Config`].
pub const DEFAULTS: &str = include_str!("../config.toml");

/// `config.toml` documents the fields.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub device: String,
    pub wav: PathBuf,
    pub model: PathBuf,
    pub transcript: PathBuf,
    pub speak_command: String,
    pub barge_in: bool,
    pub partials: bool,
    pub consent_recording: bool,
    pub voice_threshold: f32,
    pub start_voice_ms: u64,
    pub end_silence_ms: u64,
    pub longest_turn_s: u64,
}

impl Default for Config {
    fn default() -> Self {
        toml::from_str(DEFAULTS).expect("the shipped config.toml is valid: a test loads it")
    }
}

impl Config {
    /// Errors name the field and what it may be.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.device.is_empty() || self.wav.as_os_str().is_empty(),
            "device and wav are both set: give the node one source of audio"
        );
        ensure!(
            (0.05..=0.99).contains(&self.voice_threshold),
            "voice_threshold = {}: expected 0.05 to 0.99",
            self.voice_threshold
        );
        ensure!(
            (16..=1000).contains(&self.start_voice_ms),
            "start_voice_ms = {}: expected 16 to 1000",
            self.start_voice_ms
        );
        ensure!(
            (50..=3000).contains(&self.end_silence_ms),
            "end_silence_ms = {}: expected 50 to 3000",
            self.end_silence_ms
        );
        ensure!(
            (1..=120).contains(&self.longest_turn_s),
            "longest_turn_s = {}: expected 1 to 120",
            self.longest_turn_s
        );
        Ok(())
    }

    pub(crate) fn turns(&self) -> vad::Settings {
        vad::Settings {
            threshold: self.voice_threshold,
            start: Duration::from_millis(self.start_voice_ms),
            end_silence: Duration::from_millis(self.end_silence_ms),
            longest: Duration::from_secs(self.longest_turn_s),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_configuration_is_valid() {
        Config::default().check().unwrap();
    }

    #[test]
    fn a_value_out_of_range_is_named() {
        type Change = fn(&mut Config);
        let wrong: [(Change, &str); 4] = [
            (|c| c.voice_threshold = f32::NAN, "voice_threshold"),
            (|c| c.end_silence_ms = 0, "end_silence_ms"),
            (|c| c.longest_turn_s = 1000, "longest_turn_s"),
            (|c| (c.device, c.wav) = ("default".into(), "a.wav".into()), "wav"),
        ];
        for (change, field) in wrong {
            let mut config = Config::default();
            change(&mut config);
            assert!(config.check().unwrap_err().to_string().contains(field), "{field}");
        }
    }
}
