//! Frequencies of rotary position embeddings (RoPE), and their scaling for longer contexts.
//!
//! RoPE: arXiv 2104.09864. YaRN: arXiv 2309.00071. The reference is `modeling_rope_utils.py` of Transformers.

use crate::decoder::config::fields::Fields;
use serde_json::{Value, json};
use std::f64::consts::TAU;

/// Scaling of the rotary frequencies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RopeScaling {
    /// No scaling.
    None,
    /// All frequencies are divided by `factor`.
    Linear {
        /// Context length over the original one.
        factor: f64,
    },
    /// Llama 3: low frequencies are divided by `factor`, high ones kept, those between blended.
    Llama3 {
        /// Divisor of the low frequencies.
        factor: f64,
        /// Rotations within the original context below which a frequency is low.
        low_freq_factor: f64,
        /// Rotations within the original context above which a frequency is high.
        high_freq_factor: f64,
        /// Length of the original context in tokens.
        original_positions: f64,
    },
    /// As Llama 3, blended over dimensions instead of rotations; q and k are both multiplied by `attention_factor`.
    Yarn {
        /// Divisor of the low frequencies.
        factor: f64,
        /// Length of the original context in tokens.
        original_positions: f64,
        /// Rotations within the original context above which a frequency is kept.
        beta_fast: f64,
        /// Rotations within the original context below which a frequency is divided.
        beta_slow: f64,
        /// The blend begins and ends at integer dimensions.
        truncate: bool,
        /// Factor on q and k.
        attention_factor: f64,
    },
}

/// Reads `rope_theta` and `rope_scaling`, or both in `rope_parameters`.
pub(crate) fn read(f: &mut Fields<'_>, default_theta: f64) -> Result<(f64, RopeScaling), String> {
    let outer = f.positive("rope_theta")?;
    let block = match (f.get("rope_parameters"), f.get("rope_scaling")) {
        (Some(_), Some(_)) => return Err("both `rope_parameters` and `rope_scaling` are given".into()),
        (block, other) => block.or(other),
    };
    let Some(block) = block else { return Ok((outer.unwrap_or(default_theta), RopeScaling::None)) };
    let map = block.as_object().ok_or_else(|| format!("`rope_scaling` = {block}: expected an object"))?;
    scaling(&mut Fields { map, read: Vec::new() }, outer.unwrap_or(default_theta))
        .map_err(|what| format!("rope: {what}"))
}

fn scaling(s: &mut Fields<'_>, outer: f64) -> Result<(f64, RopeScaling), String> {
    fn need<'a>(s: &mut Fields<'a>, name: &'a str) -> Result<f64, String> {
        s.positive(name)?.ok_or(format!("`{name}` is missing"))
    }
    let theta = s.positive("rope_theta")?.unwrap_or(outer);
    let kind = s.get("rope_type").or_else(|| s.get("type")).and_then(Value::as_str).unwrap_or("default");
    s.read.push("type");
    if s.positive("partial_rotary_factor")?.is_some_and(|v| v != 1.0) {
        return Err("`partial_rotary_factor` is not supported: expected 1".into());
    }
    let scaling = match kind {
        "default" => RopeScaling::None,
        "linear" => RopeScaling::Linear { factor: need(s, "factor")? },
        "llama3" => {
            let factor = need(s, "factor")?;
            let (low, high) = (need(s, "low_freq_factor")?, need(s, "high_freq_factor")?);
            if high <= low {
                return Err(format!("`high_freq_factor` = {high} must be above `low_freq_factor` = {low}"));
            }
            let original_positions = need(s, "original_max_position_embeddings")?;
            RopeScaling::Llama3 { factor, low_freq_factor: low, high_freq_factor: high, original_positions }
        }
        "yarn" => yarn(s, theta)?,
        other => {
            let known = "\"default\", \"linear\", \"llama3\" or \"yarn\"";
            return Err(format!("`rope_type` = {other:?} is not supported: expected {known}"));
        }
    };
    s.read.push("finetuned");
    match s.unread().next() {
        Some((name, value)) => Err(format!("`{name}` = {value} is not known to {kind:?}")),
        None => Ok((theta, scaling)),
    }
}

