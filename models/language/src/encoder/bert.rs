//! An encoder of the BERT family, in the order of its equations.
//!
//! ```text
//! x = LayerNorm(word + position + segment)
//! x = LayerNorm(x + W_o · softmax(q·kᵀ / √d) · v)     q, k, v from x; every token attends to every other
//! x = LayerNorm(x + W_2 · gelu(W_1 · x))
//! ```
//!
//! BERT: arXiv 1810.04805. The reference for every detail is `modeling_bert.py` of Transformers. The texts of a batch have
//! the same length, so there is no padding.

use crate::{
    decoder::{
        config::fields::ConfigError,
        weights::{Weights, WeightsError},
    },
    encoder::config::EncoderConfig,
    training::lora::{AdapterError, LoraAdapter},
};
use std::{collections::BTreeMap, path::Path};
use tch::{Kind, Tensor};

/// An error of loading an encoder.
#[derive(Debug, thiserror::Error)]
pub enum EncoderError {
    /// The configuration is not supported.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The weights cannot be loaded.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// An adapter does not fit.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
}

struct Linear {
    weight: Tensor,
    bias: Tensor,
    /// Only during training.
    adapter: Option<LoraAdapter>,
}

/// Tensors of LoRA adapters by name, and their scale.
pub type Adapters = (BTreeMap<String, Tensor>, f64);

impl Linear {
    fn load(w: &mut Weights, name: &str, shape: [i64; 2], adapters: &Adapters) -> Result<Self, EncoderError> {
        let target = format!("{name}.weight");
        let weight = w.take(&target, &shape)?;
        let adapter = LoraAdapter::find(&adapters.0, &target, &weight, adapters.1)?;
        Ok(Self { weight, bias: w.take(&format!("{name}.bias"), &shape[..1])?, adapter })
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let y = x.linear(&self.weight, Some(&self.bias));
        match &self.adapter {
            Some(adapter) => y + adapter.forward(x),
            None => y,
        }
    }
}

struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    fn load(w: &mut Weights, name: &str, c: &EncoderConfig) -> Result<Self, WeightsError> {
        Ok(Self {
            weight: w.take(&format!("{name}.weight"), &[c.hidden_size])?,
            bias: w.take(&format!("{name}.bias"), &[c.hidden_size])?,
            eps: c.layer_norm_eps,
        })
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        x.layer_norm(self.weight.size(), Some(&self.weight), Some(&self.bias), self.eps, false)
    }
}

struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    attention_norm: LayerNorm,
    up: Linear,
    down: Linear,
    norm: LayerNorm,
}

/// The matrices of a layer that LoRA adapts, without the prefix `encoder.layer.N.`.
pub const MATRICES: [&str; 6] = [
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
];

impl Layer {
    fn load(w: &mut Weights, name: &str, c: &EncoderConfig, adapters: &Adapters) -> Result<Self, EncoderError> {
        let (h, inner) = (c.hidden_size, c.intermediate_size);
        let mut linear = |which: usize, shape| Linear::load(w, &format!("{name}.{}", MATRICES[which]), shape, adapters);
        Ok(Self {
            query: linear(0, [h, h])?,
            key: linear(1, [h, h])?,
            value: linear(2, [h, h])?,
            output: linear(3, [h, h])?,
            up: linear(4, [inner, h])?,
            down: linear(5, [h, inner])?,
            attention_norm: LayerNorm::load(w, &format!("{name}.attention.output.LayerNorm"), c)?,
            norm: LayerNorm::load(w, &format!("{name}.output.LayerNorm"), c)?,
        })
    }
}

/// An encoder. It holds no state of its inputs.
pub struct Encoder {
    config: EncoderConfig,
    words: Tensor,
    positions: Tensor,
    types: Tensor,
    norm: LayerNorm,
    layers: Vec<Layer>,
    /// Dropout rate in training, otherwise 0.
    dropout: f64,
}

impl Encoder {
    /// Loads a Hugging Face folder.
    ///
    /// # Errors
    /// A configuration or weights that cannot be used.
    pub fn load(folder: &Path) -> Result<Self, EncoderError> {
        let config = EncoderConfig::load(&folder.join("config.json"))?;
        Self::from_weights(config, Weights::load(folder)?)
    }

