//! `config.json` of a Hugging Face folder, for the Llama (SmolLM2), Mistral, Qwen2 (Qwen2.5), Qwen3 and SmolLM3 families.
//!
//! Fields that would change what the model computes and are not supported (a list here) are errors that name them. Other
//! fields that are not known, as published files carry them, are reported ([`Config::notes`]) and not used. A field that is
//! missing has the default of its family in Transformers.

pub mod fields;
mod generation;
pub mod rope;

use crate::{
    decoder::config::{
        fields::{ConfigError, Fields, IGNORED, Neutral::*, Unsupported, read, read_optional, with_fields},
        rope::RopeScaling,
    },
    kernels::linear::Precision,
};
use serde_json::{Map, Value, json};
use std::{fmt, path::Path};

/// A family of decoders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Llama and SmolLM2.
    Llama,
    /// Qwen2 and Qwen2.5: biases of query, key and value.
    Qwen2,
    /// Qwen3: RMSNorm of each head's query and key.
    Qwen3,
    /// Mistral: sliding-window attention.
    Mistral,
    /// SmolLM3: some layers without rotary embeddings.
    SmolLm3,
}

impl Family {
    const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::Llama, "llama", "LlamaForCausalLM"),
        (Self::Qwen2, "qwen2", "Qwen2ForCausalLM"),
        (Self::Qwen3, "qwen3", "Qwen3ForCausalLM"),
        (Self::Mistral, "mistral", "MistralForCausalLM"),
        (Self::SmolLm3, "smollm3", "SmolLM3ForCausalLM"),
    ];

    /// `model_type` and class name in Transformers.
    fn names(self) -> (&'static str, &'static str) {
        Self::ALL.iter().find(|(family, ..)| *family == self).map_or(("", ""), |(_, name, class)| (*name, *class))
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.names().0)
    }
}

/// Attention of one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerAttention {
    /// Size of the sliding window in tokens, the token itself included; `None`: full attention.
    pub window: Option<i64>,
    /// Rotary embeddings are applied.
    pub rope: bool,
}

impl LayerAttention {
    /// Full attention with rotary embeddings.
    pub const FULL: Self = Self { window: None, rope: true };
}

/// Configuration of a decoder. Names follow Transformers.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The family.
    pub family: Family,
    /// Vocabulary size.
    pub vocab_size: i64,
    /// Size of the residual stream.
    pub hidden_size: i64,
    /// Inner size of the MLP.
    pub intermediate_size: i64,
    /// Number of layers.
    pub layers: usize,
    /// Number of query heads.
    pub heads: i64,
    /// Number of key-value heads.
    pub kv_heads: i64,
    /// Size of a head.
    pub head_dim: i64,
    /// Length of the context in tokens.
    pub max_positions: usize,
    /// Epsilon of RMSNorm.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Scaling of the rotary frequencies.
    pub rope_scaling: RopeScaling,
    /// Attention of each layer; empty if all are [`LayerAttention::FULL`].
    pub attention: Vec<LayerAttention>,
    /// The output matrix is the embedding.
    pub tied: bool,
    /// Query, key and value have a bias.
    pub qkv_bias: bool,
    /// The attention output has a bias.
    pub output_bias: bool,
    /// Tokens that end a text.
    pub eos: Vec<u32>,
    /// Precision of the matrices in the file, if it is quantised ([`crate::cli::quantize`]).
    pub quantised: Option<Precision>,
    /// Fields of the file that are not known and not used, as they are reported.
    pub notes: Vec<String>,
}

