//! Fine-tuning (`auriga-lm finetune`) of the encoder to classify intents and slots, or of the decoder.
//!
//! `full` trains all matrices, `lora` and `adalora` train adapters ([`crate::training::lora`]). An interrupted run is resumed bit
//! for bit (with one thread): batches depend on seed and epoch, random numbers within a step on seed and step.

pub mod data;
pub mod decoder;
pub mod encoder;
pub mod options;
pub mod task;
mod trainer;

use crate::training::finetune::{
    decoder::DecoderTask,
    encoder::EncoderTask,
    options::{ModelKind, Options},
    trainer::Trainer,
};
use anyhow::{Context, ensure};
use std::fs;

/// Runs or resumes a fine-tuning.
///
/// # Errors
/// Options out of bounds, a file that cannot be read or written, or a loss that is not finite.
pub fn run(options: &Options) -> anyhow::Result<()> {
    tch::set_num_threads(options.threads);
    ensure!(
        options.batch > 0 && options.accumulate > 0 && options.epochs > 0,
        "--batch, --accumulate and --epochs must be at least 1"
    );
    ensure!(options.rank > 0, "--rank must be at least 1");
    fs::create_dir_all(&options.out).with_context(|| format!("cannot make the folder {}", options.out.display()))?;
    match options.model {
        ModelKind::Encoder => Trainer::start(options.clone(), EncoderTask::new(options)?)?.run(),
        ModelKind::Decoder => Trainer::start(options.clone(), DecoderTask::new(options)?)?.run(),
    }
}