    /// The tensors of a Hugging Face folder that the encoder uses, for training and adapters.
    ///
    /// # Errors
    /// Weights that cannot be read.
    pub fn tensors(folder: &Path) -> Result<BTreeMap<String, Tensor>, WeightsError> {
        let mut weights = Weights::load(folder)?;
        for unused in ["embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias"] {
            weights.discard(unused);
        }
        Ok(weights.into_tensors())
    }

    /// From tensors with Hugging Face names.
    ///
    /// # Errors
    /// A tensor that is missing, unknown or of the wrong shape.
    pub fn from_weights(config: EncoderConfig, weights: Weights) -> Result<Self, EncoderError> {
        Self::for_training(config, weights, &(BTreeMap::new(), 0.0), 0.0)
    }

    /// An encoder for training, with LoRA adapters and dropout (rate 0 to 1).
    ///
    /// # Errors
    /// As [`Encoder::from_weights`], and an adapter that does not fit.
    pub fn for_training(
        config: EncoderConfig,
        mut weights: Weights,
        adapters: &Adapters,
        dropout: f64,
    ) -> Result<Self, EncoderError> {
        let (c, w) = (&config, &mut weights);
        // Position ids, and the head of another task.
        for unused in ["embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias"] {
            w.discard(unused);
        }
        let words = w.take("embeddings.word_embeddings.weight", &[c.vocab_size, c.hidden_size])?;
        let positions = w.take("embeddings.position_embeddings.weight", &[c.max_positions, c.hidden_size])?;
        let types = w.take("embeddings.token_type_embeddings.weight", &[c.types, c.hidden_size])?;
        let norm = LayerNorm::load(w, "embeddings.LayerNorm", c)?;
        let layers = (0..c.layers)
            .map(|i| Layer::load(w, &format!("encoder.layer.{i}"), c, adapters))
            .collect::<Result<_, _>>()?;
        weights.finish()?;
        Ok(Self { config, words, positions, types, norm, layers, dropout })
    }

    /// The configuration.
    pub fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// The embedding: token ids [batch, time] → x [batch, time, hidden]. `scene` [batch, hidden] is appended as the only token
    /// of the second segment, if it is given.
    pub fn embed(&self, tokens: &Tensor, scene: Option<&Tensor>) -> Tensor {
        let words = Tensor::embedding(&self.words, tokens, -1, false, false);
        let time = tokens.size()[1];
        let x = words + self.types.get(0);
        let x = match scene {
            Some(scene) => Tensor::cat(&[x, (scene + self.types.get(1)).unsqueeze(1)], 1),
            None => x,
        };
        let time = time + i64::from(scene.is_some());
        self.dropout(&self.norm.forward(&(x + self.positions.narrow(0, 0, time))))
    }

    /// One layer: x → x, [batch, time, hidden].
    pub fn layer(&self, index: usize, x: &Tensor) -> Tensor {
        let layer = &self.layers[index];
        let (batch, time) = (x.size()[0], x.size()[1]);
        let (heads, hidden) = (self.config.heads, self.config.hidden_size);
        let split = |y: Tensor| y.view([batch, time, heads, hidden / heads]).transpose(1, 2);
        let (q, k, v) = (split(layer.query.forward(x)), split(layer.key.forward(x)), split(layer.value.forward(x)));
        let y = Tensor::scaled_dot_product_attention(&q, &k, &v, None::<Tensor>, self.dropout, false, None, false);
        let y = layer.output.forward(&y.transpose(1, 2).reshape([batch, time, hidden]));
        let x = layer.attention_norm.forward(&(x + self.dropout(&y)));
        let y = layer.down.forward(&layer.up.forward(&x).gelu("none"));
        layer.norm.forward(&(&x + self.dropout(&y)))
    }

    /// Embedding and all layers: token ids [batch, time] → x [batch, time, hidden].
    pub fn forward(&self, tokens: &Tensor, scene: Option<&Tensor>) -> Tensor {
        (0..self.layers.len()).fold(self.embed(tokens, scene), |x, i| self.layer(i, &x))
    }

    fn dropout(&self, x: &Tensor) -> Tensor {
        if self.dropout > 0.0 { x.dropout(self.dropout, true) } else { x.shallow_clone() }
    }
}

/// Token ids of texts of the same length as a tensor [batch, time].
pub fn batch(texts: &[&[i64]]) -> Tensor {
    let time = texts.first().map_or(0, |t| t.len()) as i64;
    Tensor::from_slice(&texts.concat()).to_kind(Kind::Int64).view([texts.len() as i64, time])
}
