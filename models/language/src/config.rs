//! `config.json` of a Hugging Face folder, for the Llama, Qwen2 and Qwen3 families.
//!
//! Every field is either used, known to change nothing, or an error by its name: a field that is passed over in silence
//! would be a model that computes something else.

use serde_json::{Map, Value, json};
use std::{fmt, path::Path};

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {path}: {source}")]
    Read { path: String, source: std::io::Error },
    #[error("{path} is not JSON: {source}")]
    Json { path: String, source: serde_json::Error },
    #[error("{path}: {what}")]
    Field { path: String, what: String },
}

/// What the families differ in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Llama,
    /// Biases on query, key and value.
    Qwen2,
    /// RMS norm on each head's query and key.
    Qwen3,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
        })
    }
}

/// How rotary frequencies are stretched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RopeScaling {
    None,
    /// Llama 3: low frequencies are divided by `factor`, high ones kept, those between blended.
    Llama3 {
        factor: f64,
        low_freq_factor: f64,
        high_freq_factor: f64,
        original_positions: f64,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub family: Family,
    pub vocab_size: i64,
    pub hidden_size: i64,
    pub intermediate_size: i64,
    pub layers: usize,
    pub heads: i64,
    pub kv_heads: i64,
    pub head_dim: i64,
    pub max_positions: usize,
    pub rms_norm_eps: f64,
    pub rope_theta: f64,
    pub rope_scaling: RopeScaling,
    /// The output matrix is the embedding.
    pub tied: bool,
    pub qkv_bias: bool,
    pub output_bias: bool,
    /// Tokens that end a text.
    pub eos: Vec<u32>,
}

/// Fields that change nothing about inference.
pub(crate) const HARMLESS: [&str; 17] = [
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "bos_token_id",
    "chunk_size_feed_forward",
    "dtype",
    "id2label",
    "initializer_range",
    "label2id",
    "max_window_layers",
    "output_attentions",
    "output_hidden_states",
    "pad_token_id",
    "problem_type",
    "torch_dtype",
    "transformers_version",
    "use_cache",
];

/// Fields with the only value that is supported.
fn only_supported() -> [(&'static str, Value); 11] {
    [
        ("hidden_act", json!("silu")),
        ("mlp_bias", json!(false)),
        ("use_sliding_window", json!(false)),
        ("sliding_window", Value::Null),
        ("partial_rotary_factor", json!(1.0)),
        ("quantization_config", Value::Null),
        ("pretraining_tp", json!(1)),
        ("is_encoder_decoder", json!(false)),
        ("add_cross_attention", json!(false)),
        ("use_mrope", json!(false)),
        ("return_dict", json!(true)),
    ]
}

/// Reads fields and remembers which were read.
pub(crate) struct Fields<'a> {
    pub map: &'a Map<String, Value>,
    pub read: Vec<&'a str>,
}

impl<'a> Fields<'a> {
    pub fn get(&mut self, name: &'a str) -> Option<&'a Value> {
        self.read.push(name);
        self.map.get(name).filter(|v| !v.is_null())
    }

    pub fn int(&mut self, name: &'a str, low: i64, high: i64) -> Result<Option<i64>, String> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_i64() {
            Some(v) if (low..=high).contains(&v) => Ok(Some(v)),
            _ => Err(format!("`{name}` = {value}: expected a whole number from {low} to {high}")),
        }
    }

    pub fn needed(&mut self, name: &'a str, low: i64, high: i64) -> Result<i64, String> {
        self.int(name, low, high)?.ok_or_else(|| format!("`{name}` is missing"))
    }

    pub fn positive(&mut self, name: &'a str) -> Result<Option<f64>, String> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_f64() {
            Some(v) if v.is_finite() && v > 0.0 => Ok(Some(v)),
            _ => Err(format!("`{name}` = {value}: expected a number above 0")),
        }
    }

    pub fn flag(&mut self, name: &'a str) -> Result<bool, String> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(v)) => Ok(*v),
            Some(other) => Err(format!("`{name}` = {other}: expected true or false")),
        }
    }

    /// The first field that nobody read, with its value.
    pub fn unread(&self) -> Option<(&'a String, &'a Value)> {
        self.map.iter().find(|(name, _)| !self.read.contains(&name.as_str()))
    }
}

