//! `config.json` of a Hugging Face folder of the BERT family. As with the decoder's ([`crate::decoder::config`]), every field is
//! used, known to have no influence, or an error that names it.

use crate::decoder::config::fields::{self, ConfigError, Fields, Neutral, Unsupported};
use serde_json::{Map, Value};
use std::path::Path;

/// Configuration of an encoder.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderConfig {
    /// Vocabulary size.
    pub vocab_size: i64,
    /// Size of the hidden state.
    pub hidden_size: i64,
    /// Inner size of the MLP.
    pub intermediate_size: i64,
    /// Number of layers.
    pub layers: usize,
    /// Number of attention heads.
    pub heads: i64,
    /// Longest text in tokens.
    pub max_positions: i64,
    /// Number of segment types; the second one marks the scene.
    pub types: i64,
    /// Epsilon of LayerNorm.
    pub layer_norm_eps: f64,
}

/// LoraAdapter those of the decoder: what is for training alone, or for heads that are not read.
const IGNORED: [&str; 7] = [
    "attention_probs_dropout_prob",
    "classifier_dropout",
    "eos_token_id",
    "gradient_checkpointing",
    "hidden_dropout_prob",
    "sep_token_id",
    "tie_word_embeddings",
];

/// Fields with the values that are supported.
const UNSUPPORTED: [Unsupported; 9] = [
    ("model_type", &[Neutral::Text("bert")]),
    ("hidden_act", &[Neutral::Text("gelu")]),
    ("position_embedding_type", &[Neutral::Text("absolute")]),
    ("is_decoder", &[Neutral::Flag(false)]),
    ("is_encoder_decoder", &[Neutral::Flag(false)]),
    ("add_cross_attention", &[Neutral::Flag(false)]),
    ("cross_attention_hidden_size", &[]),
    ("pruned_heads", &[Neutral::Empty]),
    ("quantization_config", &[]),
];

impl EncoderConfig {
    /// Reads a `config.json`.
    ///
    /// # Errors
    /// A file that cannot be read, or a field that is missing, wrong, unknown or not supported.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let (text, name) = fields::read(path)?;
        Self::parse(&text, &name)
    }

    /// Parses the text of a `config.json`; `name` is named in error messages.
    ///
    /// # Errors
    /// As [`EncoderConfig::load`].
    pub fn parse(text: &str, name: &str) -> Result<Self, ConfigError> {
        fields::with_fields(text, name, Self::from_map)
    }

    fn from_map(map: &Map<String, Value>) -> Result<Self, String> {
        let mut f = Fields { map, read: [&fields::IGNORED[..], &IGNORED[..]].concat() };
        if !map.contains_key("model_type") {
            return Err("`model_type` is missing: expected \"bert\"".into());
        }
        f.refuse(&UNSUPPORTED)?;
        let config = Self {
            vocab_size: f.required_int("vocab_size", 1, 1 << 20)?,
            hidden_size: f.required_int("hidden_size", 1, 1 << 16)?,
            intermediate_size: f.required_int("intermediate_size", 1, 1 << 18)?,
            layers: f.required_int("num_hidden_layers", 1, 1 << 10)? as usize,
            heads: f.required_int("num_attention_heads", 1, 1 << 10)?,
            max_positions: f.required_int("max_position_embeddings", 4, 1 << 24)?,
            types: f.int("type_vocab_size", 2, 1 << 10)?.unwrap_or(2),
            layer_norm_eps: f.positive("layer_norm_eps")?.unwrap_or(1e-12),
        };
        if config.hidden_size % config.heads != 0 {
            return Err(format!("`hidden_size` = {} is not a multiple of {} heads", config.hidden_size, config.heads));
        }
        f.check_all_read().map(|()| config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn with(name: &str, value: Value) -> Result<EncoderConfig, String> {
        let mut map = json!({
            "model_type": "bert", "vocab_size": 9, "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2,
            "num_attention_heads": 2, "max_position_embeddings": 32,
        });
        map[name] = value;
        EncoderConfig::parse(&map.to_string(), "c.json").map_err(|e| e.to_string())
    }

    #[test]
    fn unsupported_fields_are_errors_that_name_them() {
        assert_eq!(with("hidden_dropout_prob", json!(0.1)).unwrap().layer_norm_eps, 1e-12);
        for (name, value) in [
            ("model_type", json!("roberta")),
            ("hidden_act", json!("relu")),
            ("position_embedding_type", json!("relative_key")),
            ("is_decoder", json!(true)),
            ("quantization_config", json!({"bits": 8})),
            ("num_hidden_layers", json!(0)),
            ("hidden_size", json!(7)),
            ("embedding_size", json!(64)),
        ] {
            let error = with(name, value).unwrap_err();
            assert!(error.starts_with("c.json: ") && error.contains(name), "{name}: {error}");
        }
    }
}
