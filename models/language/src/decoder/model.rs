//! A decoder of the Llama family (Llama, SmolLM2, Mistral, Qwen2, Qwen3, SmolLM3), in the order of its equations.
//!
//! x is the residual stream, [batch, time, hidden]. Each layer adds to it twice:
//!
//! ```text
//! x += W_o · softmax(q·kᵀ / √d + causal) · v      q, k, v from RMSNorm(x), q and k turned by RoPE
//! x += W_down · (silu(W_gate · h) ⊙ W_up · h)     h = RMSNorm(x)
//! ```
//!
//! RMSNorm: arXiv 1910.07467. SwiGLU: arXiv 2002.05202. Grouped queries: arXiv 2305.13245. The reference for every detail
//! is `modeling_llama.py`, `modeling_mistral.py`, `modeling_qwen2.py`, `modeling_qwen3.py` and `modeling_smollm3.py` of
//! Transformers.

use crate::{
    decoder::{
        cache::LayerCache,
        config::{Config, Family, LayerAttention, fields::ConfigError},
        norm::RmsNorm,
        weights::{Weights, WeightsError},
    },
    kernels::{
        device,
        linear::{Form, Linear, Precision},
    },
};
use std::path::Path;
use tch::{Device, Kind, Tensor};

#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Weights(#[from] WeightsError),
    #[error("the weights in {folder} are {found}, not {wanted}: set the precision to {found}")]
    Quantised { folder: String, found: Precision, wanted: Precision },
}

/// What depends only on the positions of a run of tokens: made once for all layers.
pub struct Positions {
    /// Where the run begins.
    start: i64,
    /// [time, 1, head_dim]; the first half of the sines is negative, see [`rotate`].
    cos: Tensor,
    sin: Tensor,
    /// Of layers that see all, and of those with a window.
    full: Option<Tensor>,
    windowed: Option<Tensor>,
}

struct Attention {
    qkv: Linear,
    o: Linear,
    /// Of each head's query and key, [heads + kv_heads, head_dim] (Qwen3).
    qk_norm: Option<RmsNorm>,
    kind: LayerAttention,
    heads: i64,
    kv_heads: i64,
    head_dim: i64,
}

impl Attention {
    fn load(w: &mut Weights, name: &str, c: &Config, kind: LayerAttention, form: Form) -> Result<Self, WeightsError> {
        let (q_size, kv_size) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
        let part = |which: &str, rows| (format!("{name}.{which}_proj"), rows);
        let qkv = [part("q", q_size), part("k", kv_size), part("v", kv_size)];
        let qk_norm = if c.family == Family::Qwen3 {
            let q = w.take(&format!("{name}.q_norm.weight"), &[c.head_dim])?.f_expand([c.heads, c.head_dim], false)?;
            let k =
                w.take(&format!("{name}.k_norm.weight"), &[c.head_dim])?.f_expand([c.kv_heads, c.head_dim], false)?;
            Some(RmsNorm::new(Tensor::f_cat(&[q, k], 0)?, c.rms_norm_eps, form)?)
        } else {
            None
        };
        Ok(Self {
            qkv: Linear::load(w, &qkv, c.hidden_size, c.qkv_bias, form)?,
            o: Linear::load(w, &[part("o", c.hidden_size)], q_size, c.output_bias, form)?,
            qk_norm,
            kind,
            heads: c.heads,
            kv_heads: c.kv_heads,
            head_dim: c.head_dim,
        })
    }

    fn forward(&self, x: &Tensor, at: &Positions, cache: Option<&mut LayerCache>) -> Tensor {
        let (batch, time) = (x.size()[0], x.size()[1]);
        let qkv = self.qkv.forward(x).view([batch, time, self.heads + 2 * self.kv_heads, self.head_dim]);
        // Queries and keys go the same way, [batch, time, heads + kv_heads, head_dim].
        let mut qk = qkv.narrow(2, 0, self.heads + self.kv_heads);
        if let Some(norm) = &self.qk_norm {
            qk = norm.forward(&qk);
        }
        if self.kind.rope {
            qk = rotate(&qk, at);
        }
        let q = qk.narrow(2, 0, self.heads).transpose(1, 2);
        let k = qk.narrow(2, self.heads, self.kv_heads).transpose(1, 2);
        let v = qkv.narrow(2, self.heads + self.kv_heads, self.kv_heads).transpose(1, 2);
        let (k, v) = match cache {
            Some(cache) => cache.extend(at.start, &k, &v),
            None => (k, v),
        };
        let y = self.attend(&q, &k, &v, at).transpose(1, 2);
        self.o.forward(&y.reshape([batch, time, self.heads * self.head_dim]))
    }