impl Config {
    /// From `config.json`.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: name.clone(), source })?;
        Self::parse(&text, &name)
    }

    /// `name`: of the text, for messages.
    pub fn parse(text: &str, name: &str) -> Result<Self, ConfigError> {
        let map: Map<String, Value> =
            serde_json::from_str(text).map_err(|source| ConfigError::Json { path: name.into(), source })?;
        Self::from_map(&map).map_err(|what| ConfigError::Field { path: name.into(), what })
    }

    fn from_map(map: &Map<String, Value>) -> Result<Self, String> {
        let mut f = Fields { map, read: HARMLESS.to_vec() };
        let family = match f.get("model_type").and_then(Value::as_str) {
            Some("llama") => Family::Llama,
            Some("qwen2") => Family::Qwen2,
            Some("qwen3") => Family::Qwen3,
            other => return Err(format!("`model_type` = {other:?}: expected \"llama\", \"qwen2\" or \"qwen3\"")),
        };
        for (name, value) in only_supported() {
            if let Some(found) = f.get(name)
                && *found != value
                && !(found.is_number() && found.as_f64() == value.as_f64())
                // Qwen2 names a window even where `use_sliding_window` is false, which then must be said.
                && !(name == "sliding_window" && map.get("use_sliding_window") == Some(&json!(false)))
            {
                return Err(format!("`{name}` = {found} is not supported: expected {value}"));
            }
        }
        if let Some(types) = f.get("layer_types") {
            let full = types.as_array().is_some_and(|t| t.iter().all(|t| t == "full_attention"));
            if !full {
                return Err(format!("`layer_types` = {types} is not supported: expected \"full_attention\" alone"));
            }
        }
        let hidden_size = f.needed("hidden_size", 1, 1 << 16)?;
        let heads = f.needed("num_attention_heads", 1, 1 << 10)?;
        let kv_heads = f.int("num_key_value_heads", 1, heads)?.unwrap_or(heads);
        let head_dim = match f.int("head_dim", 2, 1 << 10)? {
            Some(dim) => dim,
            None if family == Family::Qwen3 => return Err("`head_dim` is missing, which qwen3 needs".into()),
            None if hidden_size % heads == 0 => hidden_size / heads,
            None => return Err(format!("`hidden_size` = {hidden_size} is not a multiple of {heads} heads")),
        };
        if heads % kv_heads != 0 || head_dim % 2 != 0 {
            return Err(format!(
                "`num_attention_heads` = {heads} must be a multiple of `num_key_value_heads` = {kv_heads}, and `head_dim` \
                 = {head_dim} even"
            ));
        }
        let (rope_theta, rope_scaling) = rope(&mut f)?;
        let biased = f.flag("attention_bias")?;
        let config = Self {
            family,
            vocab_size: f.needed("vocab_size", 1, 1 << 20)?,
            hidden_size,
            intermediate_size: f.needed("intermediate_size", 1, 1 << 18)?,
            layers: f.needed("num_hidden_layers", 1, 1 << 10)? as usize,
            heads,
            kv_heads,
            head_dim,
            max_positions: f.int("max_position_embeddings", 1, 1 << 24)?.unwrap_or(2048) as usize,
            rms_norm_eps: f.positive("rms_norm_eps")?.unwrap_or(1e-6),
            rope_theta,
            rope_scaling,
            tied: f.flag("tie_word_embeddings")?,
            qkv_bias: family == Family::Qwen2 || biased,
            output_bias: family != Family::Qwen2 && biased,
            eos: eos(f.get("eos_token_id"))?,
        };
        match f.unread() {
            Some((name, value)) => {
                Err(format!("`{name}` = {value} is not known; it may change what the model computes"))
            }
            None => Ok(config),
        }
    }

    /// As a Hugging Face `config.json`; weights are said to be `dtype`.
    pub fn to_json(&self, dtype: &str) -> Value {
        let class = match self.family {
            Family::Llama => "LlamaForCausalLM",
            Family::Qwen2 => "Qwen2ForCausalLM",
            Family::Qwen3 => "Qwen3ForCausalLM",
        };
        let mut value = json!({
            "architectures": [class],
            "model_type": self.family.to_string(),
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_dim,
            "max_position_embeddings": self.max_positions,
            "hidden_act": "silu",
            "rms_norm_eps": self.rms_norm_eps,
            "rope_theta": self.rope_theta,
            "tie_word_embeddings": self.tied,
            "eos_token_id": self.eos,
            "torch_dtype": dtype,
        });
        if self.family != Family::Qwen2 {
            value["attention_bias"] = json!(self.qkv_bias);
        }
        if let RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_positions } = self.rope_scaling
        {
            value["rope_scaling"] = json!({
                "rope_type": "llama3",
                "factor": factor,
                "low_freq_factor": low_freq_factor,
                "high_freq_factor": high_freq_factor,
                "original_max_position_embeddings": original_positions as i64,
            });
        }
        value
    }

    /// What a token costs in the cache, in bytes.
    pub fn cache_bytes_per_token(&self) -> usize {
        self.layers * 2 * (self.kv_heads * self.head_dim) as usize * size_of::<f32>()
    }
}

