//! Options of `auriga-lm finetune`, and the device that they choose.

use anyhow::ensure;
use clap::{Args, ValueEnum};
use std::{collections::BTreeMap, path::PathBuf};
use tch::{Device, Kind, Tensor};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kinds {
    /// A BERT that is to read intents and slots
    Encoder,
    /// A Llama or Qwen that is to write intents and replies
    Decoder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// Every matrix but the embedding of words
    Full,
    /// Corrections of a fixed rank
    Lora,
    /// Corrections whose ranks go where they are worth most
    Adalora,
}

#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Folder of the result; a run that was cut off goes on from what is there
    #[arg(long)]
    pub out: PathBuf,
    #[arg(long, value_enum, default_value = "encoder")]
    pub model: Kinds,
    /// Folder of the model in Hugging Face layout [default: .native/minilm, or models/language/checkpoint]
    #[arg(long)]
    pub base: Option<PathBuf>,
    /// Labelled utterances in the layout of CLINC-150, instead of the car's grammar (encoder)
    #[arg(long)]
    pub data: Option<PathBuf>,
    #[arg(long, default_value = "models/language/intents.toml")]
    pub catalogue: PathBuf,
    #[arg(long, default_value = "models/language/grammar.toml")]
    pub grammar: PathBuf,
    #[arg(long, value_enum, default_value = "lora")]
    pub method: Method,
    /// Of each correction; with adalora the mean of those that stay, which begin with half as much again
    #[arg(long, default_value_t = 16)]
    pub rank: i64,
    /// On the corrections
    #[arg(long, default_value_t = 2.0)]
    pub scale: f64,
    #[arg(long, default_value_t = 6)]
    pub epochs: u64,
    /// Examples that the grammar makes for an epoch
    #[arg(long, default_value_t = 8192)]
    pub epoch_size: u64,
    /// Examples of a backward pass
    #[arg(long, default_value_t = 64)]
    pub batch: usize,
    /// Backward passes of a step
    #[arg(long, default_value_t = 1)]
    pub accumulate: usize,
    #[arg(long, default_value_t = 5e-4)]
    pub learning_rate: f64,
    /// Times that, for the heads
    #[arg(long, default_value_t = 2.0)]
    pub head_pace: f64,
    /// The share of the run in which the learning rate rises
    #[arg(long, default_value_t = 0.06)]
    pub warmup: f64,
    #[arg(long, default_value_t = 0.01)]
    pub weight_decay: f64,
    #[arg(long, default_value_t = 0.1)]
    pub dropout: f64,
    /// Mixtures of two intents that are trained as out of scope, for each example
    #[arg(long, default_value_t = 0.0)]
    pub outliers: f64,
    /// The share of what is understood in scope that may be lost so that more of what is out of scope is found
    #[arg(long, default_value_t = 0.003)]
    pub outside_cost: f64,
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Threads of libtorch; a run goes on bit for bit with one
    #[arg(long, default_value_t = 1)]
    pub threads: i32,
    /// Stop after so many steps of the whole run; the next call goes on
    #[arg(long)]
    pub stop_after: Option<u64>,
    /// Train on the first GPU in bf16; never tested
    #[arg(long)]
    pub cuda_bf16: bool,
}

/// The device of a run. On a GPU the model computes in bf16 and what is trained stays in f32.
pub fn device(options: &Options) -> anyhow::Result<Device> {
    if !options.cuda_bf16 {
        return Ok(Device::Cpu);
    }
    ensure!(
        tch::Cuda::is_available(),
        "--cuda-bf16: libtorch finds no GPU; the libtorch of set-up is for the processor alone"
    );
    eprintln!("--cuda-bf16 has never been tested");
    Ok(Device::Cuda(0))
}

/// Tensors as the model computes with them.
pub fn for_device(tensors: BTreeMap<String, Tensor>, device: Device) -> BTreeMap<String, Tensor> {
    if device == Device::Cpu {
        return tensors;
    }
    tensors.into_iter().map(|(name, t)| (name, t.to_kind(Kind::BFloat16))).collect()
}