    /// Softmax over the keys that each query sees. Queries that share a head of keys lie behind one another in time, so
    /// that the keys need not be copied for each.
    fn attend(&self, q: &Tensor, k: &Tensor, v: &Tensor, at: &Positions) -> Tensor {
        let (batch, time, total) = (q.size()[0], q.size()[2], k.size()[2]);
        let mask = if self.kind.window.is_some() { &at.windowed } else { &at.full };
        if mask.is_none() && time > 1 {
            let gqa = self.heads != self.kv_heads;
            return Tensor::scaled_dot_product_attention(q, k, v, None::<Tensor>, 0.0, true, None, gqa);
        }
        let group = self.heads / self.kv_heads;
        // A single token needs no mask: the window is cut out.
        let seen = self.kind.window.filter(|_| time == 1).map_or(total, |window| window.min(total));
        let (k, v) = (k.narrow(2, total - seen, seen), v.narrow(2, total - seen, seen));
        let q = q.reshape([batch, self.kv_heads, group * time, self.head_dim]);
        let mask = mask.as_ref().map(|m| m.repeat([group, 1]));
        let y = Tensor::scaled_dot_product_attention(&q, &k, &v, mask.as_ref(), 0.0, false, None, false);
        y.reshape([batch, self.heads, time, self.head_dim])
    }
}

/// RoPE in the half-split layout: (a, b) → (a·cos − b·sin, b·cos + a·sin).
fn rotate(x: &Tensor, at: &Positions) -> Tensor {
    let half = x.size()[3] / 2;
    (x * &at.cos).addcmul(&x.roll([half], [3]), &at.sin)
}

struct Mlp {
    gate_up: Linear,
    down: Linear,
}

