//! A decoder of the Llama family (Llama 2 and 3, Qwen2, Qwen3), in the order of its equations.
//!
//! x is the residual stream, [batch, time, hidden]. Each layer adds to it twice:
//!
//! ```text
//! x += W_o · softmax(q·kᵀ / √d + causal) · v      q, k, v from RMSNorm(x), q and k turned by RoPE
//! x += W_down · (silu(W_gate · h) ⊙ W_up · h)     h = RMSNorm(x)
//! ```
//!
//! RMSNorm: arXiv 1910.07467. RoPE: arXiv 2104.09864. SwiGLU: arXiv 2002.05202. Grouped queries: arXiv 2305.13245. The
//! reference for every detail is `modeling_llama.py`, `modeling_qwen2.py` and `modeling_qwen3.py` of Transformers.

use crate::{
    cache::LayerCache,
    config::{Config, ConfigError, Family, RopeScaling},
    weights::{Weights, WeightsError},
};
use std::{f64::consts::TAU, path::Path};
use tch::{Kind, Tensor};

#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    fn load(w: &mut Weights, name: &str, shape: [i64; 2], biased: bool) -> Result<Self, WeightsError> {
        let weight = w.take(&format!("{name}.weight"), &shape)?;
        let bias = if biased { Some(w.take(&format!("{name}.bias"), &shape[..1])?) } else { None };
        Ok(Self { weight, bias })
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        x.linear(&self.weight, self.bias.as_ref())
    }
}

struct RmsNorm {
    weight: Tensor,
    eps: f64,
}

impl RmsNorm {
    fn load(w: &mut Weights, name: &str, size: i64, eps: f64) -> Result<Self, WeightsError> {
        Ok(Self { weight: w.take(&format!("{name}.weight"), &[size])?, eps })
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        x.rms_norm(self.weight.size(), Some(&self.weight), self.eps)
    }
}

/// What depends only on the positions of a run of tokens: made once for all layers.
pub struct Positions {
    /// Where the run begins.
    start: i64,
    cos: Tensor,
    sin: Tensor,
    /// [time, start + time], true where a token may look; `None` when one token looks at all before it, or the run begins
    /// at 0 and the kernel's own causal mask serves.
    mask: Option<Tensor>,
}

struct Attention {
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    /// Qwen3.
    q_norm: Option<RmsNorm>,
    k_norm: Option<RmsNorm>,
    heads: i64,
    kv_heads: i64,
    head_dim: i64,
}

impl Attention {
    fn load(w: &mut Weights, name: &str, c: &Config) -> Result<Self, WeightsError> {
        let (q_size, kv_size) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
        let norm = |w: &mut Weights, which: &str| {
            (c.family == Family::Qwen3)
                .then(|| RmsNorm::load(w, &format!("{name}.{which}"), c.head_dim, c.rms_norm_eps))
                .transpose()
        };
        Ok(Self {
            q: Linear::load(w, &format!("{name}.q_proj"), [q_size, c.hidden_size], c.qkv_bias)?,
            k: Linear::load(w, &format!("{name}.k_proj"), [kv_size, c.hidden_size], c.qkv_bias)?,
            v: Linear::load(w, &format!("{name}.v_proj"), [kv_size, c.hidden_size], c.qkv_bias)?,
            o: Linear::load(w, &format!("{name}.o_proj"), [c.hidden_size, q_size], c.output_bias)?,
            q_norm: norm(w, "q_norm")?,
            k_norm: norm(w, "k_norm")?,
            heads: c.heads,
            kv_heads: c.kv_heads,
            head_dim: c.head_dim,
        })
    }

    fn forward(&self, x: &Tensor, at: &Positions, cache: Option<&mut LayerCache>) -> Tensor {
        let (batch, time) = (x.size()[0], x.size()[1]);
        let split = |x: Tensor, heads: i64, norm: &Option<RmsNorm>| {
            let x = x.view([batch, time, heads, self.head_dim]);
            let x = if let Some(norm) = norm { norm.forward(&x) } else { x };
            x.transpose(1, 2)
        };
        let q = rotate(&split(self.q.forward(x), self.heads, &self.q_norm), at);
        let k = rotate(&split(self.k.forward(x), self.kv_heads, &self.k_norm), at);
        let v = split(self.v.forward(x), self.kv_heads, &None);
        let (k, v) = match cache {
            Some(cache) => cache.extend(at.start, &k, &v),
            None => (k, v),
        };
        let causal = at.mask.is_none() && time > 1;
        let gqa = self.heads != self.kv_heads;
        let y = Tensor::scaled_dot_product_attention(&q, &k, &v, at.mask.as_ref(), 0.0, causal, None, gqa);
        self.o.forward(&y.transpose(1, 2).reshape([batch, time, self.heads * self.head_dim]))
    }
}

/// RoPE in the half-split layout: (a, b) → (a·cos − b·sin, b·cos + a·sin).
fn rotate(x: &Tensor, at: &Positions) -> Tensor {
    let halves = x.chunk(2, -1);
    let turned = Tensor::cat(&[halves[1].neg(), halves[0].shallow_clone()], -1);
    x * &at.cos + turned * &at.sin
}