/// Fields of decoders that change what a model computes and are not supported, with the values at which they do not.
const UNSUPPORTED: [Unsupported; 54] = [
    // Activations, norms and biases.
    ("hidden_act", &[Text("silu"), Text("swish")]),
    ("hidden_activation", &[Text("silu"), Text("swish")]),
    ("mlp_bias", &[Flag(false)]),
    ("use_bias", &[Flag(false)]),
    ("lm_head_bias", &[Flag(false)]),
    ("attention_out_bias", &[Flag(false)]),
    ("qk_layernorm", &[Flag(false)]),
    ("use_qk_norm", &[Flag(false)]),
    ("qk_norm", &[Flag(false)]),
    ("rms_norm_add_unit_offset", &[Flag(false)]),
    ("use_post_norm", &[Flag(false)]),
    ("post_norm", &[Flag(false)]),
    // Scales.
    ("attention_multiplier", &[]),
    ("attn_logit_softcapping", &[]),
    ("clip_qkv", &[]),
    ("embedding_multiplier", &[Number(1.0)]),
    ("final_logit_softcapping", &[]),
    ("logit_scale", &[Number(1.0)]),
    ("logits_scaling", &[Number(1.0)]),
    ("query_pre_attn_scalar", &[]),
    ("residual_multiplier", &[Number(1.0)]),
    ("scale_depth", &[]),
    ("scale_emb", &[Number(1.0)]),
    ("scale_embedding", &[Flag(false)]),
    ("scale_attn_by_inverse_layer_idx", &[Flag(false)]),
    ("dim_model_base", &[]),
    ("mup_base_width", &[]),
    // Positions.
    ("alibi", &[Flag(false)]),
    ("partial_rotary_factor", &[Number(1.0)]),
    ("rotary_pct", &[Number(1.0)]),
    ("rotary_dim", &[]),
    ("rope_interleaved", &[Flag(false)]),
    ("rope_ratio", &[Number(1.0)]),
    ("rope_local_base_freq", &[]),
    ("use_mrope", &[Flag(false)]),
    ("use_dynamic_ntk", &[Flag(false)]),
    ("use_logn_attn", &[Flag(false)]),
    // Attention and layers of another kind.
    ("add_cross_attention", &[Flag(false)]),
    ("attention_chunk_size", &[]),
    ("attn_temperature_tuning", &[Flag(false), Number(0.0)]),
    ("is_encoder_decoder", &[Flag(false)]),
    ("kv_lora_rank", &[]),
    ("mlp_only_layers", &[Empty]),
    ("n_routed_experts", &[Number(0.0)]),
    ("num_experts", &[Number(0.0)]),
    ("num_experts_per_tok", &[Number(0.0)]),
    ("num_kv_shared_layers", &[Number(0.0)]),
    ("num_local_experts", &[Number(0.0)]),
    ("parallel_attn", &[Flag(false)]),
    ("q_lora_rank", &[]),
    ("sliding_window_pattern", &[Number(1.0)]),
    ("use_parallel_residual", &[Flag(false)]),
    ("v_head_dim", &[]),
    ("vision_config", &[]),
];

impl Family {
    /// Defaults of Transformers, where families differ: those of fields that are missing.
    fn defaults(self) -> Defaults {
        let (positions, kv_heads, head_dim, window) = match self {
            Self::Llama => (2048, None, None, None),
            Self::Mistral => (4096 * 32, Some(8), None, Some(4096)),
            Self::Qwen2 => (32_768, Some(32), None, Some(4096)),
            Self::Qwen3 => (32_768, Some(32), Some(128), Some(4096)),
            Self::SmolLm3 => (32_768, Some(4), None, None),
        };
        Defaults { positions, kv_heads, head_dim, window }
    }
}

struct Defaults {
    positions: i64,
    /// `None`: as many as query heads.
    kv_heads: Option<i64>,
    /// `None`: the hidden size divided by the heads.
    head_dim: Option<i64>,
    window: Option<i64>,
}