impl Mlp {
    fn load(w: &mut Weights, name: &str, c: &Config, form: Form) -> Result<Self, WeightsError> {
        let part = |which: &str, rows| (format!("{name}.{which}_proj"), rows);
        let gate_up = [part("gate", c.intermediate_size), part("up", c.intermediate_size)];
        Ok(Self {
            gate_up: Linear::load(w, &gate_up, c.hidden_size, false, form)?,
            down: Linear::load(w, &[part("down", c.hidden_size)], c.intermediate_size, false, form)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let both = self.gate_up.forward(x).chunk(2, -1);
        self.down.forward(&(both[0].silu() * &both[1]))
    }
}

struct Layer {
    attention_norm: RmsNorm,
    attention: Attention,
    mlp_norm: RmsNorm,
    mlp: Mlp,
}

/// The most tokens that go through the layers together, in models that are small enough ([`Model::chunk`]). Longer runs
/// use the processor better; a slice of one layer of such a run is the longest that a session stays on the processor
/// beyond its budget.
pub const CHUNK: usize = 32;

/// Products of two numbers in a layer of a run: about 2 ms of a core that makes 60 thousand million of them a second.
const CHUNK_PRODUCTS: i64 = 120_000_000;

/// The model: weights and nothing that changes while it runs.
pub struct Model {
    config: Config,
    precision: Precision,
    /// `None` where the rows of `head` serve.
    embedding: Option<Tensor>,
    layers: Vec<Layer>,
    norm: RmsNorm,
    head: Linear,
    /// Of RoPE, one for each pair of a head's dimensions.
    frequencies: Tensor,
}

impl Model {
    /// From a Hugging Face folder, in 32-bit numbers, on the processor.
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        Self::load_on(folder, Precision::F32, Device::Cpu)
    }

    /// On the graphics processor if there is one, but for whole numbers, whose kernels are the processor's.
    pub fn load_as(folder: &Path, precision: Precision) -> Result<Self, ModelError> {
        let whole = matches!(precision, Precision::Int8 | Precision::Int4);
        Self::load_on(folder, precision, if whole { Device::Cpu } else { device::best() })
    }

    fn load_on(folder: &Path, precision: Precision, device: Device) -> Result<Self, ModelError> {
        let mut config = Config::load(&folder.join("config.json"))?;
        config.read_generation(&folder.join("generation_config.json"))?;
        if let Some(found) = config.quantised.filter(|&found| found != precision) {
            return Err(ModelError::Quantised { folder: folder.display().to_string(), found, wanted: precision });
        }
        let weights = Weights::load(folder)?.on(device);
        Ok(tch::no_grad(|| Self::assemble(config, weights, Form::Run(precision)))?)
    }

    /// From the tensors themselves, so that it can be trained.
    pub fn from_weights(config: Config, weights: Weights) -> Result<Self, WeightsError> {
        Self::assemble(config, weights, Form::Trained)
    }

    /// All tensors must be used.
    fn assemble(config: Config, mut weights: Weights, form: Form) -> Result<Self, WeightsError> {
        let (c, w) = (&config, &mut weights);
        let table = w.take("model.embed_tokens.weight", &[c.vocab_size, c.hidden_size])?;
        let layer = |i| -> Result<Layer, WeightsError> {
            let name = format!("model.layers.{i}");
            // Old files carry the frequencies; they are computed here.
            w.discard(&format!("{name}.self_attn.rotary_emb.inv_freq"));
            let norm = |w: &mut Weights, which: &str| {
                RmsNorm::load(w, &format!("{name}.{which}_layernorm"), c.hidden_size, c.rms_norm_eps, form)
            };
            Ok(Layer {
                attention_norm: norm(w, "input")?,
                attention: Attention::load(w, &format!("{name}.self_attn"), c, c.attention_of(i), form)?,
                mlp_norm: norm(w, "post_attention")?,
                mlp: Mlp::load(w, &format!("{name}.mlp"), c, form)?,
            })
        };
        let layers = (0..c.layers).map(layer).collect::<Result<_, _>>()?;
        let norm = RmsNorm::load(w, "model.norm", c.hidden_size, c.rms_norm_eps, form)?;
        // Four bits are too coarse for the choice among all tokens.
        let head_form = if form == Form::Run(Precision::Int4) { Form::Run(Precision::Int8) } else { form };
        let head = if c.tied {
            w.discard("lm_head.weight");
            Linear::new(&table, None, head_form)?
        } else {
            Linear::load(w, &[("lm_head".into(), c.vocab_size)], c.hidden_size, false, head_form)?
        };
        weights.finish()?;
        let shared = config.tied && head.has_rows();
        let embedding = if shared { None } else { Some(table.f_to_kind(form.weight_kind())?) };
        let frequencies = config.rope_scaling.frequencies(config.rope_theta, config.head_dim);
        let frequencies = Tensor::f_from_slice(&frequencies)?.f_to_device(table.device())?;
        let precision = if let Form::Run(precision) = form { precision } else { Precision::F32 };
        Ok(Self { config, precision, embedding, layers, norm, head, frequencies })
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// In which numbers it computes.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// What depends on where a run of `time` tokens lies: it begins after `start` tokens.
    pub fn positions(&self, start: i64, time: i64) -> Positions {
        let device = self.frequencies.device();
        let at = Tensor::arange_start(start, start + time, (Kind::Float, device));
        let angles = (at.unsqueeze(1) * &self.frequencies).unsqueeze(1);
        let (cos, sin) = (angles.cos(), angles.sin());
        let growth = self.config.rope_scaling.attention_factor();
        let turns = |first: &Tensor, second: &Tensor| (Tensor::cat(&[first, second], -1) * growth).to_kind(self.kind());
        let end = start + time;
        let window = self.config.window();
        let beyond = window.is_some_and(|w| end > w);
        let causal = || Tensor::ones([time, end], (Kind::Bool, device)).tril(start);
        let full = (start > 0 && time > 1).then(causal);
        let windowed = match window {
            Some(window) if beyond && time > 1 => Some(causal().triu(start - window + 1)),
            _ => full.as_ref().map(Tensor::shallow_clone),
        };
        Positions { start, cos: turns(&cos, &cos), sin: turns(&sin.neg(), &sin), full, windowed }
    }

    /// Token ids [batch, time] → x.
    pub fn embed(&self, tokens: &Tensor) -> Tensor {
        let tokens = tokens.to_device(self.device());
        match &self.embedding {
            Some(table) => Tensor::embedding(table, &tokens, -1, false, false).to_kind(self.kind()),
            None => self.head.rows_of(&tokens).to_kind(self.kind()),
        }
    }

    /// One layer: x → x. With a cache, what came before the run is read from it and the run is added.
    pub fn layer(&self, index: usize, x: &Tensor, at: &Positions, cache: Option<&mut LayerCache>) -> Tensor {
        let layer = &self.layers[index];
        let x = x + layer.attention.forward(&layer.attention_norm.forward(x), at, cache);
        &x + layer.mlp.forward(&layer.mlp_norm.forward(&x))
    }

    /// x → the logits of the next token, for each position of x; on the processor.
    pub fn logits(&self, x: &Tensor) -> Tensor {
        self.head.forward(&self.norm.forward(x)).to_kind(Kind::Float).to_device(Device::Cpu)
    }

    /// All layers without a cache: token ids [batch, time] → x. For training and as the plain reference of the slices.
    pub fn forward(&self, tokens: &Tensor) -> Tensor {
        let at = self.positions(0, tokens.size()[1]);
        (0..self.layers.len()).fold(self.embed(tokens), |x, i| self.layer(i, &x, &at, None))
    }

    /// Of activations and of what the cache keeps.
    pub fn kind(&self) -> Kind {
        self.precision.kind(self.device())
    }

    pub fn device(&self) -> Device {
        self.frequencies.device()
    }

    /// The most tokens that should go through a layer together: a slice of one layer ends in time, whatever the model's
    /// size.
    pub fn chunk(&self) -> usize {
        let c = &self.config;
        let layer = c.hidden_size * (2 * (c.heads + c.kv_heads) * c.head_dim + 3 * c.intermediate_size);
        ((CHUNK_PRODUCTS / layer) as usize).clamp(1, CHUNK)
    }

    /// Bytes of weights that one token reads: all but the embedding, of which it reads a row.
    pub fn bytes_per_token(&self) -> usize {
        let of = |l: &Layer| {
            [&l.attention.qkv, &l.attention.o, &l.mlp.gate_up, &l.mlp.down].iter().map(|m| m.bytes()).sum::<usize>()
        };
        self.layers.iter().map(of).sum::<usize>() + self.head.bytes()
    }
}
