//! The command line of the language model.

use auriga_lm::{
    cli::{bench, commands, quantize},
    training::{finetune, pretrain},
};
use clap::{Parser, Subcommand};

/// The language model of the car. Paths are from the root of the repository.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a decoder from scratch on dialogues generated from the grammar
    Train(pretrain::Options),
    /// Fine-tune an encoder to classify intents and slots, or a decoder
    Finetune(finetune::options::Options),
    /// Precision, recall and F1 of each intent, accuracy of slots and replies, on held-out and on training phrasings
    Eval(commands::EvalOptions),
    /// Write a checkpoint with matrices in 8 or 4 bits
    Quantize(quantize::Options),
    /// Chat with the model, line by line
    Chat(commands::ChatOptions),
    /// Tokens per second beside the memory bound, latency of an intent, cost of slicing
    Bench(bench::Options),
    /// Latency from the end of an utterance to its intent, by the classifier
    BenchIntent(bench::intent::Options),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Train(options) => pretrain::run(&options),
        Command::Finetune(options) => finetune::run(&options),
        Command::Eval(options) => commands::eval(&options),
        Command::Quantize(options) => quantize::run(&options),
        Command::Chat(options) => commands::chat(&options),
        Command::Bench(options) => bench::run(&options),
        Command::BenchIntent(options) => bench::intent::run(&options),
    }
}
