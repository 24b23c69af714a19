//! Fine-tuning of the encoder: intents and slots of the car's grammar, or intents of labelled utterances.

use crate::{
    decoder::weights::{self, Weights},
    encoder::{
        bert::{self, Encoder, MATRICES},
        config::EncoderConfig,
        text::WordPieces,
    },
    intent::{
        catalogue::{Catalogue, OUT_OF_SCOPE},
        classifier::{
            ADAPTER_CONFIG, AdapterConfig, BaseFingerprint, WEIGHTS,
            calibration::{self, Scored},
            context::Context,
            heads::{self, Heads, Layout},
        },
    },
    training::{
        corpus::{Corpus, Example, Split, Transcript},
        finetune::{
            data::{self, Labelled, OOS, Step},
            options::{Method, Options, device, for_device},
            task::Task,
        },
        lora,
    },
};
use anyhow::{Context as _, ensure};
use std::{collections::BTreeMap, fs, path::PathBuf};
use tch::{Device, Kind, Reduction, Tensor};

/// A tokenized utterance with the targets of the heads.
#[derive(Debug, Clone)]
pub struct Item {
    tokens: Vec<i64>,
    /// Index of the first token of each word.
    words: Vec<i64>,
    /// The tag of each word.
    tags: Vec<i64>,
    /// Features of the context; empty without context.
    features: Vec<f32>,
    /// The class of the intent.
    pub intent: usize,
    /// The value for each choice of the layout, or [`IGNORED`].
    choices: Vec<i64>,
}

/// A target without loss.
const IGNORED: i64 = -100;

enum Source {
    /// Generated anew for each epoch.
    Grammar(Box<Corpus>),
    Labelled(Vec<Item>),
}

/// Fine-tuning of an encoder.
pub struct EncoderTask {
    options: Options,
    device: Device,
    config: EncoderConfig,
    base: BTreeMap<String, Tensor>,
    fingerprint: BaseFingerprint,
    pieces: WordPieces,
    layout: Layout,
    source: Source,
    validation: Vec<Item>,
}

/// The folder of the base encoder that set-up fetches.
pub const BASE: &str = ".native/minilm";
/// Seed and number of the validation examples of the grammar.
const VALIDATION: (u64, u64) = (500_009, 3000);
/// One in this many examples of the grammar needs its context.
const IN_CONTEXT: u64 = 6;
/// Share of correct in-scope utterances that the confidence threshold may reject.
const REJECT_COST: f64 = 0.002;
/// Weight of the tag loss; the intent loss has weight 1.
const TAG_WEIGHT: f64 = 2.0;
/// Batch size of evaluation.
const EVALUATION_BATCH: usize = 64;
/// Examples per intent for the initial weights of the intent head.
const PROTOTYPE_EXAMPLES: usize = 24;

