//! Options of `auriga-lm finetune`, and the device that they choose.

use anyhow::ensure;
use clap::{Args, ValueEnum};
use std::{collections::BTreeMap, path::PathBuf};
use tch::{Device, Kind, Tensor};

/// The kind of model that is fine-tuned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ModelKind {
    /// A BERT that classifies intents and slots
    Encoder,
    /// A Llama or Qwen that generates intents and replies
    Decoder,
}

/// The method of fine-tuning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// All matrices except the word embedding
    Full,
    /// LoRA adapters of a fixed rank
    Lora,
    /// LoRA adapters whose ranks are allocated by importance (AdaLoRA)
    Adalora,
}

/// Options of `auriga-lm finetune`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Output folder; an interrupted run is resumed from its state there
    #[arg(long)]
    pub out: PathBuf,
    /// Kind of the model
    #[arg(long, value_enum, default_value = "encoder")]
    pub model: ModelKind,
    /// Folder of the model in Hugging Face layout [default: .native/minilm, or models/language/checkpoint]
    #[arg(long)]
    pub base: Option<PathBuf>,
    /// Labelled utterances in the layout of CLINC-150, instead of the car's grammar (encoder)
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Intent catalogue
    #[arg(long, default_value = "models/language/intents.toml")]
    pub catalogue: PathBuf,
    /// Grammar of the corpus
    #[arg(long, default_value = "models/language/grammar.toml")]
    pub grammar: PathBuf,
    /// Method
    #[arg(long, value_enum, default_value = "lora")]
    pub method: Method,
    /// Rank of each adapter; with adalora the mean final rank, and the initial one is 1.5 times that
    #[arg(long, default_value_t = 16)]
    pub rank: i64,
    /// Scale of the adapters
    #[arg(long, default_value_t = 2.0)]
    pub scale: f64,
    /// Number of epochs
    #[arg(long, default_value_t = 6)]
    pub epochs: u64,
    /// Examples per epoch that are generated from the grammar
    #[arg(long, default_value_t = 8192)]
    pub epoch_size: u64,
    /// Examples per backward pass
    #[arg(long, default_value_t = 64)]
    pub batch: usize,
    /// Backward passes per step (gradient accumulation)
    #[arg(long, default_value_t = 1)]
    pub accumulate: usize,
    /// Peak learning rate
    #[arg(long, default_value_t = 5e-4)]
    pub learning_rate: f64,
    /// Learning-rate multiplier of the heads
    #[arg(long, alias = "head-pace", default_value_t = 2.0)]
    pub head_lr_multiplier: f64,
    /// Share of the run with learning-rate warm-up, 0 to 1
    #[arg(long, default_value_t = 0.06)]
    pub warmup: f64,
    /// Weight decay
    #[arg(long, default_value_t = 0.01)]
    pub weight_decay: f64,
    /// Dropout rate (encoder)
    #[arg(long, default_value_t = 0.1)]
    pub dropout: f64,
    /// Weight of the loss on mixtures of two intents, which are trained as out of scope
    #[arg(long, default_value_t = 0.0)]
    pub outliers: f64,
    /// Share of correct in-scope utterances that the bias on out of scope may cost
    #[arg(long, alias = "outside-cost", default_value_t = 0.003)]
    pub out_of_scope_cost: f64,
    /// Seed of all random numbers
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Threads of libtorch; a resumed run is bit-identical only with one
    #[arg(long, default_value_t = 1)]
    pub threads: i32,
    /// Stop after this many steps of the whole run; the next call resumes it
    #[arg(long)]
    pub stop_after: Option<u64>,
    /// Train on the first GPU in bf16; never tested
    #[arg(long)]
    pub cuda_bf16: bool,
}

/// The device of a run. On a GPU the model computes in bf16, and the parameters stay in f32.
///
/// # Errors
/// `--cuda-bf16` without a GPU.
pub fn device(options: &Options) -> anyhow::Result<Device> {
    if !options.cuda_bf16 {
        return Ok(Device::Cpu);
    }
    ensure!(
        tch::Cuda::is_available(),
        "--cuda-bf16: libtorch finds no GPU; the libtorch of set-up supports only the CPU"
    );
    eprintln!("--cuda-bf16 has never been tested");
    Ok(Device::Cuda(0))
}

/// Converts tensors to the data type of the model on this device.
pub fn for_device(tensors: BTreeMap<String, Tensor>, device: Device) -> BTreeMap<String, Tensor> {
    if device == Device::Cpu {
        return tensors;
    }
    tensors.into_iter().map(|(name, t)| (name, t.to_kind(Kind::BFloat16))).collect()
}
