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
        gguf::{self, GgufError},
        norm::RmsNorm,
        weights::{Weights, WeightsError},
    },
    kernels::{
        backend::Backend,
        device,
        linear::{Linear, Precision, WeightFormat},
    },
};
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// An error of loading a model.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The configuration is not supported.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The weights cannot be loaded.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A GGUF file cannot be loaded.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// The weights are stored in another precision than the requested one.
    #[error("the weights in {folder} are {found}, not {wanted}: set the precision to {found}")]
    Quantised {
        /// The checkpoint.
        folder: String,
        /// Precision of the file.
        found: Precision,
        /// The requested precision.
        wanted: Precision,
    },
}

/// Rotary embeddings and attention masks of a chunk of tokens; computed once for all layers.
pub struct Positions {
    /// The position of the first token.
    start: i64,
    /// [time, 1, head_dim]; the first half of the sines is negative, see [`rotate`].
    cos: Tensor,
    sin: Tensor,
    /// Attention mask of layers with full attention, and of those with a sliding window.
    full: Option<Tensor>,
    windowed: Option<Tensor>,
}

struct Attention {
    qkv: Linear,
    o: Linear,
    /// Norm of each head's query and key, [heads + kv_heads, head_dim] (Qwen3).
    qk_norm: Option<RmsNorm>,
    kind: LayerAttention,
    heads: i64,
    kv_heads: i64,
    head_dim: i64,
}

impl Attention {
    fn load(
        w: &mut Weights,
        name: &str,
        c: &Config,
        kind: LayerAttention,
        format: WeightFormat,
    ) -> Result<Self, WeightsError> {
        let (q_size, kv_size) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
        let part = |which: &str, rows| (format!("{name}.{which}_proj"), rows);
        let qkv = [part("q", q_size), part("k", kv_size), part("v", kv_size)];
        let qk_norm = if c.family == Family::Qwen3 {
            let q = w.take(&format!("{name}.q_norm.weight"), &[c.head_dim])?.f_expand([c.heads, c.head_dim], false)?;
            let k =
                w.take(&format!("{name}.k_norm.weight"), &[c.head_dim])?.f_expand([c.kv_heads, c.head_dim], false)?;
            Some(RmsNorm::new(Tensor::f_cat(&[q, k], 0)?, c.rms_norm_eps, format)?)
        } else {
            None
        };
        Ok(Self {
            qkv: Linear::load(w, &qkv, c.hidden_size, c.qkv_bias, format)?,
            o: Linear::load(w, &[part("o", c.hidden_size)], q_size, c.output_bias, format)?,
            qk_norm,
            kind,
            heads: c.heads,
            kv_heads: c.kv_heads,
            head_dim: c.head_dim,
        })
    }

    fn forward(&self, x: &Tensor, positions: &Positions, cache: Option<&mut LayerCache>) -> Tensor {
        let (batch, time) = (x.size()[0], x.size()[1]);
        let qkv = self.qkv.forward(x).view([batch, time, self.heads + 2 * self.kv_heads, self.head_dim]);
        // Queries and keys are processed together, [batch, time, heads + kv_heads, head_dim].
        let mut qk = qkv.narrow(2, 0, self.heads + self.kv_heads);
        if let Some(norm) = &self.qk_norm {
            qk = norm.forward(&qk);
        }
        if self.kind.rope {
            qk = rotate(&qk, positions);
        }
        let q = qk.narrow(2, 0, self.heads).transpose(1, 2);
        let k = qk.narrow(2, self.heads, self.kv_heads).transpose(1, 2);
        let v = qkv.narrow(2, self.heads + self.kv_heads, self.kv_heads).transpose(1, 2);
        let (k, v) = match cache {
            Some(cache) => cache.extend(positions.start, &k, &v),
            None => (k, v),
        };
        let y = self.attend(&q, &k, &v, positions).transpose(1, 2);
        self.o.forward(&y.reshape([batch, time, self.heads * self.head_dim]))
    }

    /// Scaled dot-product attention. Queries of the same group are placed one after another in the time dimension, so that
    /// their shared keys need not be copied.
    fn attend(&self, q: &Tensor, k: &Tensor, v: &Tensor, positions: &Positions) -> Tensor {
        let (batch, time, total) = (q.size()[0], q.size()[2], k.size()[2]);
        let mask = if self.kind.window.is_some() { &positions.windowed } else { &positions.full };
        if mask.is_none() && time > 1 {
            let gqa = self.heads != self.kv_heads;
            return Tensor::scaled_dot_product_attention(q, k, v, None::<Tensor>, 0.0, true, None, gqa);
        }
        let group = self.heads / self.kv_heads;
        // A single token needs no mask: the keys are cut to the window.
        let seen = self.kind.window.filter(|_| time == 1).map_or(total, |window| window.min(total));
        let (k, v) = (k.narrow(2, total - seen, seen), v.narrow(2, total - seen, seen));
        let q = q.reshape([batch, self.kv_heads, group * time, self.head_dim]);
        let mask = mask.as_ref().map(|m| m.repeat([group, 1]));
        let y = Tensor::scaled_dot_product_attention(&q, &k, &v, mask.as_ref(), 0.0, false, None, false);
        y.reshape([batch, self.heads, time, self.head_dim])
    }
}