/// Rotary embedding: `rope_theta` and `rope_scaling`, or both in `rope_parameters`.
fn rope(f: &mut Fields<'_>) -> Result<(f64, RopeScaling), String> {
    let outer = f.positive("rope_theta")?;
    let block = match (f.get("rope_parameters"), f.get("rope_scaling")) {
        (Some(_), Some(_)) => return Err("both `rope_parameters` and `rope_scaling` are given".into()),
        (block, other) => block.or(other),
    };
    let Some(block) = block else { return Ok((outer.unwrap_or(10_000.0), RopeScaling::None)) };
    let map = block.as_object().ok_or_else(|| format!("`rope_scaling` = {block}: expected an object"))?;
    let mut s = Fields { map, read: Vec::new() };
    let theta = s.positive("rope_theta")?.or(outer).unwrap_or(10_000.0);
    let kind = s.get("rope_type").or_else(|| s.get("type")).and_then(Value::as_str).unwrap_or("default");
    s.read.push("type");
    let within = |what: String| format!("rope: {what}");
    let scaling = match kind {
        "default" => RopeScaling::None,
        "llama3" => {
            let mut need =
                |name| s.positive(name).and_then(|v| v.ok_or(format!("`{name}` is missing"))).map_err(within);
            let (factor, low, high) = (need("factor")?, need("low_freq_factor")?, need("high_freq_factor")?);
            if high <= low {
                return Err(within(format!("`high_freq_factor` = {high} must be above `low_freq_factor` = {low}")));
            }
            let original_positions = need("original_max_position_embeddings")?;
            RopeScaling::Llama3 { factor, low_freq_factor: low, high_freq_factor: high, original_positions }
        }
        other => return Err(format!("`rope_type` = {other:?} is not supported: expected \"default\" or \"llama3\"")),
    };
    match s.unread() {
        Some((name, value)) => Err(within(format!("`{name}` = {value} is not known to {kind:?}"))),
        None => Ok((theta, scaling)),
    }
}

fn eos(value: Option<&Value>) -> Result<Vec<u32>, String> {
    let token = |v: &Value| v.as_u64().and_then(|v| u32::try_from(v).ok());
    let Some(value) = value else { return Ok(Vec::new()) };
    let tokens = match value {
        Value::Array(all) => all.iter().map(token).collect(),
        one => token(one).map(|t| vec![t]),
    };
    tokens.ok_or_else(|| format!("`eos_token_id` = {value}: expected a token or a list of tokens"))
}