impl EncoderTask {
    /// Loads base and data.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn new(options: &Options) -> anyhow::Result<Self> {
        let folder = options.base.clone().unwrap_or_else(|| PathBuf::from(BASE));
        let hint = || format!("no base encoder in {}: run set-up (make setup), or give --base", folder.display());
        let config = EncoderConfig::load(&folder.join("config.json")).with_context(hint)?;
        let device = device(options)?;
        let tensors = Encoder::tensors(&folder)?;
        let fingerprint = BaseFingerprint::of(&config, &tensors);
        let base = tensors.into_iter().map(|(name, t)| (name, t.to_device(device))).collect();
        let pieces = WordPieces::load(&folder.join("tokenizer.json"))?;
        ensure!(
            pieces.vocabulary() <= config.vocab_size,
            "{}: tokenizer.json and config.json do not belong together",
            folder.display()
        );
        let (options, source) = (options.clone(), Source::Labelled(Vec::new()));
        let (layout, validation) = (Layout::default(), Vec::new());
        let mut task = Self { options, device, config, base, fingerprint, pieces, layout, source, validation };
        task.read_data()?;
        Ok(task)
    }

    fn read_data(&mut self) -> anyhow::Result<()> {
        if let Some(path) = &self.options.data {
            let data = Labelled::load(path)?;
            self.layout = Layout { intents: data.labels(), ..Layout::default() };
            let items = |part: &[(String, String)]| part.iter().map(|(u, l)| self.labelled(u, l)).collect();
            let (train, validation): (anyhow::Result<_>, anyhow::Result<_>) =
                (items(&data.train), items(&data.validation));
            (self.source, self.validation) = (Source::Labelled(train?), validation?);
            return Ok(());
        }
        let catalogue = Catalogue::load(&self.options.catalogue)?;
        self.layout = Layout::of(&catalogue);
        let corpus = Corpus::load(&self.options.grammar, &catalogue)?;
        let validation = |i| self.item(&grammar_example(&corpus, Split::Validation, VALIDATION.0, i));
        self.validation = (0..VALIDATION.1).map(validation).collect::<anyhow::Result<_>>()?;
        self.source = Source::Grammar(Box::new(corpus));
        Ok(())
    }

    fn labelled(&self, utterance: &str, label: &str) -> anyhow::Result<Item> {
        let words: Vec<&str> = utterance.split(' ').collect();
        let pieces = self.pieces.encode(&words, self.config.max_positions as usize)?;
        let intent = self.layout.intents.binary_search_by(|i| i.as_str().cmp(label));
        let intent = intent.ok().with_context(|| format!("the intent {label:?} is not among those trained on"))?;
        let (tokens, tags) = (pieces.tokens, vec![0; pieces.words.len()]);
        Ok(Item { tokens, words: pieces.words, tags, features: Vec::new(), intent, choices: Vec::new() })
    }

    fn item(&self, e: &Example) -> anyhow::Result<Item> {
        let words: Vec<&str> = e.utterance.split(' ').collect();
        let pieces = self.pieces.encode(&words, self.config.max_positions as usize - 1)?;
        let l = &self.layout;
        let mut tags: Vec<i64> = Vec::new();
        for (i, slot) in e.slot_words.iter().enumerate().take(pieces.words.len()) {
            let begins = slot.and_then(|s| l.begins(&e.intent.slots[s].0));
            let goes_on = i > 0 && e.slot_words[i - 1] == *slot;
            tags.push(begins.map_or(0, |b| b as i64 + i64::from(goes_on)));
        }
        let choice = |c: &heads::Choice| {
            let value = e.intent.slot(&c.slot);
            let place = |v: &str| c.values.iter().position(|known| known == v);
            if c.intent == e.intent.name { value.and_then(place).map_or(0, |i| i as i64 + 1) } else { IGNORED }
        };
        let intent = l.intents.iter().position(|i| *i == e.intent.name);
        Ok(Item {
            tokens: pieces.tokens,
            words: pieces.words,
            tags,
            features: e.context().features(&l.intents),
            intent: intent.with_context(|| format!("the intent {} is not in the catalogue", e.intent.name))?,
            choices: l.choices.iter().map(choice).collect(),
        })
    }

    fn features(&self) -> i64 {
        if self.options.data.is_some() { 0 } else { Context::size(self.layout.intents.len()) as i64 }
    }

    /// The out-of-scope class.
    fn out_of_scope(&self) -> Option<usize> {
        self.layout.intents.iter().position(|i| i == OUT_OF_SCOPE || i == OOS)
    }

    /// Encoder and heads with the trained tensors: heads, adapters and replaced tensors of the base.
    fn model(&self, trained: BTreeMap<String, Tensor>, dropout: f64) -> anyhow::Result<(Encoder, Heads)> {
        let (heads, rest): (BTreeMap<_, _>, BTreeMap<_, _>) =
            trained.into_iter().partition(|(name, _)| name.starts_with("head."));
        let (adapters, replaced): (BTreeMap<_, _>, BTreeMap<_, _>) =
            rest.into_iter().partition(|(name, _)| lora::is_lora_tensor(name));
        let mut heads = Weights::from_tensors(heads, "training");
        let loaded = Heads::load(&mut heads, &self.layout, self.config.hidden_size, self.features())?;
        let tensors = for_device(lora::merge(&self.base, &replaced, 1.0)?, self.device);
        let adapters = (for_device(adapters, self.device), self.options.scale);
        let weights = Weights::from_tensors(tensors, "training");
        Ok((Encoder::for_training(self.config.clone(), weights, &adapters, dropout)?, loaded))
    }

    /// The output of the last layer for texts of the same length in f32, and the pooled vectors.
    fn run(&self, model: &(Encoder, Heads), group: &[Item]) -> (Tensor, Tensor) {
        let (encoder, heads) = model;
        let texts: Vec<&[i64]> = group.iter().map(|i| &i.tokens[..]).collect();
        let features: Vec<f32> = group.iter().flat_map(|i| i.features.iter().copied()).collect();
        let rows = Tensor::from_slice(&features).view([group.len() as i64, self.features()]).to_device(self.device);
        let scene = if features.is_empty() { None } else { heads.scene(&rows) };
        let x = encoder.forward(&bert::batch(&texts).to_device(self.device), scene.as_ref()).to_kind(Kind::Float);
        let pooled = heads.pool(&x);
        (x, pooled)
    }

    fn group_loss(&self, model: &(Encoder, Heads), group: &[Item]) -> Tensor {
        let (x, pooled) = self.run(model, group);
        let scores = model.1.scores(&x, &pooled);
        let sum = |logits: &Tensor, targets: Vec<i64>| {
            let targets = Tensor::from_slice(&targets).to_device(self.device);
            logits.cross_entropy_loss(&targets, None::<Tensor>, Reduction::Sum, IGNORED, 0.0)
        };
        let intents: Vec<i64> = group.iter().map(|i| i.intent as i64).collect();
        let mut loss = sum(&scores.intents, intents.clone());
        if self.layout.tags() > 1 {
            loss += self.tag_loss(&scores.tags, group) * TAG_WEIGHT;
        }
        if let Some(all) = &scores.choices {
            for c in 0..self.layout.choices.len() {
                let targets: Vec<i64> = group.iter().map(|i| i.choices[c]).collect();
                let (from, count) = self.layout.outputs(c);
                if targets.iter().any(|t| *t != IGNORED) {
                    loss += sum(&all.narrow(1, from as i64, count as i64), targets);
                }
            }
        }
        if self.options.outliers > 0.0
            && let Some(out_of_scope) = self.out_of_scope()
        {
            loss += self.outlier_loss(&model.1, &pooled, &intents, out_of_scope as i64);
        }
        loss
    }

    /// The tag loss: for each text the mean over its words.
    fn tag_loss(&self, tags: &Tensor, group: &[Item]) -> Tensor {
        let time = tags.size()[1];
        let (mut positions, mut targets, mut weights) = (Vec::new(), Vec::<i64>::new(), Vec::new());
        for (row, item) in group.iter().enumerate() {
            positions.extend(item.words.iter().map(|w| row as i64 * time + w));
            targets.extend(&item.tags);
            weights.resize(weights.len() + item.tags.len(), 1.0 / item.tags.len() as f32);
        }
        let on = |t: Tensor| t.to_device(self.device);
        let rows = tags.flatten(0, 1).index_select(0, &on(Tensor::from_slice(&positions)));
        let targets = on(Tensor::from_slice(&targets));
        let each = rows.cross_entropy_loss(&targets, None::<Tensor>, Reduction::None, IGNORED, 0.0);
        (each * on(Tensor::from_slice(&weights))).sum(Kind::Float)
    }

    /// The outlier loss (arXiv 2106.08616): mixtures of pooled vectors of two intents are out of scope.
    fn outlier_loss(&self, heads: &Heads, pooled: &Tensor, intents: &[i64], out_of_scope: i64) -> Tensor {
        let count = intents.len() as i64;
        let share = Tensor::rand([count, 1], (Kind::Float, self.device)) * 0.6 + 0.2;
        let mixed = pooled * &share + pooled.roll([1], [0]) * (share.ones_like() - &share);
        // Scaled to the norm of the pooled vectors.
        let norm = |x: &Tensor| x.norm_scalaropt_dim(2.0, [-1i64], true);
        let mixed = &mixed * (norm(pooled) / (norm(&mixed) + 1e-6));
        let other = |i: usize| intents[(i + intents.len() - 1) % intents.len()];
        let target = |i: usize| {
            let differ = intents[i] != other(i) && intents[i] != out_of_scope && other(i) != out_of_scope;
            if differ { out_of_scope } else { IGNORED }
        };
        let targets: Vec<i64> = (0..intents.len()).map(target).collect();
        let targets = Tensor::from_slice(&targets).to_device(self.device);
        let sum = heads.intents(&mixed).cross_entropy_loss(&targets, None::<Tensor>, Reduction::Sum, IGNORED, 0.0);
        sum * self.options.outliers
    }

    /// The intent logits of the validation examples.
    fn scored(&self, model: &(Encoder, Heads)) -> anyhow::Result<Vec<Scored>> {
        let mut scored = Vec::new();
        let groups = data::steps(self.validation.clone(), |i| i.tokens.len(), EVALUATION_BATCH, EVALUATION_BATCH, 0, 0);
        for group in groups.iter().flatten() {
            let logits = tch::no_grad(|| model.1.intents(&self.run(model, group).1)).to_device(Device::Cpu);
            for (i, item) in group.iter().enumerate() {
                let logits = Vec::<f64>::try_from(logits.get(i as i64).to_kind(Kind::Double))?;
                scored.push(Scored { logits, label: item.intent });
            }
        }
        Ok(scored)
    }

    /// Initial weights of the intent head: the normalized mean pooled vector of each intent in the base model.
    fn prototypes(&self) -> anyhow::Result<Tensor> {
        let mut examples: BTreeMap<usize, usize> = BTreeMap::new();
        let items: Vec<Item> = match &self.source {
            Source::Labelled(items) => items.clone(),
            Source::Grammar(corpus) => {
                let make = |i| {
                    self.item(&corpus.example(Split::TrainWithoutValidation, Transcript::Clean, self.options.seed, i))
                };
                (0..(self.layout.intents.len() * PROTOTYPE_EXAMPLES) as u64).map(make).collect::<anyhow::Result<_>>()?
            }
        };
        let mut few = items;
        few.retain(|i| {
            let count = examples.entry(i.intent).or_default();
            *count += 1;
            *count <= PROTOTYPE_EXAMPLES
        });
        let hidden = self.config.hidden_size;
        let float = (Kind::Float, self.device);
        let mut tensors = BTreeMap::new();
        for (name, shape) in heads::shapes(&self.layout, hidden, self.features()) {
            tensors.insert(name, Tensor::zeros(shape, float));
        }
        let model = self.model(tensors, 0.0)?;
        let mut sums = Tensor::zeros([self.layout.intents.len() as i64, hidden], float);
        for group in data::steps(few, |i| i.tokens.len(), EVALUATION_BATCH, EVALUATION_BATCH, 0, 0).iter().flatten() {
            let pooled = tch::no_grad(|| self.run(&model, group).1.narrow(1, 0, hidden));
            let rows: Vec<i64> = group.iter().map(|i| i.intent as i64).collect();
            sums = sums.index_add(0, &Tensor::from_slice(&rows).to_device(self.device), &pooled);
        }
        Ok(&sums / (sums.norm_scalaropt_dim(2.0, [-1i64], true) + 1e-6))
    }

    fn save(
        &self,
        trained: &[(String, Tensor)],
        [out_of_scope_bias, temperature, reject_below]: [f64; 3],
    ) -> anyhow::Result<()> {
        let out = &self.options.out;
        weights::save(trained, Kind::BFloat16, &out.join(WEIGHTS))?;
        let config = AdapterConfig {
            base: self.fingerprint.clone(),
            scale: self.options.scale,
            scene: self.features() > 0,
            out_of_scope_bias,
            temperature,
            reject_below,
            layout: self.layout.clone(),
        };
        fs::write(out.join(ADAPTER_CONFIG), serde_json::to_string_pretty(&config)? + "\n")
            .with_context(|| format!("cannot write {}", out.join(ADAPTER_CONFIG).display()))
    }
}