/// Applies RoPE in the half-split layout: (a, b) → (a·cos − b·sin, b·cos + a·sin).
fn rotate(x: &Tensor, positions: &Positions) -> Tensor {
    let half = x.size()[3] / 2;
    (x * &positions.cos).addcmul(&x.roll([half], [3]), &positions.sin)
}

struct Mlp {
    gate_up: Linear,
    down: Linear,
}

impl Mlp {
    fn load(w: &mut Weights, name: &str, c: &Config, format: WeightFormat) -> Result<Self, WeightsError> {
        let part = |which: &str, rows| (format!("{name}.{which}_proj"), rows);
        let gate_up = [part("gate", c.intermediate_size), part("up", c.intermediate_size)];
        Ok(Self {
            gate_up: Linear::load(w, &gate_up, c.hidden_size, false, format)?,
            down: Linear::load(w, &[part("down", c.hidden_size)], c.intermediate_size, false, format)?,
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

/// The largest number of tokens that are processed together ([`Model::chunk`]). A larger chunk uses the processor better,
/// but a session cannot be paused within a layer of a chunk.
pub const CHUNK: usize = 32;

/// Multiply-accumulate operations of a layer for one chunk: about 2 ms on a core with 60 G operations per second.
const CHUNK_PRODUCTS: i64 = 120_000_000;

/// A decoder. It holds no state of its sessions.
pub struct Model {
    config: Config,
    precision: Precision,
    /// `None` if the rows of `head` are used (tied embeddings).
    embedding: Option<Tensor>,
    layers: Vec<Layer>,
    norm: RmsNorm,
    head: Linear,
    /// Rotary frequencies, one for each pair of a head's dimensions.
    frequencies: Tensor,
}

impl Model {
    /// Loads a checkpoint folder in Hugging Face layout or a GGUF file, in 32-bit floating point, on the CPU.
    ///
    /// # Errors
    /// A configuration or weights that cannot be used; see [`ModelError`].
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        Self::load_on(folder, Precision::F32, Device::Cpu, Backend::best())
    }

    /// Loads a checkpoint folder with the weights converted to `precision`, on the GPU if there is one. Integer precisions
    /// always run on the CPU.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load_as(folder: &Path, precision: Precision) -> Result<Self, ModelError> {
        let integer = matches!(precision, Precision::Int8 | Precision::Int4);
        Self::load_on(folder, precision, if integer { Device::Cpu } else { device::best() }, Backend::best())
    }

    /// As [`Model::load_as`], on the CPU with the matrix kernels of this backend: for tests and benchmarks.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load_with(folder: &Path, precision: Precision, backend: Backend) -> Result<Self, ModelError> {
        Self::load_on(folder, precision, Device::Cpu, backend)
    }

    fn load_on(folder: &Path, precision: Precision, device: Device, backend: Backend) -> Result<Self, ModelError> {
        if let Some(file) = gguf::find(folder) {
            let (config, weights) = tch::no_grad(|| gguf::checkpoint::load(&file, precision))?;
            let format = WeightFormat::Inference(precision, backend);
            return Ok(tch::no_grad(|| Self::assemble(config, weights.on(device), format))?);
        }
        let mut config = Config::load(&folder.join("config.json"))?;
        config.read_generation(&folder.join("generation_config.json"))?;
        if let Some(found) = config.quantised.filter(|&found| found != precision) {
            return Err(ModelError::Quantised { folder: folder.display().to_string(), found, wanted: precision });
        }
        let weights = Weights::load(folder)?.on(device);
        Ok(tch::no_grad(|| Self::assemble(config, weights, WeightFormat::Inference(precision, backend)))?)
    }

    /// Builds a model for training: gradients reach the tensors of `weights`.
    ///
    /// # Errors
    /// A tensor that is missing, unknown or of the wrong shape.
    pub fn from_weights(config: Config, weights: Weights) -> Result<Self, WeightsError> {
        Self::assemble(config, weights, WeightFormat::Trained)
    }

    /// Builds the model; an error if a tensor is left over.
    fn assemble(config: Config, mut weights: Weights, format: WeightFormat) -> Result<Self, WeightsError> {
        let (c, w) = (&config, &mut weights);
        let table = w.take("model.embed_tokens.weight", &[c.vocab_size, c.hidden_size])?;
        let layer = |i| -> Result<Layer, WeightsError> {
            let name = format!("model.layers.{i}");
            // Stored in old files; computed here.
            w.discard(&format!("{name}.self_attn.rotary_emb.inv_freq"));
            let norm = |w: &mut Weights, which: &str| {
                RmsNorm::load(w, &format!("{name}.{which}_layernorm"), c.hidden_size, c.rms_norm_eps, format)
            };
            Ok(Layer {
                attention_norm: norm(w, "input")?,
                attention: Attention::load(w, &format!("{name}.self_attn"), c, c.attention_of(i), format)?,
                mlp_norm: norm(w, "post_attention")?,
                mlp: Mlp::load(w, &format!("{name}.mlp"), c, format)?,
            })
        };
        let layers = (0..c.layers).map(layer).collect::<Result<_, _>>()?;
        let norm = RmsNorm::load(w, "model.norm", c.hidden_size, c.rms_norm_eps, format)?;
        // 4 bits are too coarse for the output matrix.
        let head_format = match format {
            WeightFormat::Inference(Precision::Int4, backend) => WeightFormat::Inference(Precision::Int8, backend),
            other => other,
        };
        let head = if c.tied {
            w.discard("lm_head.weight");
            Linear::new(&table, None, head_format)?
        } else {
            Linear::load(w, &[("lm_head".into(), c.vocab_size)], c.hidden_size, false, head_format)?
        };
        weights.finish()?;
        let shared = config.tied && head.has_rows();
        let embedding = if shared { None } else { Some(table.f_to_kind(format.weight_kind())?) };
        let frequencies = config.rope_scaling.frequencies(config.rope_theta, config.head_dim);
        let frequencies = Tensor::f_from_slice(&frequencies)?.f_to_device(table.device())?;
        let precision = if let WeightFormat::Inference(precision, _) = format { precision } else { Precision::F32 };
        Ok(Self { config, precision, embedding, layers, norm, head, frequencies })
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The precision of the weights.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Rotary embeddings and masks of `time` tokens that follow `start` tokens.
    pub fn positions(&self, start: i64, time: i64) -> Positions {
        let device = self.frequencies.device();
        let at = Tensor::arange_start(start, start + time, (Kind::Float, device));
        let angles = (at.unsqueeze(1) * &self.frequencies).unsqueeze(1);
        let (cos, sin) = (angles.cos(), angles.sin());
        let scale = self.config.rope_scaling.attention_factor();
        let rotation =
            |first: &Tensor, second: &Tensor| (Tensor::cat(&[first, second], -1) * scale).to_kind(self.kind());
        let end = start + time;
        let window = self.config.window();
        let beyond = window.is_some_and(|w| end > w);
        let causal = || Tensor::ones([time, end], (Kind::Bool, device)).tril(start);
        let full = (start > 0 && time > 1).then(causal);
        let windowed = match window {
            Some(window) if beyond && time > 1 => Some(causal().triu(start - window + 1)),
            _ => full.as_ref().map(Tensor::shallow_clone),
        };
        Positions { start, cos: rotation(&cos, &cos), sin: rotation(&sin.neg(), &sin), full, windowed }
    }

    /// The embedding: token ids [batch, time] → x [batch, time, hidden].
    pub fn embed(&self, tokens: &Tensor) -> Tensor {
        let tokens = tokens.to_device(self.device());
        match &self.embedding {
            Some(table) => Tensor::embedding(table, &tokens, -1, false, false).to_kind(self.kind()),
            None => self.head.rows_of(&tokens).to_kind(self.kind()),
        }
    }

    /// One layer: x → x, [batch, time, hidden]. With a cache, the keys and values of earlier tokens are read from it and those
    /// of this chunk are added.
    pub fn layer(&self, index: usize, x: &Tensor, positions: &Positions, cache: Option<&mut LayerCache>) -> Tensor {
        let layer = &self.layers[index];
        let x = x + layer.attention.forward(&layer.attention_norm.forward(x), positions, cache);
        &x + layer.mlp.forward(&layer.mlp_norm.forward(&x))
    }

    /// The logits of the next token for each position of x: [.., hidden] → [.., vocabulary], on the CPU.
    pub fn logits(&self, x: &Tensor) -> Tensor {
        self.head.forward(&self.norm.forward(x)).to_kind(Kind::Float).to_device(Device::Cpu)
    }

    /// All layers without a cache: token ids [batch, time] → x. For training, and the reference of sliced inference.
    pub fn forward(&self, tokens: &Tensor) -> Tensor {
        let positions = self.positions(0, tokens.size()[1]);
        (0..self.layers.len()).fold(self.embed(tokens), |x, i| self.layer(i, &x, &positions, None))
    }

    /// Data type of activations and cache.
    pub fn kind(&self) -> Kind {
        self.precision.kind(self.device())
    }

    /// The device of the weights.
    pub fn device(&self) -> Device {
        self.frequencies.device()
    }

    /// The number of tokens to process together so that one layer takes about the same time for any model size.
    pub fn chunk(&self) -> usize {
        let c = &self.config;
        let layer = c.hidden_size * (2 * (c.heads + c.kv_heads) * c.head_dim + 3 * c.intermediate_size);
        ((CHUNK_PRODUCTS / layer) as usize).clamp(1, CHUNK)
    }

    /// Bytes of weights that are read for one token: all except the embedding, of which one row is read.
    pub fn bytes_per_token(&self) -> usize {
        let of = |l: &Layer| {
            [&l.attention.qkv, &l.attention.o, &l.mlp.gate_up, &l.mlp.down].iter().map(|m| m.bytes()).sum::<usize>()
        };
        self.layers.iter().map(of).sum::<usize>() + self.head.bytes()
    }
}
