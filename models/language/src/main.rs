//! The command line of the language model: train, finetune, eval, quantize, chat, bench, bench-intent.

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
    /// Train a model from nothing on exchanges made by the grammar
    Train(pretrain::Options),
    /// Teach a model that exists: an encoder to read intents and slots, or a decoder
    Finetune(finetune::Options),
    /// Precision, recall and F1 of each intent, slots and replies, on phrasings held out from training and on trained ones
    Eval(commands::EvalOptions),
    /// Write a folder with matrices of 8 or 4 bits
    Quantize(quantize::Options),
    /// Talk with the model, line by line
    Chat(commands::ChatOptions),
    /// Tokens per second beside what the memory allows, time to an intent, what slicing costs
    Bench(bench::Options),
    /// Time from the end of an utterance to its intent, by the encoder
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
