//! Configuration and weights of a model in a GGUF file, by the names of Hugging Face.
//!
//! llama.cpp stores the rows of queries and keys of the Llama family with the two halves of each head interleaved; here they are
//! put back. Weights in groups of 32 with codes of 4 bits go into the quantized kernels as they are.

use super::{Gguf, GgufError, Value, blocks::GROUP};
use crate::{
    decoder::{
        config::{Config, Family},
        weights::{Weights, WeightsError},
    },
    kernels::{
        linear::Precision,
        quantized::{Bits, Quantized},
    },
};
use serde_json::json;
use std::{collections::BTreeMap, path::Path};
use tch::{Kind, Tensor};

/// Architectures and their families.
const ARCHITECTURES: [(&str, &str); 4] =
    [("llama", "llama"), ("qwen2", "qwen2"), ("qwen3", "qwen3"), ("smollm3", "smollm3")];
/// Keys of an architecture that change what a model computes and are not supported, with the values at which they do not.
const UNSUPPORTED: [(&str, &[f64]); 11] = [
    ("expert_count", &[0.0]),
    ("attn_logit_softcapping", &[0.0]),
    ("final_logit_softcapping", &[0.0]),
    ("logit_scale", &[0.0, 1.0]),
    ("residual_scale", &[0.0, 1.0]),
    ("embedding_scale", &[0.0, 1.0]),
    ("attention.scale", &[0.0]),
    ("attention.clamp_kqv", &[0.0]),
    ("attention.max_alibi_bias", &[0.0]),
    ("rope.scaling.attn_factor", &[0.0, 1.0]),
    ("use_parallel_residual", &[0.0]),
];
/// Names of parts of the model and of a layer.
const PARTS: [(&str, &str); 3] =
    [("token_embd", "model.embed_tokens"), ("output_norm", "model.norm"), ("output", "lm_head")];
