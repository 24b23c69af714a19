//! Intent and slots of an utterance in one pass of an encoder, which can be left after any layer.
//!
//! ```no_run,standalone_crate
//! use auriga_lm::{
//!     decoder::session::Budget,
//!     intent::{catalogue::Catalogue, classifier::{Classified, IntentEncoder, context::Context}},
//! };
//! use std::path::Path;
//!
//! let here = Path::new(env!("CARGO_MANIFEST_DIR"));
//! let catalogue = Catalogue::load(here.join("intents.toml"))?;
//! let encoder = IntentEncoder::load(&here.join("../../.native/minilm"), &here.join("intents-minilm"), catalogue)?;
//! let mut run = encoder.classify(&Context::default(), "set it to twenty one degrees")?;
//! let intent = loop {
//!     // Two layers, then the caller may look whether it should leave the processor.
//!     if let Classified::Done(intent) = run.step(&encoder, Budget::layers(2))?.state {
//!         break intent;
//!     }
//! };
//! assert_eq!(intent.to_string(), "set_temperature degrees=21;");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod calibration;
pub mod context;
pub mod decode;
pub mod heads;

use crate::{
    decoder::{
        session::Budget,
        weights::{Weights, WeightsError},
    },
    dialogue::tokenizer::TokenizerError,
    encoder::{
        bert::{self, Encoder, EncoderError},
        config::EncoderConfig,
        text::{Pieces, WordPieces},
    },
    intent::{
        catalogue::{Catalogue, OUT_OF_SCOPE},
        classifier::{
            context::Context,
            decode::Heard,
            heads::{Heads, Layout},
        },
        output::IntentOutput,
        prompt::clean_utterance,
    },
    training::lora::{self, AdapterError},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path, sync::Arc};
use tch::{Kind, Tensor};

#[derive(Debug, thiserror::Error)]
pub enum JointError {
    #[error(transparent)]
    Encoder(#[from] EncoderError),
    #[error(transparent)]
    Weights(#[from] WeightsError),
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    #[error("{path}: {source}")]
    Adapter { path: String, source: AdapterError },
    #[error("{path}: {what}")]
    Card { path: String, what: String },
    #[error(
        "{path}: tokenizer.json has token ids up to {largest}, the encoder a vocabulary of {vocabulary}: they do not belong together"
    )]
    Vocabulary { path: String, largest: i64, vocabulary: i64 },
    #[error("{path} was trained for another catalogue: {what}; train it again with `auriga-lm finetune`")]
    Catalogue { path: String, what: String },
    #[error(
        "{path} was trained on another base than {base}: {what}; run set-up (make setup), which fetches the right one"
    )]
    Base { path: String, base: String, what: String },
    #[error("an utterance without words")]
    NoWords,
    #[error("the encoder's outputs are not numbers; its weights are damaged")]
    NotFinite,
}

/// `adapter.json`: what an adapter was made for, and how its outputs are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    pub base: BaseMark,
    /// On the corrections ([`lora::merge`]).
    pub scale: f64,
    /// Whether the context is read.
    pub scene: bool,
    /// Logits of intents are divided by it: what makes the confidence the share of those that are right.
    pub temperature: f64,
    /// Added to the logit of `out_of_scope`, before the temperature.
    pub outside_bias: f64,
    /// An intent that is less likely is `out_of_scope`.
    pub reject_below: f64,
    pub layout: Layout,
}

/// By what a base is known again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseMark {
    pub vocab_size: i64,
    pub hidden_size: i64,
    pub layers: usize,
    /// The sum of the magnitudes in the first query matrix.
    pub first_query: f64,
}

impl BaseMark {
    pub fn of(config: &EncoderConfig, tensors: &BTreeMap<String, Tensor>) -> Self {
        let first = tensors.get("encoder.layer.0.attention.self.query.weight");
        Self {
            vocab_size: config.vocab_size,
            hidden_size: config.hidden_size,
            layers: config.layers,
            first_query: first.map_or(0.0, |t| t.abs().sum(Kind::Double).double_value(&[])),
        }
    }

    fn difference(&self, found: &Self) -> Option<String> {
        let sizes = |m: &Self| (m.vocab_size, m.hidden_size, m.layers);
        if sizes(self) != sizes(found) {
            return Some(format!(
                "(vocabulary, hidden size, layers) are {:?} there and {:?} here",
                sizes(self),
                sizes(found)
            ));
        }
        let same = (self.first_query - found.first_query).abs() <= 1e-5 * self.first_query.abs();
        (!same).then(|| "their weights differ".into())
    }
}