struct Mlp {
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl Mlp {
    fn load(w: &mut Weights, name: &str, c: &Config) -> Result<Self, WeightsError> {
        let (outer, inner) = (c.hidden_size, c.intermediate_size);
        Ok(Self {
            gate: Linear::load(w, &format!("{name}.gate_proj"), [inner, outer], false)?,
            up: Linear::load(w, &format!("{name}.up_proj"), [inner, outer], false)?,
            down: Linear::load(w, &format!("{name}.down_proj"), [outer, inner], false)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        self.down.forward(&(self.gate.forward(x).silu() * self.up.forward(x)))
    }
}

struct Layer {
    attention_norm: RmsNorm,
    attention: Attention,
    mlp_norm: RmsNorm,
    mlp: Mlp,
}

/// The model: weights and nothing that changes while it runs.
pub struct Model {
    config: Config,
    embedding: Tensor,
    layers: Vec<Layer>,
    norm: RmsNorm,
    /// The embedding again where they are tied.
    head: Tensor,
    /// Of RoPE, one for each pair of a head's dimensions.
    frequencies: Tensor,
}

impl Model {
    /// From a Hugging Face folder.
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        let config = Config::load(&folder.join("config.json"))?;
        Ok(Self::from_weights(config, Weights::load(folder)?)?)
    }

    /// From tensors by their Hugging Face names; all of them must be used.
    pub fn from_weights(config: Config, mut weights: Weights) -> Result<Self, WeightsError> {
        let (c, w) = (&config, &mut weights);
        let embedding = w.take("model.embed_tokens.weight", &[c.vocab_size, c.hidden_size])?;
        let layer = |i| -> Result<Layer, WeightsError> {
            let name = format!("model.layers.{i}");
            // Old files carry the frequencies; they are computed here.
            w.discard(&format!("{name}.self_attn.rotary_emb.inv_freq"));
            Ok(Layer {
                attention_norm: RmsNorm::load(w, &format!("{name}.input_layernorm"), c.hidden_size, c.rms_norm_eps)?,
                attention: Attention::load(w, &format!("{name}.self_attn"), c)?,
                mlp_norm: RmsNorm::load(w, &format!("{name}.post_attention_layernorm"), c.hidden_size, c.rms_norm_eps)?,
                mlp: Mlp::load(w, &format!("{name}.mlp"), c)?,
            })
        };
        let layers = (0..c.layers).map(layer).collect::<Result<_, _>>()?;
        let norm = RmsNorm::load(w, "model.norm", c.hidden_size, c.rms_norm_eps)?;
        let head = if c.tied {
            w.discard("lm_head.weight");
            embedding.shallow_clone()
        } else {
            w.take("lm_head.weight", &[c.vocab_size, c.hidden_size])?
        };
        weights.finish()?;
        let frequencies = Tensor::f_from_slice(&frequencies(&config))?;
        Ok(Self { config, embedding, layers, norm, head, frequencies })
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What depends on where a run of `time` tokens lies: it begins after `start` tokens.
    pub fn positions(&self, start: i64, time: i64) -> Positions {
        let options = (Kind::Float, self.frequencies.device());
        let angles = Tensor::arange_start(start, start + time, options).unsqueeze(1) * &self.frequencies;
        let angles = Tensor::cat(&[&angles, &angles], -1);
        let mask =
            (start > 0 && time > 1).then(|| Tensor::ones([time, start + time], (Kind::Bool, options.1)).tril(start));
        Positions { start, cos: angles.cos(), sin: angles.sin(), mask }
    }

    /// Token ids [batch, time] → x.
    pub fn embed(&self, tokens: &Tensor) -> Tensor {
        Tensor::embedding(&self.embedding, tokens, -1, false, false)
    }

    /// One layer: x → x. With a cache, what came before the run is read from it and the run is added.
    pub fn layer(&self, index: usize, x: &Tensor, at: &Positions, cache: Option<&mut LayerCache>) -> Tensor {
        let layer = &self.layers[index];
        let x = x + layer.attention.forward(&layer.attention_norm.forward(x), at, cache);
        &x + layer.mlp.forward(&layer.mlp_norm.forward(&x))
    }

    /// x → the logits of the next token, for each position of x.
    pub fn logits(&self, x: &Tensor) -> Tensor {
        self.norm.forward(x).linear(&self.head, None::<Tensor>)
    }

    /// All layers without a cache: token ids [batch, time] → x. For training and as the plain reference of the slices.
    pub fn forward(&self, tokens: &Tensor) -> Tensor {
        let at = self.positions(0, tokens.size()[1]);
        (0..self.layers.len()).fold(self.embed(tokens), |x, i| self.layer(i, &x, &at, None))
    }

    /// Bytes of weights that one token reads: all but the embedding, of which it reads a row.
    pub fn bytes_per_token(&self) -> usize {
        let c = &self.config;
        let attention = 2 * c.hidden_size * (c.heads + c.kv_heads) * c.head_dim;
        let layer = attention + 3 * c.hidden_size * c.intermediate_size;
        (c.layers as i64 * layer + c.vocab_size * c.hidden_size) as usize * size_of::<f32>()
    }
}

/// Radians per position, for each pair of a head's dimensions.
fn frequencies(c: &Config) -> Vec<f32> {
    let plain = |i: i64| c.rope_theta.powf(-((2 * i) as f64) / c.head_dim as f64);
    let scaled = |f: f64| match c.rope_scaling {
        RopeScaling::None => f,
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_positions } => {
            let turns = original_positions * f / TAU;
            let keep = ((turns - low_freq_factor) / (high_freq_factor - low_freq_factor)).clamp(0.0, 1.0);
            f * (keep + (1.0 - keep) / factor)
        }
    };
    (0..c.head_dim / 2).map(|i| scaled(plain(i)) as f32).collect()
}