const LAYER_PARTS: [(&str, &str); 11] = [
    ("attn_norm", "input_layernorm"),
    ("ffn_norm", "post_attention_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];
/// Divisors of the rotary frequencies, which Llama 3 has.
const FREQUENCIES: &str = "rope_freqs.weight";
/// Of Llama 3.1 and later.
const LOW_FREQUENCY_FACTOR: f64 = 1.0;
const HIGH_FREQUENCY_FACTOR: f64 = 4.0;
const ORIGINAL_POSITIONS: f64 = 8192.0;

/// Reads a model, with its matrices as they are needed for `precision`.
///
/// # Errors
/// A file that is damaged, or something in it that is not supported.
pub fn load(path: &Path, precision: Precision) -> Result<(Config, Weights), GgufError> {
    let mut gguf = Gguf::open(path)?;
    let config = config(&mut gguf)?;
    let mut tensors = BTreeMap::new();
    for name in gguf.names().iter().filter(|name| *name != FREQUENCIES) {
        tensors.extend(tensor(&mut gguf, name, &config, precision)?);
    }
    Ok((config, Weights::from_tensors(tensors, gguf.path())))
}

impl Gguf {
    fn number(&self, key: &str) -> Option<f64> {
        match self.get(key)? {
            Value::Integer(v) => Some(*v as f64),
            Value::Number(v) => Some(*v),
            Value::Flag(v) => Some(f64::from(u8::from(*v))),
            // One for each layer, where all are alike.
            Value::List(all) => match all.first()? {
                Value::Integer(v) if all.iter().all(|other| other == &all[0]) => Some(*v as f64),
                _ => None,
            },
            Value::Text(_) => None,
        }
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        if let Value::Text(text) = self.get(key)? { Some(text) } else { None }
    }

    fn needed(&self, key: &str) -> Result<i64, GgufError> {
        let number = self.number(key).filter(|v| v.fract() == 0.0);
        number.map(|v| v as i64).ok_or_else(|| self.unsupported(format!("`{key}` is missing or no integer")))
    }
}

fn config(gguf: &mut Gguf) -> Result<Config, GgufError> {
    let architecture = gguf.text("general.architecture").unwrap_or("(none)").to_owned();
    let Some((_, family)) = ARCHITECTURES.iter().find(|(name, _)| *name == architecture) else {
        let known = ARCHITECTURES.map(|(name, _)| name).join(", ");
        let what = format!("`general.architecture` = {architecture:?} is not supported: expected one of {known}");
        return Err(gguf.unsupported(what));
    };
    let key = |name: &str| format!("{architecture}.{name}");
    for (name, neutral) in UNSUPPORTED {
        if let Some(found) = gguf.number(&key(name)).filter(|found| !neutral.contains(found)) {
            return Err(gguf.unsupported(format!("`{}` = {found} is not supported", key(name))));
        }
    }
    let (hidden, heads) = (gguf.needed(&key("embedding_length"))?, gguf.needed(&key("attention.head_count"))?);
    let kv_heads = gguf.number(&key("attention.head_count_kv")).map_or(heads, |v| v as i64);
    let rotary = gguf.number(&key("rope.dimension_count"));
    let head_dim = gguf.number(&key("attention.key_length")).or(rotary).map(|v| v as i64);
    let head_dim = head_dim.unwrap_or(hidden / heads.max(1));
    if rotary.is_some_and(|v| v as i64 != head_dim) {
        return Err(gguf.unsupported(format!("`{}` differs from the size of a head", key("rope.dimension_count"))));
    }
    let Some(vocabulary) = gguf.info("token_embd.weight").map(|t| t.shape[0]) else {
        return Err(gguf.unsupported("it has no tensor `token_embd.weight`"));
    };
    let window = gguf.number(&key("attention.sliding_window")).filter(|v| *v > 0.0);
    let family = if *family == "llama" && window.is_some() { "mistral" } else { family };
    let ends = ["eos_token_id", "eot_token_id", "eom_token_id"];
    let mut eos: Vec<i64> =
        ends.iter().filter_map(|n| gguf.number(&format!("tokenizer.ggml.{n}"))).map(|v| v as i64).collect();
    eos.dedup();
    let mut json = json!({
        "model_type": family,
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "intermediate_size": gguf.needed(&key("feed_forward_length"))?,
        "num_hidden_layers": gguf.needed(&key("block_count"))?,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim,
        "max_position_embeddings": gguf.needed(&key("context_length"))?,
        "rms_norm_eps": gguf.number(&key("attention.layer_norm_rms_epsilon")),
        "rope_theta": gguf.number(&key("rope.freq_base")),
        "tie_word_embeddings": gguf.info("output.weight").is_none(),
        "attention_bias": family != "qwen2" && gguf.info("blk.0.attn_q.bias").is_some(),
        "eos_token_id": eos,
        "rope_scaling": scaling(gguf, &key)?,
    });
    match window {
        Some(window) => {
            json["sliding_window"] = json!(window as i64);
            json["use_sliding_window"] = json!(true);
        }
        None => json["sliding_window"] = json!(null),
    }
    Ok(Config::parse(&json.to_string(), gguf.path())?)
}

/// `rope_scaling` of a `config.json`; null without scaling.
fn scaling(gguf: &mut Gguf, key: &impl Fn(&str) -> String) -> Result<serde_json::Value, GgufError> {
    if gguf.info(FREQUENCIES).is_some() {
        return llama3_scaling(gguf);
    }
    let factor = gguf.number(&key("rope.scaling.factor")).or(gguf.number(&key("rope.scale_linear")));
    let factor = factor.filter(|factor| *factor > 0.0 && *factor != 1.0);
    let kind = gguf.text(&key("rope.scaling.type")).unwrap_or(if factor.is_some() { "linear" } else { "none" });
    match (kind, factor) {
        ("none", _) | (_, None) => Ok(json!(null)),
        ("linear", Some(factor)) => Ok(json!({ "rope_type": "linear", "factor": factor })),
        ("yarn", Some(factor)) => {
            let original = gguf.needed(&key("rope.scaling.original_context_length"))?;
            Ok(json!({ "rope_type": "yarn", "factor": factor, "original_max_position_embeddings": original }))
        }
        (other, _) => Err(gguf.unsupported(format!("`{}` = {other:?} is not supported", key("rope.scaling.type")))),
    }
}

/// The scaling of Llama 3 whose divisors are in the file.
fn llama3_scaling(gguf: &mut Gguf) -> Result<serde_json::Value, GgufError> {
    let architecture = gguf.text("general.architecture").unwrap_or_default().to_owned();
    let theta = gguf.number(&format!("{architecture}.rope.freq_base")).unwrap_or(10_000.0);
    let Some(format) = gguf.info(FREQUENCIES).map(|info| info.format) else { return Ok(json!(null)) };
    let divisors = format.dequantize(&gguf.bytes(FREQUENCIES)?);
    let factor = divisors.iter().fold(1.0f32, |largest, v| largest.max(*v)).round();
    let pairs = divisors.len() as f64;
    let expected = |pair: usize| {
        let frequency = theta.powf(-(pair as f64) / pairs);
        let rotations = ORIGINAL_POSITIONS * frequency / std::f64::consts::TAU;
        let keep = (rotations - LOW_FREQUENCY_FACTOR) / (HIGH_FREQUENCY_FACTOR - LOW_FREQUENCY_FACTOR);
        let keep = keep.clamp(0.0, 1.0);
        1.0 / (keep + (1.0 - keep) / f64::from(factor))
    };
    let is_known = divisors.iter().enumerate().all(|(i, v)| (f64::from(*v) / expected(i) - 1.0).abs() < 1e-2);
    if !is_known {
        return Err(
            gguf.unsupported(format!("`{FREQUENCIES}` has other divisors than Llama 3, which is not supported"))
        );
    }
    Ok(json!({
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": LOW_FREQUENCY_FACTOR,
        "high_freq_factor": HIGH_FREQUENCY_FACTOR,
        "original_max_position_embeddings": ORIGINAL_POSITIONS as i64,
    }))
}

/// The name of a tensor in Hugging Face's layout; its own where it is not known.
fn hugging_face_name(name: &str) -> String {
    let (stem, kind) = name.rsplit_once('.').unwrap_or((name, ""));
    if let Some((_, part)) = PARTS.iter().find(|(known, _)| *known == stem) {
        return format!("{part}.{kind}");
    }
    let layer = stem.strip_prefix("blk.").and_then(|rest| rest.split_once('.'));
    let found = layer.and_then(|(number, part)| {
        let (_, name) = LAYER_PARTS.iter().find(|(known, _)| *known == part)?;
        Some(format!("model.layers.{number}.{name}.{kind}"))
    });
    found.unwrap_or_else(|| name.to_owned())
}

/// A tensor by its name in Hugging Face's layout, or the tensors of its codes.
fn tensor(
    gguf: &mut Gguf,
    name: &str,
    config: &Config,
    precision: Precision,
) -> Result<Vec<(String, Tensor)>, GgufError> {
    let bytes = gguf.bytes(name)?;
    let Some(info) = gguf.info(name).cloned() else { return Ok(Vec::new()) };
    let own = hugging_face_name(name);
    let order = row_order(&own, config, info.shape[0]);
    let ordered = |t: Tensor| -> Result<Tensor, WeightsError> {
        Ok(order.as_ref().map_or_else(|| Ok(t.shallow_clone()), |order| t.f_index_select(0, order))?)
    };
    let is_matrix = info.shape.len() == 2 && !own.starts_with("model.embed_tokens");
    let stem = own.strip_suffix(".weight").filter(|_| is_matrix);
    let is_head = own.starts_with("lm_head");
    let torch = |e: tch::TchError| GgufError::Weights(WeightsError::from(e));
    let grouped = info.shape.len() == 2 && info.shape[0] % 16 == 0 && info.shape[1] % GROUP as i64 == 0;
    if let Some(stem) = stem.filter(|_| precision == Precision::Int4 && !is_head && grouped)
        && let Some([codes, scales, zero_points]) = four_bits(&info.shape, info.format, &bytes).map_err(torch)?
    {
        let parts =
            Quantized::Int4 { codes: ordered(codes)?, scales: ordered(scales)?, zero_points: ordered(zero_points)? };
        return parts.into_tensors(stem).map_err(torch);
    }
    let raw = match info.format.half_kind() {
        Some(kind) => Tensor::f_from_data_size(&bytes, &info.shape, kind).map_err(torch)?,
        None => Tensor::f_from_slice(&info.format.dequantize(&bytes))
            .and_then(|t| t.f_view(&info.shape[..]))
            .map_err(torch)?,
    };
    drop(bytes);
    let weight = ordered(raw)?;
    Ok(match (stem, precision) {
        (Some(stem), Precision::Int8 | Precision::Int4) => {
            let bits = if precision == Precision::Int8 || is_head { Bits::Eight } else { Bits::Four };
            let weight = weight.f_to_kind(Kind::Float).map_err(torch)?;
            crate::decoder::weights::check_finite(&own, &weight)?;
            Quantized::new(&weight, bits).and_then(|q| q.into_tensors(stem)).map_err(torch)?
        }
        // A large model does not fit into memory twice in 32 bits.
        (Some(_), Precision::Bf16) => vec![(own, weight.f_to_kind(Kind::BFloat16).map_err(torch)?)],
        _ => vec![(own, weight)],
    })
}

/// Codes, scales and zero points of a matrix of groups with codes of 4 bits; `None` for other formats.
fn four_bits(shape: &[i64], format: super::blocks::Format, bytes: &[u8]) -> Result<Option<[Tensor; 3]>, tch::TchError> {
    let (mut codes, mut scales, mut zero_points) = (Vec::new(), Vec::new(), Vec::new());
    for block in bytes.chunks_exact(format.block_bytes()) {
        let groups = format.groups(block);
        if groups.is_empty() {
            return Ok(None);
        }
        for group in groups {
            codes.extend(group.codes);
            scales.push(group.scale);
            zero_points.push(group.offset + 8.0 * group.scale);
        }
    }
    let groups = [shape[0], shape[1] / GROUP as i64];
    let half = |values: &[f32]| Tensor::f_from_slice(values)?.f_view(&groups[..])?.f_to_kind(Kind::BFloat16);
    Ok(Some([Tensor::f_from_slice(&codes)?.f_view(shape)?, half(&scales)?, half(&zero_points)?]))
}

/// The order in which the rows of queries and keys are put back; `None` where they are in order.
fn row_order(name: &str, config: &Config, rows: i64) -> Option<Tensor> {
    let is_interleaved = matches!(config.family, Family::Llama | Family::Mistral | Family::SmolLm3);
    let is_turned = name.contains("self_attn.q_proj") || name.contains("self_attn.k_proj");
    if !is_interleaved || !is_turned || rows % config.head_dim != 0 {
        return None;
    }
    let half = config.head_dim / 2;
    let row = |r: i64| {
        let (head, within) = (r / config.head_dim, r % config.head_dim);
        // Row i of half s is the s-th of pair i in the file.
        head * config.head_dim + 2 * (within % half) + within / half
    };
    Some(Tensor::from_slice(&(0..rows).map(row).collect::<Vec<i64>>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_hugging_face() {
        for (name, expected) in [
            ("token_embd.weight", "model.embed_tokens.weight"),
            ("output.weight", "lm_head.weight"),
            ("blk.11.attn_q.bias", "model.layers.11.self_attn.q_proj.bias"),
            ("blk.0.ffn_down.weight", "model.layers.0.mlp.down_proj.weight"),
            ("blk.0.ffn_gate_exps.weight", "blk.0.ffn_gate_exps.weight"),
        ] {
            assert_eq!(hugging_face_name(name), expected);
        }
    }
}