/// Files of an adapter's folder.
pub const CARD: &str = "adapter.json";
pub const WEIGHTS: &str = "adapter.safetensors";

/// An encoder with its adapter and heads, and the catalogue it speaks of.
pub struct IntentEncoder {
    encoder: Encoder,
    heads: Heads,
    pieces: WordPieces,
    catalogue: Arc<Catalogue>,
    card: Card,
}

impl IntentEncoder {
    /// `base`: a BERT in Hugging Face layout; `adapter`: a folder that `auriga-lm finetune` made on it.
    pub fn load(base: &Path, adapter: &Path, catalogue: Catalogue) -> Result<Self, JointError> {
        let path = adapter.display().to_string();
        let card = read_card(&adapter.join(CARD))?;
        if let Some(what) = card.layout.difference(&Layout::of(&catalogue)) {
            return Err(JointError::Catalogue { path, what });
        }
        let config = EncoderConfig::load(&base.join("config.json")).map_err(EncoderError::from)?;
        let tensors = Encoder::tensors(base)?;
        if let Some(what) = card.base.difference(&BaseMark::of(&config, &tensors)) {
            return Err(JointError::Base { path, base: base.display().to_string(), what });
        }
        let pieces = WordPieces::load(&base.join("tokenizer.json"))?;
        if pieces.vocabulary() > config.vocab_size {
            let (largest, vocabulary) = (pieces.vocabulary() - 1, config.vocab_size);
            return Err(JointError::Vocabulary { path: base.display().to_string(), largest, vocabulary });
        }
        let corrections = Weights::load_file(&adapter.join(WEIGHTS))?.into_tensors();
        Self::assemble(config, &tensors, corrections, pieces, catalogue, card, &path)
    }

    /// From parts: `corrections` are the adapter's tensors and the heads'; `path` is for messages.
    pub fn assemble(
        config: EncoderConfig,
        base: &BTreeMap<String, Tensor>,
        corrections: BTreeMap<String, Tensor>,
        pieces: WordPieces,
        catalogue: Catalogue,
        card: Card,
        path: &str,
    ) -> Result<Self, JointError> {
        let (heads, corrections): (BTreeMap<_, _>, BTreeMap<_, _>) =
            corrections.into_iter().partition(|(name, _)| name.starts_with("head."));
        let features = if card.scene { Context::size(card.layout.intents.len()) as i64 } else { 0 };
        let mut heads = Weights::from_tensors(heads, path);
        let loaded = Heads::load(&mut heads, &card.layout, config.hidden_size, features)?;
        heads.finish()?;
        let merged = tch::no_grad(|| lora::merge(base, &corrections, card.scale))
            .map_err(|source| JointError::Adapter { path: path.into(), source })?;
        let encoder = Encoder::from_weights(config, Weights::from_tensors(merged, path))?;
        Ok(Self { encoder, heads: loaded, pieces, catalogue: Arc::new(catalogue), card })
    }

    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    pub fn card(&self) -> &Card {
        &self.card
    }

    /// Slices of a classification: the layers, and the heads as one more.
    pub fn layers(&self) -> usize {
        self.encoder.config().layers + 1
    }

    /// Begins; nothing of the model is run yet. Words beyond what the encoder has positions for are left out
    /// ([`Classification::left_out`]).
    pub fn classify(&self, context: &Context, utterance: &str) -> Result<Classification, JointError> {
        let clean = clean_utterance(utterance);
        let words: Vec<&str> = clean.split(' ').filter(|w| !w.is_empty()).collect();
        if words.is_empty() {
            return Err(JointError::NoWords);
        }
        let room = self.encoder.config().max_positions as usize - usize::from(self.card.scene);
        let pieces = self.pieces.encode(&words, room)?;
        if pieces.words.is_empty() {
            return Err(JointError::NoWords);
        }
        let words = words[..pieces.words.len()].iter().map(|w| (*w).into()).collect();
        let features = context.features(&self.card.layout.intents);
        Ok(Classification { words, pieces, features, x: None, next_layer: 0, ranking: Vec::new() })
    }

    /// All at once.
    pub fn intent(&self, context: &Context, utterance: &str) -> Result<IntentOutput, JointError> {
        let mut run = self.classify(context, utterance)?;
        loop {
            if let Classified::Done(output) = run.step(self, Budget::UNLIMITED)?.state {
                return Ok(output);
            }
        }
    }

