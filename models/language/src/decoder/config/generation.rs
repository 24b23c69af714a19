//! `generation_config.json`: the sampling that the authors of a checkpoint suggest. It is used for replies unless the caller
//! overrides it.
//!
//! As in `config.json`, every field is used, known to have no influence here, or an error that names it.

use crate::decoder::{
    config::fields::{self, ConfigError, Fields, with_fields},
    sample::Sampling,
};
use serde_json::{Map, Value, json};
use std::path::Path;

/// Fields that have no influence on the next token: implementation, additional outputs, parameters of beam search alone, and
/// maximum lengths, which a turn defines itself.
const IGNORED: [&str; 22] = [
    "_from_model_config",
    "assistant_confidence_threshold",
    "cache_config",
    "cache_implementation",
    "compile_config",
    "decoder_start_token_id",
    "disable_compile",
    "early_stopping",
    "is_assistant",
    "length_penalty",
    "max_cache_len",
    "max_length",
    "max_matching_ngram_size",
    "max_new_tokens",
    "max_time",
    "num_assistant_tokens",
    "num_assistant_tokens_schedule",
    "output_logits",
    "output_scores",
    "remove_invalid_values",
    "renormalize_logits",
    "return_dict_in_generate",
];

/// Fields with the only value that is supported.
fn only_supported() -> [(&'static str, Value); 29] {
    [
        ("bad_words_ids", Value::Null),
        ("begin_suppress_tokens", Value::Null),
        ("constraints", Value::Null),
        ("diversity_penalty", json!(0.0)),
        ("dola_layers", Value::Null),
        ("encoder_no_repeat_ngram_size", json!(0)),
        ("encoder_repetition_penalty", json!(1.0)),
        ("epsilon_cutoff", json!(0.0)),
        ("eta_cutoff", json!(0.0)),
        ("exponential_decay_length_penalty", Value::Null),
        ("force_words_ids", Value::Null),
        ("forced_bos_token_id", Value::Null),
        ("forced_eos_token_id", Value::Null),
        ("guidance_scale", json!(1.0)),
        ("min_length", json!(0)),
        ("min_new_tokens", json!(0)),
        ("no_repeat_ngram_size", json!(0)),
        ("num_beam_groups", json!(1)),
        ("num_beams", json!(1)),
        ("num_return_sequences", json!(1)),
        ("penalty_alpha", json!(0.0)),
        ("sequence_bias", Value::Null),
        ("stop_strings", Value::Null),
        ("suppress_tokens", Value::Null),
        ("token_healing", json!(false)),
        ("top_h", Value::Null),
        ("typical_p", json!(1.0)),
        ("use_mtp", json!(false)),
        ("watermarking_config", Value::Null),
    ]
}

/// Default of `top_k` in Transformers when it samples.
const TOP_K: usize = 50;

impl Sampling {
    /// Reads a `generation_config.json`; greedy if there is no such file.
    ///
    /// # Errors
    /// A file that cannot be read, or a field that is wrong, unknown or not supported.
    pub fn suggested(path: &Path) -> Result<Self, ConfigError> {
        match fields::read_optional(path)? {
            Some((text, name)) => with_fields(&text, &name, from_map),
            None => Ok(Self::GREEDY),
        }
    }
}

fn from_map(map: &Map<String, Value>) -> Result<Sampling, String> {
    // End tokens are read by Config::read_generation.
    let mut f = Fields { map, read: [&fields::IGNORED[..], &IGNORED[..], &["eos_token_id"]].concat() };
    f.check_supported(&only_supported())?;
    let sample = f.flag("do_sample", false)?;
    let temperature = f.number("temperature", 0.0, f64::MAX)?.unwrap_or(1.0);
    let sampling = Sampling {
        temperature: if sample { temperature } else { 0.0 },
        top_k: f.int("top_k", 0, 1 << 20)?.map_or(if sample { TOP_K } else { 0 }, |k| k as usize),
        top_p: f.number("top_p", 0.0, 1.0)?.unwrap_or(1.0),
        min_p: f.number("min_p", 0.0, 1.0)?.unwrap_or(0.0),
        repetition_penalty: f.positive("repetition_penalty")?.unwrap_or(1.0),
        seed: 0,
    };
    f.check_all_read().map(|()| sampling)
}