/// The example of this number; one in [`IN_CONTEXT`] needs its context. The numbers are chosen so that every intent occurs in
/// both kinds, clean and noisy.
fn grammar_example(corpus: &Corpus, split: Split, seed: u64, i: u64) -> Example {
    let (round, within) = (i / IN_CONTEXT, i % IN_CONTEXT);
    let clean = (i + i / 64).is_multiple_of(3);
    let transcript = if clean { Transcript::Clean } else { Transcript::Noisy };
    let in_context = (within == 0).then(|| corpus.in_context(split, transcript, seed, round));
    let plain = || corpus.example(split, transcript, seed, round * (IN_CONTEXT - 1) + within.saturating_sub(1));
    in_context.flatten().unwrap_or_else(plain)
}

impl Task for EncoderTask {
    type Item = Item;

    fn base(&self) -> &BTreeMap<String, Tensor> {
        &self.base
    }

    fn matrices(&self) -> Vec<String> {
        if self.options.method == Method::Full {
            // The word embedding is not trained: rare words keep their meaning, and a step stays cheap.
            return self.base.keys().filter(|n| *n != "embeddings.word_embeddings.weight").cloned().collect();
        }
        let layers = 0..self.config.layers;
        layers.flat_map(|l| MATRICES.map(|m| format!("encoder.layer.{l}.{m}.weight"))).collect()
    }

