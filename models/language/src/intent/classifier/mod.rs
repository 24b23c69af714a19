//! The intent and slot classifier: one pass of an encoder with heads, which can be paused after any layer.
//!
//! ```no_run,standalone_crate
//! use auriga_lm::{
//!     decoder::session::Budget,
//!     intent::{catalogue::Catalogue, classifier::{Classified, IntentClassifier, context::Context}},
//! };
//! use std::path::Path;
//!
//! let here = Path::new(env!("CARGO_MANIFEST_DIR"));
//! let catalogue = Catalogue::load(here.join("intents.toml"))?;
//! let encoder = IntentClassifier::load(&here.join("../../.native/minilm"), &here.join("intents-minilm"), catalogue)?;
//! let mut run = encoder.classify(&Context::default(), "set it to twenty one degrees")?;
//! let intent = loop {
//!     // After two layers the caller can check whether it should yield the processor.
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
            decode::HeadOutputs,
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

/// An error of the classifier.
#[derive(Debug, thiserror::Error)]
pub enum ClassifierError {
    /// The encoder cannot be loaded.
    #[error(transparent)]
    Encoder(#[from] EncoderError),
    /// The weights cannot be loaded.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The tokenizer cannot be loaded or used.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The adapter does not fit the base.
    #[error("{path}: {source}")]
    Adapter {
        /// The adapter.
        path: String,
        /// The cause.
        source: AdapterError,
    },
    /// The configuration of the adapter cannot be used.
    #[error("{path}: {what}")]
    Config {
        /// The file.
        path: String,
        /// The cause.
        what: String,
    },
    /// Tokenizer and encoder do not belong together.
    #[error(
        "{path}: tokenizer.json has token ids up to {largest}, the encoder a vocabulary of {vocabulary}: they do not belong together"
    )]
    Vocabulary {
        /// The base encoder.
        path: String,
        /// The largest token id of the tokenizer.
        largest: i64,
        /// Vocabulary size of the encoder.
        vocabulary: i64,
    },
    /// The adapter was trained for another catalogue.
    #[error("{path} was trained for another catalogue: {what}; train it again with `auriga-lm finetune`")]
    Catalogue {
        /// The adapter.
        path: String,
        /// The first difference.
        what: String,
    },
    /// The adapter was trained on another base.
    #[error(
        "{path} was trained on another base than {base}: {what}; run set-up (make setup), which fetches the right one"
    )]
    Base {
        /// The adapter.
        path: String,
        /// The base encoder.
        base: String,
        /// The difference.
        what: String,
    },
    /// The utterance has no words.
    #[error("the utterance has no words")]
    NoWords,
    /// The encoder computed NaN.
    #[error("the outputs of the encoder are not finite; its weights are damaged")]
    NotFinite,
}

/// `adapter.json`: the base and the catalogue of an adapter, and the calibration of its outputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdapterConfig {
    /// Identifies the base encoder.
    pub base: BaseFingerprint,
    /// Scale of the adapter ([`lora::merge`]).
    pub scale: f64,
    /// Whether the context is used.
    pub scene: bool,
    /// Calibration temperature: logits of intents are divided by it.
    pub temperature: f64,
    /// Added to the logit of `out_of_scope` before the temperature.
    #[serde(alias = "outside_bias")]
    pub out_of_scope_bias: f64,
    /// Intents with a lower probability are replaced by `out_of_scope`.
    pub reject_below: f64,
    /// The meaning of the outputs.
    pub layout: Layout,
}

/// Identifies the base encoder of an adapter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseFingerprint {
    /// Vocabulary size.
    pub vocab_size: i64,
    /// Size of the hidden state.
    pub hidden_size: i64,
    /// Number of layers.
    pub layers: usize,
    /// Sum of the absolute values of the first query matrix.
    pub first_query: f64,
}

