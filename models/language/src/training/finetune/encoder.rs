//! The encoder's part of `auriga-lm finetune`: intents and slots of the car's grammar, or the intents of labelled
//! utterances.

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
            BaseMark, CARD, Card, WEIGHTS,
            calibration::{self, Scored},
            context::Context,
            heads::{self, Heads, Layout},
        },
    },
    training::{
        corpus::{Corpus, Example, Hearing, Split},
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

/// An utterance with what the heads should say of it.
#[derive(Debug, Clone)]
pub struct Item {
    tokens: Vec<i64>,
    /// Where words begin among the tokens, and the tag of each.
    words: Vec<i64>,
    tags: Vec<i64>,
    /// Of the context; empty where there is none.
    features: Vec<f32>,
    pub intent: usize,
    /// For each choice of the layout its value, or [`IGNORED`].
    choices: Vec<i64>,
}

/// A target that counts for nothing.
const IGNORED: i64 = -100;

enum Source {
    /// Made anew for each epoch.
    Grammar(Box<Corpus>),
    Labelled(Vec<Item>),
}

pub struct EncoderTask {
    options: Options,
    device: Device,
    config: EncoderConfig,
    base: BTreeMap<String, Tensor>,
    mark: BaseMark,
    pieces: WordPieces,
    layout: Layout,
    source: Source,
    validation: Vec<Item>,
}

/// Where set-up puts the base.
pub const BASE: &str = ".native/minilm";
/// Of the examples of [`Split::Tune`], and how many there are.
const TUNE: (u64, u64) = (500_009, 3000);
/// Every so many-th example of the grammar is one that needs its situation.
const IN_CONTEXT: u64 = 6;
/// Of all utterances in scope this share, which is understood, may be lost to the bound on confidence.
const REJECT_COST: f64 = 0.002;
/// The tags of a text count this many times its intent.
const TAG_WEIGHT: f64 = 2.0;
/// Texts that are run together where nothing is trained.
const TEST_GROUP: usize = 64;
/// Examples of each intent from which its head begins.
const PROTOTYPE: usize = 24;

impl EncoderTask {
    pub fn new(options: &Options) -> anyhow::Result<Self> {
        let folder = options.base.clone().unwrap_or_else(|| PathBuf::from(BASE));
        let hint = || format!("no base encoder in {}: run set-up (make setup), or give --base", folder.display());
        let config = EncoderConfig::load(&folder.join("config.json")).with_context(hint)?;
        let device = device(options)?;
        let tensors = Encoder::tensors(&folder)?;
        let mark = BaseMark::of(&config, &tensors);
        let base = tensors.into_iter().map(|(name, t)| (name, t.to_device(device))).collect();
        let pieces = WordPieces::load(&folder.join("tokenizer.json"))?;
        ensure!(
            pieces.vocabulary() <= config.vocab_size,
            "{}: tokenizer.json and config.json do not belong together",
            folder.display()
        );
        let (options, source) = (options.clone(), Source::Labelled(Vec::new()));
        let (layout, validation) = (Layout::default(), Vec::new());
        let mut task = Self { options, device, config, base, mark, pieces, layout, source, validation };
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
        let tune = |i| self.item(&grammar_example(&corpus, Split::Tune, TUNE.0, i));
        self.validation = (0..TUNE.1).map(tune).collect::<anyhow::Result<_>>()?;
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

    /// The class of what is none of the intents.
    fn outside(&self) -> Option<usize> {
        self.layout.intents.iter().position(|i| i == OUT_OF_SCOPE || i == OOS)
    }

    /// The base with all that is trained: heads, corrections and tensors that stand for the base's.
    fn model(&self, trained: BTreeMap<String, Tensor>, dropout: f64) -> anyhow::Result<(Encoder, Heads)> {
        let (heads, rest): (BTreeMap<_, _>, BTreeMap<_, _>) =
            trained.into_iter().partition(|(name, _)| name.starts_with("head."));
        let (parts, whole): (BTreeMap<_, _>, BTreeMap<_, _>) =
            rest.into_iter().partition(|(name, _)| lora::is_part(name));
        let mut heads = Weights::from_tensors(heads, "training");
        let loaded = Heads::load(&mut heads, &self.layout, self.config.hidden_size, self.features())?;
        let tensors = for_device(lora::merge(&self.base, &whole, 1.0)?, self.device);
        let corrections = (for_device(parts, self.device), self.options.scale);
        let weights = Weights::from_tensors(tensors, "training");
        Ok((Encoder::in_training(self.config.clone(), weights, &corrections, dropout)?, loaded))
    }

    /// The last layer for texts of one length, in f32, and the pooled texts.
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
            && let Some(outside) = self.outside()
        {
            loss += self.outlier_loss(&model.1, &pooled, &intents, outside as i64);
        }
        loss
    }

    /// For each text the mean over its words.
    fn tag_loss(&self, tags: &Tensor, group: &[Item]) -> Tensor {
        let time = tags.size()[1];
        let (mut places, mut targets, mut weights) = (Vec::new(), Vec::<i64>::new(), Vec::new());
        for (row, item) in group.iter().enumerate() {
            places.extend(item.words.iter().map(|w| row as i64 * time + w));
            targets.extend(&item.tags);
            weights.resize(weights.len() + item.tags.len(), 1.0 / item.tags.len() as f32);
        }
        let on = |t: Tensor| t.to_device(self.device);
        let rows = tags.flatten(0, 1).index_select(0, &on(Tensor::from_slice(&places)));
        let targets = on(Tensor::from_slice(&targets));
        let each = rows.cross_entropy_loss(&targets, None::<Tensor>, Reduction::None, IGNORED, 0.0);
        (each * on(Tensor::from_slice(&weights))).sum(Kind::Float)
    }

    /// Texts between two intents are none (arXiv 2106.08616): mixtures of pooled texts with those of the row before.
    fn outlier_loss(&self, heads: &Heads, pooled: &Tensor, intents: &[i64], outside: i64) -> Tensor {
        let count = intents.len() as i64;
        let share = Tensor::rand([count, 1], (Kind::Float, self.device)) * 0.6 + 0.2;
        let mixed = pooled * &share + pooled.roll([1], [0]) * (share.ones_like() - &share);
        // As long as texts are.
        let long = |x: &Tensor| x.norm_scalaropt_dim(2.0, [-1i64], true);
        let mixed = &mixed * (long(pooled) / (long(&mixed) + 1e-6));
        let other = |i: usize| intents[(i + intents.len() - 1) % intents.len()];
        let target = |i: usize| {
            let apart = intents[i] != other(i) && intents[i] != outside && other(i) != outside;
            if apart { outside } else { IGNORED }
        };
        let targets: Vec<i64> = (0..intents.len()).map(target).collect();
        let targets = Tensor::from_slice(&targets).to_device(self.device);
        let sum = heads.intents(&mixed).cross_entropy_loss(&targets, None::<Tensor>, Reduction::Sum, IGNORED, 0.0);
        sum * self.options.outliers
    }

    /// The logits of intents for the validation examples.
    fn scored(&self, model: &(Encoder, Heads)) -> anyhow::Result<Vec<Scored>> {
        let mut scored = Vec::new();
        let groups = data::steps(self.validation.clone(), |i| i.tokens.len(), TEST_GROUP, TEST_GROUP, 0, 0);
        for group in groups.iter().flatten() {
            let logits = tch::no_grad(|| model.1.intents(&self.run(model, group).1)).to_device(Device::Cpu);
            for (i, item) in group.iter().enumerate() {
                let logits = Vec::<f64>::try_from(logits.get(i as i64).to_kind(Kind::Double))?;
                scored.push(Scored { logits, label: item.intent });
            }
        }
        Ok(scored)
    }

    /// The head of intents begins as the directions of the intents' mean texts: what the base knows of their likeness.
    fn prototypes(&self) -> anyhow::Result<Tensor> {
        let mut examples: BTreeMap<usize, usize> = BTreeMap::new();
        let items: Vec<Item> = match &self.source {
            Source::Labelled(items) => items.clone(),
            Source::Grammar(corpus) => {
                let make = |i| self.item(&corpus.example(Split::Learn, Hearing::Clean, self.options.seed, i));
                (0..(self.layout.intents.len() * PROTOTYPE) as u64).map(make).collect::<anyhow::Result<_>>()?
            }
        };
        let mut few = items;
        few.retain(|i| {
            let count = examples.entry(i.intent).or_default();
            *count += 1;
            *count <= PROTOTYPE
        });
        let hidden = self.config.hidden_size;
        let float = (Kind::Float, self.device);
        let mut tensors = BTreeMap::new();
        for (name, shape) in heads::shapes(&self.layout, hidden, self.features()) {
            tensors.insert(name, Tensor::zeros(shape, float));
        }
        let model = self.model(tensors, 0.0)?;
        let mut sums = Tensor::zeros([self.layout.intents.len() as i64, hidden], float);
        for group in data::steps(few, |i| i.tokens.len(), TEST_GROUP, TEST_GROUP, 0, 0).iter().flatten() {
            let pooled = tch::no_grad(|| self.run(&model, group).1.narrow(1, 0, hidden));
            let rows: Vec<i64> = group.iter().map(|i| i.intent as i64).collect();
            sums = sums.index_add(0, &Tensor::from_slice(&rows).to_device(self.device), &pooled);
        }
        Ok(&sums / (sums.norm_scalaropt_dim(2.0, [-1i64], true) + 1e-6))
    }

    fn save(
        &self,
        trained: &[(String, Tensor)],
        [outside_bias, temperature, reject_below]: [f64; 3],
    ) -> anyhow::Result<()> {
        let out = &self.options.out;
        weights::save(trained, Kind::BFloat16, &out.join(WEIGHTS))?;
        let card = Card {
            base: self.mark.clone(),
            scale: self.options.scale,
            scene: self.features() > 0,
            outside_bias,
            temperature,
            reject_below,
            layout: self.layout.clone(),
        };
        fs::write(out.join(CARD), serde_json::to_string_pretty(&card)? + "\n")
            .with_context(|| format!("cannot write {}", out.join(CARD).display()))
    }
}

/// The example of this number, with those that need their situation among the others. Both kinds, and what is heard clean,
/// are numbered so that no intent of the round is passed over.
fn grammar_example(corpus: &Corpus, split: Split, seed: u64, i: u64) -> Example {
    let (round, within) = (i / IN_CONTEXT, i % IN_CONTEXT);
    let clean = (i + i / 64).is_multiple_of(3);
    let hearing = if clean { Hearing::Clean } else { Hearing::Noisy };
    let in_context = (within == 0).then(|| corpus.in_context(split, hearing, seed, round));
    let plain = || corpus.example(split, hearing, seed, round * (IN_CONTEXT - 1) + within.saturating_sub(1));
    in_context.flatten().unwrap_or_else(plain)
}

impl Task for EncoderTask {
    type Item = Item;

    fn base(&self) -> &BTreeMap<String, Tensor> {
        &self.base
    }

    fn matrices(&self) -> Vec<String> {
        if self.options.method == Method::Full {
            // Rare words keep what the base knows of them, and a step stays cheap.
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
                .map(|i| self.item(&grammar_example(corpus, Split::Learn, o.seed, i)))
                .collect::<anyhow::Result<_>>()?,
        };
        Ok(data::steps(items, |i| i.tokens.len(), o.batch, o.batch.div_ceil(2), o.seed, number))
    }

    fn loss(&self, trained: BTreeMap<String, Tensor>, step: &Step<Item>) -> anyhow::Result<Tensor> {
        let model = self.model(trained, self.options.dropout)?;
        let losses: Vec<Tensor> = step.iter().map(|group| self.group_loss(&model, group)).collect();
        Ok(Tensor::stack(&losses, 0).sum(Kind::Float))
    }

    fn test_and_save(&self, trained: &[(String, Tensor)]) -> anyhow::Result<f64> {
        let trained_here = trained.iter().map(|(n, t)| (n.clone(), t.to_device(self.device))).collect();
        let mut scored = self.scored(&self.model(trained_here, 0.0)?)?;
        let outside = self.outside();
        let outside_bias = outside.map_or(0.0, |o| calibration::outside_bias(&scored, o, self.options.outside_cost));
        if let Some(outside) = outside {
            scored.iter_mut().for_each(|s| s.logits[outside] += outside_bias);
        }
        let temperature = calibration::temperature(&scored);
        let reject_below = calibration::reject_below(&scored, temperature, outside, REJECT_COST);
        self.save(trained, [outside_bias, temperature, reject_below])?;
        let share = |bound: f64, out: bool| {
            let part: Vec<&Scored> = scored.iter().filter(|s| (Some(s.label) == outside) == out).collect();
            let right = |s: &&&Scored| {
                let (class, confidence) = s.best(temperature);
                if confidence < bound { out } else { class == s.label }
            };
            100.0 * part.iter().filter(right).count() as f64 / part.len().max(1) as f64
        };
        let outcome = |s: &Scored| {
            let (class, confidence) = s.best(temperature);
            (confidence, class == s.label)
        };
        let outcomes: Vec<_> = scored.iter().map(outcome).collect();
        println!(
            "temperature {temperature:.3}, ECE {:.4}, bias on out of scope {outside_bias:.1}",
            calibration::expected_error(&outcomes)
        );
        for bound in [0.0, reject_below] {
            println!(
                "  bound {bound:.2}: in scope {:.2} % right, out of scope {:.2} % recalled",
                share(bound, false),
                share(bound, true)
            );
        }
        Ok(outcomes.iter().filter(|(_, right)| *right).count() as f64 / outcomes.len().max(1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn an_epoch_has_every_intent_in_its_plain_phrasings_heard_clean_and_noisy() {
        let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let catalogue = Catalogue::load(here.join("intents.toml")).unwrap();
        let corpus = Corpus::load(&here.join("grammar.toml"), &catalogue).unwrap();
        let mut plain: BTreeMap<String, usize> = BTreeMap::new();
        let clean: BTreeSet<String> =
            (0..4000).map(|i| corpus.example(Split::Learn, Hearing::Clean, 5, i)).map(|e| e.utterance).collect();
        let mut in_clean: BTreeMap<String, usize> = BTreeMap::new();
        for i in (0..2400).filter(|i| i % IN_CONTEXT != 0) {
            let e = grammar_example(&corpus, Split::Learn, 5, i);
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