    fn heads(&self) -> anyhow::Result<Vec<(String, Tensor)>> {
        let hidden = self.config.hidden_size;
        let begin = |name: &str, shape: &[i64]| -> anyhow::Result<Tensor> {
            let float = (Kind::Float, Device::Cpu);
            Ok(match name {
                "head.intent.weight" => {
                    let prototypes = self.prototypes()?.to_device(Device::Cpu);
                    Tensor::cat(&[prototypes, Tensor::zeros([shape[0], shape[1] - hidden], float)], 1)
                }
                "head.scene.weight" => Tensor::randn(shape, float) * 0.02,
                _ => Tensor::zeros(shape, float),
            })
        };
        let shapes = heads::shapes(&self.layout, hidden, self.features());
        shapes.into_iter().map(|(name, shape)| begin(&name, &shape).map(|t| (name, t))).collect()
    }

    fn epoch(&self, number: u64) -> anyhow::Result<Vec<Step<Item>>> {
        let o = &self.options;
        let items = match &self.source {
            Source::Labelled(items) => items.clone(),
            Source::Grammar(corpus) => (number * o.epoch_size..(number + 1) * o.epoch_size)
                .map(|i| self.item(&grammar_example(corpus, Split::TrainWithoutValidation, o.seed, i)))
                .collect::<anyhow::Result<_>>()?,
        };
        Ok(data::steps(items, |i| i.tokens.len(), o.batch, o.batch.div_ceil(2), o.seed, number))
    }