impl BaseFingerprint {
    /// The fingerprint of a base.
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

/// Configuration file in the folder of an adapter.
pub const ADAPTER_CONFIG: &str = "adapter.json";
/// Weight file in the folder of an adapter.
pub const WEIGHTS: &str = "adapter.safetensors";

/// An encoder with its adapter and heads, and the intent catalogue.
pub struct IntentClassifier {
    encoder: Encoder,
    heads: Heads,
    pieces: WordPieces,
    catalogue: Arc<Catalogue>,
    adapter: AdapterConfig,
}

impl IntentClassifier {
    /// Loads a classifier. `base`: a BERT in Hugging Face layout; `adapter`: a folder that `auriga-lm finetune` made for it.
    ///
    /// # Errors
    /// A file that is missing or damaged, or an adapter that was trained for another base or catalogue.
    pub fn load(base: &Path, adapter: &Path, catalogue: Catalogue) -> Result<Self, ClassifierError> {
        let path = adapter.display().to_string();
        let adapter_config = read_adapter_config(&adapter.join(ADAPTER_CONFIG))?;
        if let Some(what) = adapter_config.layout.difference(&Layout::of(&catalogue)) {
            return Err(ClassifierError::Catalogue { path, what });
        }
        let config = EncoderConfig::load(&base.join("config.json")).map_err(EncoderError::from)?;
        let tensors = Encoder::tensors(base)?;
        if let Some(what) = adapter_config.base.difference(&BaseFingerprint::of(&config, &tensors)) {
            return Err(ClassifierError::Base { path, base: base.display().to_string(), what });
        }
        let pieces = WordPieces::load(&base.join("tokenizer.json"))?;
        if pieces.vocabulary() > config.vocab_size {
            let (largest, vocabulary) = (pieces.vocabulary() - 1, config.vocab_size);
            return Err(ClassifierError::Vocabulary { path: base.display().to_string(), largest, vocabulary });
        }
        let adapter_tensors = Weights::load_file(&adapter.join(WEIGHTS))?.into_tensors();
        Self::assemble(config, &tensors, adapter_tensors, pieces, catalogue, adapter_config, &path)
    }

    /// From parts. `tensors`: of adapter and heads; `path` is named in error messages.
    ///
    /// # Errors
    /// A tensor that is missing, unknown or of the wrong shape.
    pub fn assemble(
        config: EncoderConfig,
        base: &BTreeMap<String, Tensor>,
        tensors: BTreeMap<String, Tensor>,
        pieces: WordPieces,
        catalogue: Catalogue,
        adapter_config: AdapterConfig,
        path: &str,
    ) -> Result<Self, ClassifierError> {
        let (heads, adapter): (BTreeMap<_, _>, BTreeMap<_, _>) =
            tensors.into_iter().partition(|(name, _)| name.starts_with("head."));
        let features = if adapter_config.scene { Context::size(adapter_config.layout.intents.len()) as i64 } else { 0 };
        let mut heads = Weights::from_tensors(heads, path);
        let loaded = Heads::load(&mut heads, &adapter_config.layout, config.hidden_size, features)?;
        heads.finish()?;
        let merged = tch::no_grad(|| lora::merge(base, &adapter, adapter_config.scale))
            .map_err(|source| ClassifierError::Adapter { path: path.into(), source })?;
        let encoder = Encoder::from_weights(config, Weights::from_tensors(merged, path))?;
        Ok(Self { encoder, heads: loaded, pieces, catalogue: Arc::new(catalogue), adapter: adapter_config })
    }

    /// The intent catalogue.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The configuration of the adapter.
    pub fn adapter_config(&self) -> &AdapterConfig {
        &self.adapter
    }

    /// Layers of a classification; the heads count as one.
    pub fn layers(&self) -> usize {
        self.encoder.config().layers + 1
    }

    /// Begins a classification; no layer is run yet. Words at the end that do not fit are left out
    /// ([`Classification::truncated_words`]).
    ///
    /// # Errors
    /// [`ClassifierError::NoWords`], or an utterance that cannot be tokenized.
    pub fn classify(&self, context: &Context, utterance: &str) -> Result<Classification, ClassifierError> {
        let clean = clean_utterance(utterance);
        let words: Vec<&str> = clean.split(' ').filter(|w| !w.is_empty()).collect();
        if words.is_empty() {
            return Err(ClassifierError::NoWords);
        }
        let room = self.encoder.config().max_positions as usize - usize::from(self.adapter.scene);
        let pieces = self.pieces.encode(&words, room)?;
        if pieces.words.is_empty() {
            return Err(ClassifierError::NoWords);
        }
        let words = words[..pieces.words.len()].iter().map(|w| (*w).into()).collect();
        let features = context.features(&self.adapter.layout.intents);
        Ok(Classification { words, pieces, features, x: None, next_layer: 0, ranking: Vec::new() })
    }

    /// Classifies an utterance, with no limit on the work.
    ///
    /// # Errors
    /// As [`IntentClassifier::classify`], and outputs that are not finite.
    pub fn intent(&self, context: &Context, utterance: &str) -> Result<IntentOutput, ClassifierError> {
        let mut run = self.classify(context, utterance)?;
        loop {
            if let Classified::Done(output) = run.step(self, Budget::UNLIMITED)?.state {
                return Ok(output);
            }
        }
    }

