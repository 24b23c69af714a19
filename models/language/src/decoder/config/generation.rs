//! `generation_config.json`: the sampling that the authors of a checkpoint suggest. It is used for replies unless the caller
//! overrides it.
//!
//! As in `config.json`, fields that would change the choice of tokens and are not supported are errors that name them; other
//! fields that are not known are reported.

use crate::decoder::{
    config::fields::{self, ConfigError, Fields, Neutral::*, Unsupported, with_fields},
    sample::Sampling,
};
use serde_json::{Map, Value};
use std::path::Path;

/// Fields that have no influence on the next token: implementation, additional outputs, parameters of beam search alone, and
/// maximum lengths, which a turn defines itself.
const IGNORED: [&str; 23] = [
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
    "trust_remote_code",
];

/// Fields that change the choice of tokens and are not supported, with the values at which they do not.
const UNSUPPORTED: [Unsupported; 31] = [
    ("bad_words_ids", &[Empty]),
    ("begin_suppress_tokens", &[Empty]),
    ("constraints", &[Empty]),
    ("diversity_penalty", &[Number(0.0)]),
    ("dola_layers", &[Empty]),
    ("encoder_no_repeat_ngram_size", &[Number(0.0)]),
    ("encoder_repetition_penalty", &[Number(1.0)]),
    ("epsilon_cutoff", &[Number(0.0)]),
    ("eta_cutoff", &[Number(0.0)]),
    ("exponential_decay_length_penalty", &[Empty]),
    ("force_words_ids", &[Empty]),
    ("forced_bos_token_id", &[]),
    ("forced_decoder_ids", &[Empty]),
    ("forced_eos_token_id", &[]),
    ("guidance_scale", &[Number(1.0)]),
    ("min_length", &[Number(0.0)]),
    ("min_new_tokens", &[Number(0.0)]),
    ("mirostat", &[Number(0.0), Flag(false)]),
    ("no_repeat_ngram_size", &[Number(0.0)]),
    ("num_beam_groups", &[Number(1.0)]),
    ("num_beams", &[Number(1.0)]),
    ("num_return_sequences", &[Number(1.0)]),
    ("penalty_alpha", &[Number(0.0)]),
    ("sequence_bias", &[Empty]),
    ("stop_strings", &[Empty]),
    ("suppress_tokens", &[Empty]),
    ("token_healing", &[Flag(false)]),
    ("top_h", &[Number(0.0)]),
    ("typical_p", &[Number(1.0)]),
    ("use_mtp", &[Flag(false)]),
    ("watermarking_config", &[Empty]),
];

/// Default of `top_k` in Transformers when it samples.
const TOP_K: usize = 50;

impl Sampling {
    /// Reads a `generation_config.json`; greedy if there is no such file.
    ///
    /// # Errors
    /// A file that cannot be read, or a field that is wrong or not supported.
    pub fn suggested(path: &Path) -> Result<Self, ConfigError> {
        Self::suggested_with_notes(path).map(|(sampling, _)| sampling)
    }

    /// As [`Sampling::suggested`], and the fields that are not known and not used, as they are reported.
    ///
    /// # Errors
    /// As [`Sampling::suggested`].
    pub fn suggested_with_notes(path: &Path) -> Result<(Self, Vec<String>), ConfigError> {
        match fields::read_optional(path)? {
            Some((text, name)) => with_fields(&text, &name, from_map),
            None => Ok((Self::GREEDY, Vec::new())),
        }
    }
}

fn from_map(map: &Map<String, Value>) -> Result<(Sampling, Vec<String>), String> {
    // End tokens are read by Config::read_generation.
    let mut f = Fields { map, read: [&fields::IGNORED[..], &IGNORED[..], &["eos_token_id"]].concat() };
    f.refuse(&UNSUPPORTED)?;
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
    Ok((sampling, f.notes()))
}
