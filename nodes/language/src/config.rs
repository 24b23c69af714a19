//! The configuration and its ranges; `config.toml` documents the keys.

use crate::{
    habits::predictor::PredictorConfig,
    reply::{draft::max_words, verbosity::Verbosity},
};
use auriga_lm::kernels::linear::Precision;
use auriga_runtime::config::{ConfigError, Range, check_ranges};
use serde::Deserialize;
use std::{path::PathBuf, time::Duration};

/// The commented defaults of [`Config`].
pub const DEFAULTS: &str = include_str!("../config.toml");

/// The configuration; `config.toml` explains each key.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Folder of the language model.
    pub checkpoint: PathBuf,
    /// Number format of its weights.
    pub precision: Precision,
    /// Folder of the base model of the encoder; empty: no encoder.
    pub encoder: PathBuf,
    /// Folder of the adapter of the encoder.
    pub adapter: PathBuf,
    /// File of the intent catalogue.
    pub catalogue: PathBuf,
    /// File of the workload table.
    pub workloads: PathBuf,
    /// Folder of the usage history; empty: not stored.
    pub state: PathBuf,
    /// Length of the usage history, in requests.
    pub state_entries: usize,
    /// Layers per slice where slices are not measured.
    pub layers_per_slice: usize,
    /// Target length of a slice, in milliseconds.
    pub slice_ms: f64,
    /// Whether the executable measures slices.
    pub measure_slices: bool,
    /// Number of utterances and of answers that can wait.
    pub queue: usize,
    /// Age from which on an utterance is not answered, in milliseconds.
    pub utterance_max_age_ms: u64,
    /// Longest accepted utterance, in characters.
    pub utterance_max_chars: usize,
    /// Age from which on values of the scene are unknown, in milliseconds.
    pub scene_max_age_ms: u64,
    /// Confidence below which an utterance counts as not meant for the car, 0 to 1.
    pub min_confidence: f64,
    /// Longest reply at a driving load of 0, in words.
    pub reply_max_words_low_load: usize,
    /// Longest reply at a driving load of 1, in words.
    pub reply_max_words_high_load: usize,
    /// Speed from which on replies are short, in metres per second.
    pub reply_brief_from_mps: f64,
    /// Longest reply, in tokens.
    pub reply_max_tokens: usize,
    /// How long an answer may be delayed, in milliseconds.
    pub reply_max_pause_ms: u64,
    /// Tools that are present in this vehicle.
    pub connected_tools: Vec<String>,
    /// Time within which a tool has to answer, in milliseconds.
    pub outcome_timeout_ms: u64,
    /// Weight of a row of `habits.toml`, in requests.
    pub habit_prior_weight: f64,
    /// Half-life of an observed request, in requests.
    pub habit_half_life: f64,
    /// Lead time, in seconds.
    pub habit_lead_s: f64,
}

impl Config {
    /// The limit of a reply in words. `load`: the driving load of the scene.
    pub(crate) fn reply_max_words(&self, verbosity: Verbosity, load: Option<f64>) -> usize {
        let (low, high) = (self.reply_max_words_low_load, self.reply_max_words_high_load);
        if verbosity == Verbosity::Full { max_words(load, low, high) } else { high }
    }

    /// The allowed values of its keys.
    pub fn ranges(&self) -> Vec<Range> {
        vec![
            Range::new("state_entries", self.state_entries, 1.0..=100_000.0).unit("requests"),
            Range::new("slice_ms", self.slice_ms, 0.05..=1000.0),
            Range::new("layers_per_slice", self.layers_per_slice, 1.0..=1e6).unit("layers"),
            Range::new("queue", self.queue, 1.0..=1000.0),
            Range::new("utterance_max_age_ms", self.utterance_max_age_ms, 0.0..=f64::MAX),
            Range::new("utterance_max_chars", self.utterance_max_chars, 1.0..=1e6).unit("characters"),
            Range::new("scene_max_age_ms", self.scene_max_age_ms, 0.0..=f64::MAX),
            Range::new("min_confidence", self.min_confidence, 0.0..=1.0),
            Range::new("reply_max_words_low_load", self.reply_max_words_low_load, 1.0..=1e4).unit("words"),
            Range::new("reply_max_words_high_load", self.reply_max_words_high_load, 1.0..=1e4).unit("words"),
            Range::new("reply_brief_from_mps", self.reply_brief_from_mps, 0.0..=200.0),
            Range::new("reply_max_tokens", self.reply_max_tokens, 1.0..=1e5).unit("tokens"),
            Range::new("reply_max_pause_ms", self.reply_max_pause_ms, 0.0..=f64::MAX),
            Range::new("outcome_timeout_ms", self.outcome_timeout_ms, 1.0..=600_000.0),
            Range::new("habit_prior_weight", self.habit_prior_weight, 0.0..=1e6).unit("requests"),
            Range::new("habit_half_life", self.habit_half_life, 1.0..=1e9).unit("requests"),
            Range::new("habit_lead_s", self.habit_lead_s, 0.0..=3600.0),
        ]
    }

    /// Checks every value against its range.
    ///
    /// # Errors
    /// The first key that is out of its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        check_ranges(&self.ranges())
    }

    /// Target length of a slice.
    pub fn slice(&self) -> Duration {
        Duration::from_secs_f64(self.slice_ms / 1e3)
    }

    /// The same with as many layers per slice as fit into `slice_ms` at this cost of a layer: the size at the start,
    /// until slices have been measured.
    pub fn with_layer_cost(&self, layer: Duration) -> Config {
        let layers = (self.slice().as_nanos() / layer.as_nanos().max(1)).clamp(1, 1024) as usize;
        Config { layers_per_slice: layers, ..self.clone() }
    }

    /// The parameters of the predictor.
    pub fn predictor(&self) -> PredictorConfig {
        PredictorConfig {
            prior_weight: self.habit_prior_weight,
            half_life: self.habit_half_life,
            lead_s: self.habit_lead_s as u32,
        }
    }

    pub(crate) fn utterance_max_age(&self) -> Duration {
        Duration::from_millis(self.utterance_max_age_ms)
    }

    pub(crate) fn scene_max_age(&self) -> Duration {
        Duration::from_millis(self.scene_max_age_ms)
    }

    pub(crate) fn reply_max_pause(&self) -> Duration {
        Duration::from_millis(self.reply_max_pause_ms)
    }

    pub(crate) fn outcome_timeout(&self) -> Duration {
        Duration::from_millis(self.outcome_timeout_ms)
    }

    pub(crate) fn habit_lead(&self) -> Duration {
        Duration::try_from_secs_f64(self.habit_lead_s).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_per_slice_follow_from_the_cost_of_a_layer() {
        let config: Config = toml::from_str(DEFAULTS).unwrap();
        let layers = |us| config.with_layer_cost(Duration::from_micros(us)).layers_per_slice;
        assert_eq!([layers(250), layers(9000), layers(0)], [8, 1, 1024]);
    }

    #[test]
    fn the_shipped_defaults_are_valid_and_errors_name_the_field() {
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
