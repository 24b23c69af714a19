//! `auriga-lm finetune`: a model that exists is taught more: the encoder to read intents and slots, or the decoder.
//!
//! With `full` every matrix is trained, with `lora` and `adalora` only small corrections ([`crate::training::lora`]). A run that was
//! cut off goes on bit for bit (with one thread): batches come from seed and epoch, what chance decides within a step from
//! seed and step.

pub mod data;
pub mod decoder;
pub mod encoder;
pub mod options;
pub mod task;
mod trainer;

use crate::training::finetune::{
    decoder::DecoderTask,
    encoder::EncoderTask,
    options::{Kinds, Options},
    trainer::Trainer,
};
use anyhow::{Context, ensure};
use std::fs;

pub fn run(options: &Options) -> anyhow::Result<()> {
    tch::set_num_threads(options.threads);
    ensure!(
        options.batch > 0 && options.accumulate > 0 && options.epochs > 0,
        "--batch, --accumulate and --epochs must be at least 1"
    );
    ensure!(options.rank > 0, "--rank must be at least 1");
    fs::create_dir_all(&options.out).with_context(|| format!("cannot make the folder {}", options.out.display()))?;
    match options.model {
        Kinds::Encoder => Trainer::start(options.clone(), EncoderTask::new(options)?)?.run(),
        Kinds::Decoder => Trainer::start(options.clone(), DecoderTask::new(options)?)?.run(),
    }
}
