//! Fine-tuning of the decoder on dialogues generated from the grammar.

use crate::{
    decoder::{
        config::Config,
        model::Model,
        weights::{self, Weights},
    },
    dialogue::{codec::Codec, tokenizer::Tokenizer, turn::Lm},
    intent::{catalogue::Catalogue, classifier::WEIGHTS},
    training::{
        corpus::{Corpus, Split, Transcript},
        evaluate,
        finetune::{
            data::{self, Step},
            options::{Method, Options, device, for_device},
            task::Task,
        },
        lora,
        pretrain::{self, Sequence},
    },
};
use anyhow::{Context, ensure};
use std::{collections::BTreeMap, fs, path::PathBuf};
use tch::{Device, Kind, Tensor};

/// Fine-tuning of a decoder.
pub struct DecoderTask {
    options: Options,
    device: Device,
    folder: PathBuf,
    config: Config,
    base: BTreeMap<String, Tensor>,
    corpus: Corpus,
    codec: Codec,
}

const BASE: &str = "models/language/checkpoint";
/// Sequences are grouped by length in steps of this many tokens, and padded within.
const LENGTH_STEP: usize = 8;
/// Seed of the names and scenes of the held-out set during training.
const EVALUATION_SEED: u64 = 77;

impl DecoderTask {
    /// Loads the base and the corpus.
    ///
    /// # Errors
    /// A file that cannot be read, or a base that is quantised.
    pub fn new(options: &Options) -> anyhow::Result<Self> {
        ensure!(
            options.data.is_none(),
            "--data is for the encoder: the decoder is trained on dialogues of the --grammar"
        );
        let folder = options.base.clone().unwrap_or_else(|| PathBuf::from(BASE));
        let config = Config::load(&folder.join("config.json"))?;
        ensure!(config.quantised.is_none(), "{} is quantised: train the original weights", folder.display());
        let device = device(options)?;
        let tensors = Weights::load(&folder)?.into_tensors();
        let base = tensors.into_iter().map(|(name, t)| (name, t.to_device(device))).collect();
        let corpus = Corpus::load(&options.grammar, &Catalogue::load(&options.catalogue)?)?;
        let codec = Codec::new(Tokenizer::load(&folder.join("tokenizer.json"))?)?;
        Ok(Self { options: options.clone(), device, folder, config, base, corpus, codec })
    }
}

impl Task for DecoderTask {
    type Item = Sequence;

    fn base(&self) -> &BTreeMap<String, Tensor> {
        &self.base
    }

    fn matrices(&self) -> Vec<String> {
        let full = self.options.method == Method::Full;
        let trained = |name: &&String| full || name.contains("_proj.weight");
        self.base.keys().filter(trained).cloned().collect()
    }

    fn heads(&self) -> anyhow::Result<Vec<(String, Tensor)>> {
        Ok(Vec::new())
    }

    fn epoch(&self, number: u64) -> anyhow::Result<Vec<Step<Sequence>>> {
        let o = &self.options;
        let sequence = |i: u64| {
            let transcript = if i.is_multiple_of(4) { Transcript::Clean } else { Transcript::Noisy };
            pretrain::sequence(&self.codec, &self.corpus.example(Split::Train, transcript, o.seed, i))
        };
        let items =
            (number * o.epoch_size..(number + 1) * o.epoch_size).map(sequence).collect::<anyhow::Result<_>>()?;
        let length = |s: &Sequence| s.tokens.len() / LENGTH_STEP;
        Ok(data::steps(items, length, o.batch, o.batch.div_ceil(2), o.seed, number))
    }

    fn loss(&self, trained: BTreeMap<String, Tensor>, step: &Step<Sequence>) -> anyhow::Result<Tensor> {
        let tensors = for_device(lora::merge(&self.base, &trained, self.options.scale)?, self.device);
        let model = Model::from_weights(self.config.clone(), Weights::from_tensors(tensors, "training"))?;
        let each =
            |group: &Vec<Sequence>| pretrain::loss(&model, self.codec.end, group, self.device) * group.len() as f64;
        Ok(Tensor::stack(&step.iter().map(each).collect::<Vec<_>>(), 0).sum(Kind::Float))
    }

    /// Writes the adapter, and the merged model as a checkpoint.
    fn evaluate_and_save(&self, trained: &[(String, Tensor)]) -> anyhow::Result<f64> {
        let out = &self.options.out;
        weights::save(trained, Kind::BFloat16, &out.join(WEIGHTS))?;
        let adapter = trained.iter().map(|(n, t)| (n.clone(), t.to_device(self.device))).collect();
        let merged = tch::no_grad(|| lora::merge(&self.base, &adapter, self.options.scale))?;
        let merged: Vec<_> = merged.into_iter().map(|(n, t)| (n, t.to_device(Device::Cpu))).collect();
        weights::save(&merged, Kind::BFloat16, &out.join("model.safetensors"))?;
        for file in ["config.json", "tokenizer.json"] {
            fs::copy(self.folder.join(file), out.join(file))
                .with_context(|| format!("cannot copy {file} to {}", out.display()))?;
        }
        let lm = Lm::load(out, Catalogue::load(&self.options.catalogue)?)?;
        Ok(evaluate::intents(&lm, &self.corpus.held_out(EVALUATION_SEED))?.accuracy())
    }
}
