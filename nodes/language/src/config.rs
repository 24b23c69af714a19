//! What can be set, checked; `config.toml` documents the fields.

use serde::Deserialize;
use std::{path::PathBuf, time::Duration};

/// The commented defaults of [`Config`].
pub const DEFAULTS: &str = include_str!("../config.toml");

/// See `config.toml`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub checkpoint: PathBuf,
    pub catalogue: PathBuf,
    pub workloads: PathBuf,
    pub layers_per_slice: usize,
    pub slice_ms: f64,
    pub measure_slices: bool,
    pub queue: usize,
    pub utterance_max_age_ms: u64,
    pub utterance_max_chars: usize,
    pub scene_max_age_ms: u64,
    pub min_confidence: f64,
    pub reply_words_calm: usize,
    pub reply_words_busy: usize,
    pub reply_max_tokens: usize,
    pub reply_max_pause_ms: u64,
    pub habit_prior_weight: f64,
    pub habit_lead_s: f64,
}

/// A value that cannot be.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("{field} = {found}: expected {expected}")]
pub struct ConfigError {
    pub field: &'static str,
    pub found: String,
    pub expected: &'static str,
}

impl Config {
    /// Whether every value can be worked with.
    pub fn check(&self) -> Result<(), ConfigError> {
        let within = |field, value: f64, low: f64, high: f64, expected| {
            // Not a number is in no range.
            let good = (low..=high).contains(&value);
            if good { Ok(()) } else { Err(ConfigError { field, found: value.to_string(), expected }) }
        };
        within("layers_per_slice", self.layers_per_slice as f64, 1.0, 1e6, "1 or more")?;
        within("slice_ms", self.slice_ms, 0.05, 1000.0, "0.05 to 1000")?;
        within("queue", self.queue as f64, 1.0, 1000.0, "1 to 1000")?;
        within("utterance_max_chars", self.utterance_max_chars as f64, 1.0, 1e6, "1 or more")?;
        within("min_confidence", self.min_confidence, 0.0, 1.0, "0 to 1")?;
        within("reply_words_calm", self.reply_words_calm as f64, 1.0, 1e4, "1 or more")?;
        within("reply_words_busy", self.reply_words_busy as f64, 1.0, 1e4, "1 or more")?;
        within("reply_max_tokens", self.reply_max_tokens as f64, 1.0, 1e5, "1 or more")?;
        within("habit_prior_weight", self.habit_prior_weight, 0.0, 1e6, "0 or more")?;
        within("habit_lead_s", self.habit_lead_s, 0.0, 3600.0, "0 to 3600")
    }

    /// How long a slice of [`Self::layers_per_slice`] layers is taken to be.
    pub fn slice(&self) -> Duration {
        Duration::from_secs_f64(self.slice_ms / 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_defaults_are_valid_and_broken_values_are_named() {
        let config: Config = toml::from_str(DEFAULTS).unwrap();
        config.check().unwrap();
        for broken in [
            Config { slice_ms: f64::NAN, ..config.clone() },
            Config { layers_per_slice: 0, ..config.clone() },
            Config { min_confidence: 1.5, ..config.clone() },
            Config { queue: 0, ..config.clone() },
        ] {
            let e = broken.check().unwrap_err();
            assert!(e.to_string().contains(e.field), "{e}");
        }
        assert!(toml::from_str::<Config>(&format!("{DEFAULTS}\nseed = 1")).is_err());
    }
}