impl Config {
    /// Reads a `config.json`.
    ///
    /// # Errors
    /// A file that cannot be read, or a field that is missing, wrong or not supported.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let (text, name) = read(path)?;
        Self::parse(&text, &name)
    }

    /// Parses the text of a `config.json`; `name` is named in error messages.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, name: &str) -> Result<Self, ConfigError> {
        with_fields(text, name, Self::from_map)
    }

    /// Adds the end tokens of `generation_config.json`, if there is such a file. Its other fields are read by
    /// [`crate::decoder::sample::Sampling::suggested`].
    ///
    /// # Errors
    /// A file that cannot be parsed.
    pub fn read_generation(&mut self, path: &Path) -> Result<(), ConfigError> {
        let Some((text, name)) = read_optional(path)? else { return Ok(()) };
        let more = with_fields(&text, &name, |map| eos(map.get("eos_token_id")))?;
        self.eos.extend(more.iter().filter(|t| !self.eos.contains(t)).copied().collect::<Vec<_>>());
        Ok(())
    }

    fn from_map(map: &Map<String, Value>) -> Result<Self, String> {
        let mut f = Fields { map, read: IGNORED.to_vec() };
        let family = match f.get("model_type") {
            Some(found) => {
                Family::ALL.iter().find(|(_, name, _)| found == name).map(|(family, ..)| *family).ok_or_else(|| {
                    let known: Vec<_> = Family::ALL.iter().map(|(_, name, _)| *name).collect();
                    format!("`model_type` = {found} is not supported: expected one of {}", known.join(", "))
                })?
            }
            None => return Err("`model_type` is missing".into()),
        };
        f.refuse(&UNSUPPORTED)?;
        let defaults = family.defaults();
        let hidden_size = f.required_int("hidden_size", 1, 1 << 16)?;
        let heads = f.required_int("num_attention_heads", 1, 1 << 10)?;
        // Null stands for as many as query heads.
        let missing = f.is_missing("num_key_value_heads");
        let kv_heads = f.int("num_key_value_heads", 1, heads)?;
        let kv_heads = kv_heads.or(defaults.kv_heads.filter(|_| missing)).unwrap_or(heads);
        let head_dim = match f.int("head_dim", 2, 1 << 10)?.or(defaults.head_dim) {
            Some(dim) => dim,
            None if hidden_size % heads == 0 => hidden_size / heads,
            None => return Err(format!("`hidden_size` = {hidden_size} is not a multiple of {heads} heads")),
        };
        if heads % kv_heads != 0 || head_dim % 2 != 0 {
            return Err(format!(
                "`num_attention_heads` = {heads} must be a multiple of `num_key_value_heads` = {kv_heads}, and `head_dim` \
                 = {head_dim} even"
            ));
        }
        let default_theta = if family == Family::SmolLm3 { 2e6 } else { 1e4 };
        let (rope_theta, rope_scaling) = rope::read(&mut f, default_theta)?;
        let biased = f.flag("attention_bias", false)?;
        if biased && family == Family::Mistral {
            return Err("`attention_bias` = true is not supported in mistral: expected false".into());
        }
        let layers = f.required_int("num_hidden_layers", 1, 1 << 10)? as usize;
        let config = Self {
            family,
            vocab_size: f.required_int("vocab_size", 1, 1 << 20)?,
            hidden_size,
            intermediate_size: f.required_int("intermediate_size", 1, 1 << 18)?,
            layers,
            heads,
            kv_heads,
            head_dim,
            max_positions: f.int("max_position_embeddings", 1, 1 << 24)?.unwrap_or(defaults.positions) as usize,
            rms_norm_eps: f.positive("rms_norm_eps")?.unwrap_or(1e-6),
            rope_theta,
            rope_scaling,
            attention: attention(&mut f, family, layers)?,
            tied: f.flag("tie_word_embeddings", family == Family::SmolLm3)?,
            qkv_bias: family == Family::Qwen2 || biased,
            output_bias: family != Family::Qwen2 && biased,
            eos: eos(f.get("eos_token_id"))?,
            quantised: quantised(f.get("quantization_config"))?,
            notes: Vec::new(),
        };
        Ok(Self { notes: f.notes(), ..config })
    }

    /// As a Hugging Face `config.json` with the data type `dtype`.
    pub fn to_json(&self, dtype: &str) -> Value {
        let mut value = json!({
            "architectures": [self.family.names().1],
            "model_type": self.family.names().0,
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
        if ![Family::Qwen2, Family::Mistral].contains(&self.family) {
            value["attention_bias"] = json!(self.qkv_bias);
        }
        if self.rope_scaling != RopeScaling::None {
            value["rope_scaling"] = self.rope_scaling.to_json();
        }
        let kinds = || (0..self.layers).map(|i| self.attention_of(i));
        if let Some(window) = kinds().find_map(|k| k.window) {
            value["sliding_window"] = json!(window);
            if self.family != Family::Mistral {
                value["use_sliding_window"] = json!(true);
                let name = |k: LayerAttention| if k.window.is_some() { SLIDING } else { FULL };
                value["layer_types"] = kinds().map(name).collect();
            }
        }
        if self.family == Family::SmolLm3 {
            value["no_rope_layers"] = kinds().map(|k| i32::from(k.rope)).collect();
        }
        value
    }

    /// Attention of a layer.
    pub fn attention_of(&self, layer: usize) -> LayerAttention {
        self.attention.get(layer).copied().unwrap_or(LayerAttention::FULL)
    }

    /// Size of the sliding window in tokens, if there are layers with one.
    pub fn window(&self) -> Option<i64> {
        self.attention.iter().find_map(|a| a.window)
    }

    /// Values that a token adds to the key-value cache.
    pub fn cache_per_token(&self) -> usize {
        self.layers * 2 * (self.kv_heads * self.head_dim) as usize
    }
}

const FULL: &str = "full_attention";
const SLIDING: &str = "sliding_attention";

/// Only the format of `auriga-lm quantize` is supported.
fn quantised(found: Option<&Value>) -> Result<Option<Precision>, String> {
    let Some(found) = found else { return Ok(None) };
    match (found["quant_method"].as_str(), found["bits"].as_i64()) {
        (Some("auriga"), Some(8)) => Ok(Some(Precision::Int8)),
        (Some("auriga"), Some(4)) => Ok(Some(Precision::Int4)),
        _ => Err(format!(
            "`quantization_config` = {found} is not supported: expected the method \"auriga\" with 8 or 4 bits; quantise \
             the original weights with `auriga-lm quantize`"
        )),
    }
}

/// Which layers have a sliding window and which have rotary embeddings, by the conventions of each family.
fn attention(f: &mut Fields<'_>, family: Family, layers: usize) -> Result<Vec<LayerAttention>, String> {
    let ropes = ropes(f, family, layers)?;
    // Null stands for no window.
    let missing = f.is_missing("sliding_window");
    let given = f.int("sliding_window", 1, 1 << 24)?.or(family.defaults().window.filter(|_| missing));
    let used = match family {
        Family::Mistral => true,
        _ => f.flag("use_sliding_window", false)?,
    };
    let window = match (given, family) {
        (Some(window), Family::Llama) => {
            return Err(format!("`sliding_window` = {window} is not supported in llama: expected null"));
        }
        (None, Family::Llama) if used => return Err("`use_sliding_window` is not supported in llama".into()),
        (window, _) => window.filter(|_| used),
    };
    // The first layers of Qwen have full attention.
    let first = f.int("max_window_layers", 0, 1 << 10)?.unwrap_or(28) as usize;
    let windowed: Vec<bool> = match f.get("layer_types") {
        Some(types) => {
            let kinds = types.as_array().filter(|t| t.len() == layers && t.iter().all(|t| t == FULL || t == SLIDING));
            let wrong = || format!("`layer_types` = {types}: expected {layers} of \"{FULL}\" or \"{SLIDING}\"");
            let kinds: Vec<bool> = kinds.ok_or_else(wrong)?.iter().map(|t| t == SLIDING).collect();
            if window.is_none() && kinds.contains(&true) {
                return Err(format!("`layer_types` names \"{SLIDING}\", but no `sliding_window` is in use"));
            }
            if family == Family::Mistral && kinds.iter().any(|k| *k != window.is_some()) {
                return Err(format!("`layer_types` = {types} is not supported in mistral: all layers are alike"));
            }
            kinds
        }
        None => match family {
            Family::Llama | Family::Mistral => vec![true; layers],
            Family::Qwen2 | Family::Qwen3 => (0..layers).map(|i| i >= first).collect(),
            Family::SmolLm3 => ropes.iter().map(|rope| !rope).collect(),
        },
    };
    let kinds = windowed.into_iter().zip(ropes);
    Ok(kinds.map(|(windowed, rope)| LayerAttention { window: window.filter(|_| windowed), rope }).collect())
}

/// Which layers have rotary embeddings.
fn ropes(f: &mut Fields<'_>, family: Family, layers: usize) -> Result<Vec<bool>, String> {
    if family != Family::SmolLm3 {
        return Ok(vec![true; layers]);
    }
    let interval = f.int("no_rope_layer_interval", 1, 1 << 10)?.unwrap_or(4) as usize;
    let Some(given) = f.get("no_rope_layers") else {
        return Ok((0..layers).map(|i| (i + 1) % interval != 0).collect());
    };
    let flags = given.as_array().filter(|l| l.len() >= layers).and_then(|l| {
        l[..layers].iter().map(|v| v.as_u64().filter(|v| *v < 2).map(|v| v == 1)).collect::<Option<Vec<_>>>()
    });
    flags.ok_or_else(|| format!("`no_rope_layers` = {given}: expected a 0 or a 1 for each of {layers} layers"))
}

fn eos(value: Option<&Value>) -> Result<Vec<u32>, String> {
    let token = |v: &Value| v.as_u64().and_then(|v| u32::try_from(v).ok());
    let Some(value) = value.filter(|v| !v.is_null()) else { return Ok(Vec::new()) };
    let tokens = match value {
        Value::Array(all) => all.iter().map(token).collect(),
        one => token(one).map(|t| vec![t]),
    };
    tokens.ok_or_else(|| format!("`eos_token_id` = {value}: expected a token or a list of tokens"))
}