    /// Runs the heads on x of the last layer, and decodes their outputs.
    fn run_heads(&self, run: &mut Classification, x: &Tensor) -> Result<IntentOutput, ClassifierError> {
        let pooled = self.heads.pool(x);
        let scores = self.heads.scores(x, &pooled);
        let mut logits = values(&scores.intents.to_kind(Kind::Double))?;
        if let Some(outside) = self.adapter.layout.intents.iter().position(|i| i == OUT_OF_SCOPE) {
            logits[outside] += self.adapter.out_of_scope_bias;
        }
        let intents = calibration::probabilities(&logits, self.adapter.temperature);
        let places = Tensor::from_slice(&run.pieces.words);
        let tags = scores.tags.squeeze_dim(0).index_select(0, &places).log_softmax(-1, Kind::Double);
        let tags: Vec<Vec<f64>> = values(&tags)?.chunks(self.adapter.layout.tags()).map(<[f64]>::to_vec).collect();
        let mut choices = Vec::new();
        if let Some(all) = scores.choices {
            for i in 0..self.adapter.layout.choices.len() {
                let (from, count) = self.adapter.layout.outputs(i);
                choices.push(values(&all.narrow(1, from as i64, count as i64).softmax(-1, Kind::Double))?);
            }
        }
        let words: Vec<&str> = run.words.iter().map(String::as_str).collect();
        let outputs = HeadOutputs { words: &words, intents: &intents, tags: &tags, choices: &choices };
        run.ranking = decode::ranking(&intents)
            .into_iter()
            .map(|i| (self.adapter.layout.intents[i].clone(), intents[i]))
            .collect();
        Ok(decode::decode(&self.adapter.layout, &self.catalogue, &outputs, self.adapter.reject_below))
    }
}

/// Reads the configuration of an adapter.
///
/// # Errors
/// A file that cannot be read or parsed, or values out of bounds.
pub fn read_adapter_config(path: &Path) -> Result<AdapterConfig, ClassifierError> {
    let fail = |what: String| ClassifierError::Config { path: path.display().to_string(), what };
    let text = std::fs::read_to_string(path).map_err(|e| fail(format!("cannot be read: {e}")))?;
    let adapter_config: AdapterConfig =
        serde_json::from_str(&text).map_err(|e| fail(format!("is not the configuration of an adapter: {e}")))?;
    let sane = adapter_config.temperature.is_finite()
        && adapter_config.temperature > 0.0
        && (0.0..=1.0).contains(&adapter_config.reject_below);
    if !sane || !adapter_config.scale.is_finite() || !adapter_config.out_of_scope_bias.is_finite() {
        return Err(fail(
            "expected temperature > 0, reject_below 0..1 and numbers for scale and out_of_scope_bias".into(),
        ));
    }
    Ok(adapter_config)
}

fn values(tensor: &Tensor) -> Result<Vec<f64>, ClassifierError> {
    let flat = tensor.flatten(0, -1).contiguous();
    let mut values = vec![0f64; flat.numel()];
    flat.copy_data(&mut values, flat.numel());
    if values.iter().any(|v| v.is_nan()) { Err(ClassifierError::NotFinite) } else { Ok(values) }
}

/// State of a classification after a step.
#[derive(Debug, Clone, PartialEq)]
pub enum Classified {
    /// The budget is used up; there is more to do.
    Paused,
    /// The intent is complete.
    Done(IntentOutput),
}

/// The result of [`Classification::step`].
#[derive(Debug, Clone, PartialEq)]
pub struct ClassifyStep {
    /// Layers run in this step; the heads count as one.
    pub layers: usize,
    /// State of the classification after the step.
    pub state: Classified,
}

/// The classification of one utterance. Drop it to cancel.
pub struct Classification {
    words: Vec<String>,
    pieces: Pieces,
    features: Vec<f32>,
    x: Option<Tensor>,
    next_layer: usize,
    ranking: Vec<(String, f64)>,
}

impl Classification {
    /// Runs until the budget is used up or the intent is complete. How the work is sliced has no influence on the result.
    ///
    /// # Errors
    /// Outputs that are not finite.
    pub fn step(&mut self, of: &IntentClassifier, budget: Budget) -> Result<ClassifyStep, ClassifierError> {
        tch::no_grad(|| {
            let mut layers = 0;
            while layers < budget.layers {
                let x = match self.x.take() {
                    Some(x) => x,
                    None => self.begin(of),
                };
                layers += 1;
                if self.next_layer == of.encoder.config().layers {
                    let state = Classified::Done(of.run_heads(self, &x)?);
                    self.x = Some(x);
                    return Ok(ClassifyStep { layers, state });
                }
                self.x = Some(of.encoder.layer(self.next_layer, &x));
                self.next_layer += 1;
            }
            Ok(ClassifyStep { layers, state: Classified::Paused })
        })
    }

    fn begin(&self, of: &IntentClassifier) -> Tensor {
        let features = Tensor::from_slice(&self.features).unsqueeze(0);
        of.encoder.embed(&bert::batch(&[&self.pieces.tokens]), of.heads.scene(&features).as_ref())
    }

    /// All intents with their probabilities, most likely first; empty before the intent is complete.
    pub fn ranking(&self) -> &[(String, f64)] {
        &self.ranking
    }

    /// Number of words at the end that did not fit and were not used.
    pub fn truncated_words(&self) -> usize {
        self.pieces.truncated_words
    }
}