fn yarn(s: &mut Fields<'_>, theta: f64) -> Result<RopeScaling, String> {
    let need = |v: Option<f64>, name: &str| v.ok_or(format!("`{name}` is missing"));
    let factor = need(s.positive("factor")?, "factor")?;
    let name = "original_max_position_embeddings";
    let original_positions = need(s.positive(name)?, name)?;
    let beta_fast = s.positive("beta_fast")?.unwrap_or(32.0);
    let beta_slow = s.positive("beta_slow")?.unwrap_or(1.0);
    if theta <= 1.0 {
        return Err(format!("`rope_theta` = {theta}: expected a number above 1"));
    }
    let growth = |scale: f64| if factor <= 1.0 { 1.0 } else { 0.1 * scale * factor.ln() + 1.0 };
    let grown = match (s.positive("mscale")?, s.positive("mscale_all_dim")?) {
        (Some(one), Some(all)) => growth(one) / growth(all),
        _ => growth(1.0),
    };
    let attention_factor = s.positive("attention_factor")?.unwrap_or(grown);
    let truncate = s.flag("truncate", true)?;
    Ok(RopeScaling::Yarn { factor, original_positions, beta_fast, beta_slow, truncate, attention_factor })
}

impl RopeScaling {
    /// Radians per position, for each pair of a head's dimensions.
    pub fn frequencies(&self, theta: f64, head_dim: i64) -> Vec<f32> {
        let plain = |i: i64| theta.powf(-((2 * i) as f64) / head_dim as f64);
        (0..head_dim / 2).map(|i| self.scaled(plain(i), i as f64, theta, head_dim as f64) as f32).collect()
    }

    fn scaled(&self, f: f64, pair: f64, theta: f64, head_dim: f64) -> f64 {
        match *self {
            Self::None => f,
            Self::Linear { factor } => f / factor,
            Self::Llama3 { factor, low_freq_factor, high_freq_factor, original_positions } => {
                let rotations = original_positions * f / TAU;
                let keep = ((rotations - low_freq_factor) / (high_freq_factor - low_freq_factor)).clamp(0.0, 1.0);
                f * (keep + (1.0 - keep) / factor)
            }
            Self::Yarn { factor, original_positions, beta_fast, beta_slow, truncate, .. } => {
                // The pair with this many rotations within the original context.
                let pair_of =
                    |rotations: f64| head_dim * (original_positions / (rotations * TAU)).ln() / (2.0 * theta.ln());
                let (low, high) = (pair_of(beta_fast), pair_of(beta_slow));
                let (low, high) = if truncate { (low.floor(), high.ceil()) } else { (low, high) };
                let (low, high) = (low.max(0.0), high.min(head_dim - 1.0));
                let high = if low == high { high + 0.001 } else { high };
                let stretch = ((pair - low) / (high - low)).clamp(0.0, 1.0);
                f * ((1.0 - stretch) + stretch / factor)
            }
        }
    }

    /// The factor on cosines and sines.
    pub fn attention_factor(&self) -> f64 {
        if let Self::Yarn { attention_factor, .. } = *self { attention_factor } else { 1.0 }
    }

    /// As `rope_scaling` of a `config.json`; null without scaling.
    pub(crate) fn to_json(self) -> Value {
        match self {
            Self::None => Value::Null,
            Self::Linear { factor } => json!({ "rope_type": "linear", "factor": factor }),
            Self::Llama3 { factor, low_freq_factor, high_freq_factor, original_positions } => json!({
                "rope_type": "llama3",
                "factor": factor,
                "low_freq_factor": low_freq_factor,
                "high_freq_factor": high_freq_factor,
                "original_max_position_embeddings": original_positions as i64,
            }),
            Self::Yarn { factor, original_positions, beta_fast, beta_slow, truncate, attention_factor } => json!({
                "rope_type": "yarn",
                "factor": factor,
                "original_max_position_embeddings": original_positions as i64,
                "beta_fast": beta_fast,
                "beta_slow": beta_slow,
                "truncate": truncate,
                "attention_factor": attention_factor,
            }),
        }
    }
}
