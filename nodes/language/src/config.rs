//! What can be set, checked; `config.toml` documents the fields.

use auriga_lm::kernels::linear::Precision;
use auriga_runtime::config::{ConfigError, check_ranges};
use serde::Deserialize;
use std::{path::PathBuf, time::Duration};

/// The commented defaults of [`Config`].
pub const DEFAULTS: &str = include_str!("../config.toml");

/// See `config.toml`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub checkpoint: PathBuf,
    pub precision: Precision,
    pub encoder: PathBuf,
    pub adapter: PathBuf,
    pub catalogue: PathBuf,
    pub workloads: PathBuf,
    pub state: PathBuf,
    pub state_entries: usize,
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
    pub reply_brief_from_mps: f64,
    pub reply_max_tokens: usize,
    pub reply_max_pause_ms: u64,
    pub connected: Vec<String>,
    pub outcome_within_ms: u64,
    pub habit_prior_weight: f64,
    pub habit_half_life: f64,
    pub habit_lead_s: f64,
}

impl Config {
    /// Whether every value can be worked with.
    pub fn check(&self) -> Result<(), ConfigError> {
        check_ranges(&[
            ("state_entries", self.state_entries as f64, 1.0, 100_000.0, "1 to 100000"),
            ("layers_per_slice", self.layers_per_slice as f64, 1.0, 1e6, "1 or more"),
            ("slice_ms", self.slice_ms, 0.05, 1000.0, "0.05 to 1000"),
            ("queue", self.queue as f64, 1.0, 1000.0, "1 to 1000"),
            ("utterance_max_chars", self.utterance_max_chars as f64, 1.0, 1e6, "1 or more"),
            ("min_confidence", self.min_confidence, 0.0, 1.0, "0 to 1"),
            ("reply_words_calm", self.reply_words_calm as f64, 1.0, 1e4, "1 or more"),
            ("reply_words_busy", self.reply_words_busy as f64, 1.0, 1e4, "1 or more"),
            ("reply_brief_from_mps", self.reply_brief_from_mps, 0.0, 200.0, "0 to 200"),
            ("reply_max_tokens", self.reply_max_tokens as f64, 1.0, 1e5, "1 or more"),
            ("outcome_within_ms", self.outcome_within_ms as f64, 1.0, 600_000.0, "1 to 600000"),
            ("habit_prior_weight", self.habit_prior_weight, 0.0, 1e6, "0 or more"),
            ("habit_half_life", self.habit_half_life, 1.0, 1e9, "1 or more"),
            ("habit_lead_s", self.habit_lead_s, 0.0, 3600.0, "0 to 3600"),
        ])
    }

    /// How long a slice is to be.
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