    /// What the heads say of the last layer.
    fn read(&self, run: &mut Classification, x: &Tensor) -> Result<IntentOutput, JointError> {
        let pooled = self.heads.pool(x);
        let scores = self.heads.scores(x, &pooled);
        let mut logits = values(&scores.intents.to_kind(Kind::Double))?;
        if let Some(outside) = self.card.layout.intents.iter().position(|i| i == OUT_OF_SCOPE) {
            logits[outside] += self.card.outside_bias;
        }
        let intents = calibration::probabilities(&logits, self.card.temperature);
        let places = Tensor::from_slice(&run.pieces.words);
        let tags = scores.tags.squeeze_dim(0).index_select(0, &places).log_softmax(-1, Kind::Double);
        let tags: Vec<Vec<f64>> = values(&tags)?.chunks(self.card.layout.tags()).map(<[f64]>::to_vec).collect();
        let mut choices = Vec::new();
        if let Some(all) = scores.choices {
            for i in 0..self.card.layout.choices.len() {
                let (from, count) = self.card.layout.outputs(i);
                choices.push(values(&all.narrow(1, from as i64, count as i64).softmax(-1, Kind::Double))?);
            }
        }
        let words: Vec<&str> = run.words.iter().map(String::as_str).collect();
        let heard = Heard { words: &words, intents: &intents, tags: &tags, choices: &choices };
        run.ranking =
            decode::ranking(&intents).into_iter().map(|i| (self.card.layout.intents[i].clone(), intents[i])).collect();
        Ok(decode::read(&self.card.layout, &self.catalogue, &heard, self.card.reject_below))
    }
}

/// The card of an adapter.
pub fn read_card(path: &Path) -> Result<Card, JointError> {
    let fail = |what: String| JointError::Card { path: path.display().to_string(), what };
    let text = std::fs::read_to_string(path).map_err(|e| fail(format!("cannot be read: {e}")))?;
    let card: Card = serde_json::from_str(&text).map_err(|e| fail(format!("is not the card of an adapter: {e}")))?;
    let sane = card.temperature.is_finite() && card.temperature > 0.0 && (0.0..=1.0).contains(&card.reject_below);
    if !sane || !card.scale.is_finite() || !card.outside_bias.is_finite() {
        return Err(fail("expected temperature > 0, reject_below 0..1 and numbers for scale and outside_bias".into()));
    }
    Ok(card)
}

fn values(tensor: &Tensor) -> Result<Vec<f64>, JointError> {
    let flat = tensor.flatten(0, -1).contiguous();
    let mut values = vec![0f64; flat.numel()];
    flat.copy_data(&mut values, flat.numel());
    if values.iter().any(|v| v.is_nan()) { Err(JointError::NotFinite) } else { Ok(values) }
}

/// Where a step has left a classification.
#[derive(Debug, Clone, PartialEq)]
pub enum Classified {
    /// The budget is spent; there is more to do.
    Paused,
    Done(IntentOutput),
}

#[derive(Debug, Clone, PartialEq)]
pub struct ClassifyStep {
    /// Layers run in this step; the heads count as one.
    pub layers: usize,
    pub state: Classified,
}

/// One utterance on its way to an intent. Drop it to cancel.
pub struct Classification {
    words: Vec<String>,
    pieces: Pieces,
    features: Vec<f32>,
    x: Option<Tensor>,
    next_layer: usize,
    ranking: Vec<(String, f64)>,
}

impl Classification {
    /// Goes on until the budget is spent or the intent is there. How the work is sliced has no influence on it.
    pub fn step(&mut self, of: &IntentEncoder, budget: Budget) -> Result<ClassifyStep, JointError> {
        tch::no_grad(|| {
            let mut layers = 0;
            while layers < budget.layers {
                let x = match self.x.take() {
                    Some(x) => x,
                    None => self.begin(of),
                };
                layers += 1;
                if self.next_layer == of.encoder.config().layers {
                    let state = Classified::Done(of.read(self, &x)?);
                    self.x = Some(x);
                    return Ok(ClassifyStep { layers, state });
                }
                self.x = Some(of.encoder.layer(self.next_layer, &x));
                self.next_layer += 1;
            }
            Ok(ClassifyStep { layers, state: Classified::Paused })
        })
    }

    fn begin(&self, of: &IntentEncoder) -> Tensor {
        let features = Tensor::from_slice(&self.features).unsqueeze(0);
        of.encoder.embed(&bert::batch(&[&self.pieces.tokens]), of.heads.scene(&features).as_ref())
    }

    /// All intents with their probabilities, the likeliest first; empty before the intent is there.
    pub fn ranking(&self) -> &[(String, f64)] {
        &self.ranking
    }

    /// Words at the end that there was no room for; what was understood does not know of them.
    pub fn left_out(&self) -> usize {
        self.pieces.left_out
    }
}