    fn loss(&self, trained: BTreeMap<String, Tensor>, step: &Step<Item>) -> anyhow::Result<Tensor> {
        let model = self.model(trained, self.options.dropout)?;
        let losses: Vec<Tensor> = step.iter().map(|group| self.group_loss(&model, group)).collect();
        Ok(Tensor::stack(&losses, 0).sum(Kind::Float))
    }

    fn evaluate_and_save(&self, trained: &[(String, Tensor)]) -> anyhow::Result<f64> {
        let trained_here = trained.iter().map(|(n, t)| (n.clone(), t.to_device(self.device))).collect();
        let mut scored = self.scored(&self.model(trained_here, 0.0)?)?;
        let out_of_scope = self.out_of_scope();
        let out_of_scope_bias =
            out_of_scope.map_or(0.0, |o| calibration::out_of_scope_bias(&scored, o, self.options.out_of_scope_cost));
        if let Some(class) = out_of_scope {
            scored.iter_mut().for_each(|s| s.logits[class] += out_of_scope_bias);
        }
        let temperature = calibration::temperature(&scored);
        let reject_below = calibration::reject_below(&scored, temperature, out_of_scope, REJECT_COST);
        self.save(trained, [out_of_scope_bias, temperature, reject_below])?;
        let share = |bound: f64, out: bool| {
            let part: Vec<&Scored> = scored.iter().filter(|s| (Some(s.label) == out_of_scope) == out).collect();
            let correct = |s: &&&Scored| {
                let (class, confidence) = s.best(temperature);
                if confidence < bound { out } else { class == s.label }
            };
            100.0 * part.iter().filter(correct).count() as f64 / part.len().max(1) as f64
        };
        let outcome = |s: &Scored| {
            let (class, confidence) = s.best(temperature);
            (confidence, class == s.label)
        };
        let outcomes: Vec<_> = scored.iter().map(outcome).collect();
        println!(
            "temperature {temperature:.3}, ECE {:.4}, bias on out of scope {out_of_scope_bias:.1}",
            calibration::expected_calibration_error(&outcomes)
        );
        for bound in [0.0, reject_below] {
            println!(
                "  threshold {bound:.2}: in-scope accuracy {:.2} %, out-of-scope recall {:.2} %",
                share(bound, false),
                share(bound, true)
            );
        }
        Ok(outcomes.iter().filter(|(_, correct)| *correct).count() as f64 / outcomes.len().max(1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn an_epoch_has_every_intent_clean_and_noisy() {
        let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let catalogue = Catalogue::load(here.join("intents.toml")).unwrap();
        let corpus = Corpus::load(&here.join("grammar.toml"), &catalogue).unwrap();
        let mut plain: BTreeMap<String, usize> = BTreeMap::new();
        let clean: BTreeSet<String> = (0..4000)
            .map(|i| corpus.example(Split::TrainWithoutValidation, Transcript::Clean, 5, i))
            .map(|e| e.utterance)
            .collect();
        let mut in_clean: BTreeMap<String, usize> = BTreeMap::new();
        for i in (0..2400).filter(|i| i % IN_CONTEXT != 0) {
            let e = grammar_example(&corpus, Split::TrainWithoutValidation, 5, i);
            *plain.entry(e.intent.name.clone()).or_default() += 1;
            *in_clean.entry(e.intent.name).or_default() += usize::from(clean.contains(&e.utterance));
        }
        for intent in catalogue.intents() {
            let count = plain.get(&intent.name).copied().unwrap_or(0);
            assert!(count >= 2000 / 42, "{}: {count}", intent.name);
            assert!(in_clean[&intent.name] > 0, "{}", intent.name);
        }
    }
}
