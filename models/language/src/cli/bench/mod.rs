//! The command `auriga-lm bench`: tokens per second beside the memory bound, latency of an intent, and cost of slicing.

pub mod intent;
mod large;

use crate::{
    cli::commands::Common,
    decoder::{
        sample::Sampling,
        session::{Budget, Generate, Session, State},
    },
    dialogue::{
        error::LmError,
        turn::{Lm, TurnState},
    },
    intent::scene::SceneFacts,
    training::corpus::{Corpus, Example},
};
use clap::Args;
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};
use tch::{Device, Kind, Tensor};

/// Options of `auriga-lm bench`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Options of all commands.
    #[command(flatten)]
    pub common: Common,
    /// Grammar of the corpus
    #[arg(long, default_value = "models/language/grammar.toml")]
    pub grammar: PathBuf,
    /// Number of repetitions; medians are reported
    #[arg(long, default_value_t = 15)]
    pub repeats: usize,
    /// Options of the benchmark of a large model.
    #[command(flatten)]
    pub large: large::Options,
}

const PROMPT_TOKENS: usize = 128;
const DECODE_TOKENS: usize = 128;
/// Larger than any processor cache.
const DRAM_BYTES: usize = 256 << 20;

/// Runs the benchmark and prints the results.
///
/// # Errors
/// A file that cannot be read.
pub fn run(options: &Options) -> anyhow::Result<()> {
    if let Some(folder) = &options.large.large {
        tch::set_num_threads(options.common.threads);
        return large::run(folder, &options.large, options.repeats.max(1));
    }
    let lm = options.common.load()?;
    let corpus = Corpus::load(&options.grammar, lm.catalogue())?;
    let examples = corpus.held_out(1);
    let repeats = options.repeats.max(1);
    let (prefill, decode) = speeds(&lm, repeats)?;
    let bytes = lm.model().bytes_per_token();
    let (near, far) = (bandwidth(bytes, repeats), bandwidth(DRAM_BYTES.max(bytes), repeats));
    let mib = bytes as f64 / f64::from(1 << 20);
    println!("threads {}, weights read for a token: {mib:.1} MiB", options.common.threads);
    println!("{:<44}{:>12}{:>14}", "", "tokens/s", "of roofline");
    println!("{:<44}{prefill:>12.0}", format!("prefill, {PROMPT_TOKENS} tokens"));
    let roof = |name: &str, gbps: f64| {
        let tokens = gbps * 1e9 / bytes as f64;
        println!("{:<44}{tokens:>12.0}{:>13.0}%", format!("roofline, {name}: {gbps:.1} GB/s"), 100.0 * decode / tokens);
    };
    println!("{:<44}{decode:>12.0}", format!("decode, {DECODE_TOKENS} tokens after them"));
    roof("matrix × vector as large as the model", near);
    roof("matrix × vector from main memory", far);
    intents(&lm, &examples)?;
    slicing(&lm, &examples, repeats)
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

/// Tokens per second of prefill and of decode.
fn speeds(lm: &Lm, repeats: usize) -> anyhow::Result<(f64, f64)> {
    let vocabulary = lm.model().config().vocab_size as u32;
    let prompt: Vec<u32> = (0..PROMPT_TOKENS as u32).map(|i| i * 7919 % vocabulary).collect();
    let (mut prefill, mut decode) = (Vec::new(), Vec::new());
    for _ in 0..repeats {
        let mut session = Session::new(lm.model(), PROMPT_TOKENS + DECODE_TOKENS);
        session.push(&prompt)?;
        let start = Instant::now();
        session.step(lm.model(), Budget::UNLIMITED)?;
        prefill.push(start.elapsed());
        let sampling = Sampling::GREEDY;
        session.generate(Generate { sampling, max_tokens: DECODE_TOKENS, stop: Vec::new(), constraint: None });
        let start = Instant::now();
        while !matches!(session.step(lm.model(), Budget::UNLIMITED)?.state, State::Finished(_)) {}
        decode.push(start.elapsed());
    }
    Ok((PROMPT_TOKENS as f64 / median(prefill), DECODE_TOKENS as f64 / median(decode)))
}

/// Memory throughput in GB/s of a matrix-vector product, the operation of decoding.
fn bandwidth(bytes: usize, repeats: usize) -> f64 {
    let columns = 1024;
    let rows = (bytes / size_of::<f32>()).div_ceil(columns as usize) as i64;
    let matrix = Tensor::ones([rows, columns], (Kind::Float, Device::Cpu));
    let vector = Tensor::ones([columns], (Kind::Float, Device::Cpu));
    let times = (0..repeats + 2).map(|_| {
        let start = Instant::now();
        let _ = matrix.mv(&vector);
        start.elapsed()
    });
    // The first two warm the cache.
    (rows * columns) as f64 * size_of::<f32>() as f64 / median(times.skip(2).collect()) / 1e9
}

/// Latency from the end of an utterance to its intent, with and without the scene processed before.
fn intents(lm: &Lm, examples: &[Example]) -> Result<(), LmError> {
    let (mut full, mut prefilled, mut layers) = (Vec::new(), Vec::new(), 0);
    for e in examples {
        let start = Instant::now();
        let mut turn = lm.turn(&e.scene, &e.utterance, Sampling::GREEDY)?;
        layers += turn.step(lm, Budget::UNLIMITED)?.layers;
        full.push(start.elapsed());
        let mut scene = lm.scene(&e.scene)?;
        scene.step(lm.model(), Budget::UNLIMITED)?;
        let start = Instant::now();
        lm.turn_after(&scene, &e.scene, &e.utterance, Sampling::GREEDY)?.step(lm, Budget::UNLIMITED)?;
        prefilled.push(start.elapsed());
    }
    println!("\n{:<44}{:>12}{:>12}{:>12}", "latency of the intent, ms", "p50", "p99", "max");
    for (name, mut times) in [("with the scene", full), ("with the scene processed before", prefilled)] {
        times.sort();
        let ms = |q: f64| times[((times.len() - 1) as f64 * q).round() as usize].as_secs_f64() * 1e3;
        println!("{name:<44}{:>12.2}{:>12.2}{:>12.2}", ms(0.5), ms(0.99), ms(1.0));
    }
    println!("{:<44}{:>12.0}", "layers per intent, mean", layers as f64 / examples.len() as f64);
    Ok(())
}

/// Complete turns in slices of different sizes; a revoked grant takes effect after the longest slice at most.
fn slicing(lm: &Lm, examples: &[Example], repeats: usize) -> anyhow::Result<()> {
    println!("\n{:<44}{:>12}{:>12}{:>12}", "a turn with its reply, ms", "turn", "cost", "worst slice");
    let unsliced = slice(lm, examples, Budget::UNLIMITED, repeats)?.0;
    println!("{:<44}{unsliced:>12.2}", "unsliced");
    for layers in [4, 2, 1] {
        let (turn, worst) = slice(lm, examples, Budget::layers(layers), repeats)?;
        let cost = format!("{:+.1}%", 100.0 * (turn / unsliced - 1.0));
        println!("{:<44}{turn:>12.2}{cost:>12}{worst:>12.2}", format!("slices of {layers} layers"));
    }
    Ok(())
}

/// Duration of the median turn and of the longest slice, ms.
fn slice(lm: &Lm, examples: &[Example], budget: Budget, repeats: usize) -> Result<(f64, f64), LmError> {
    let (mut turns, mut worst) = (Vec::new(), Duration::ZERO);
    let nothing = SceneFacts::default();
    for (i, e) in examples.iter().cycle().take(repeats * 4).enumerate() {
        let scene = if i % 8 == 7 { &nothing } else { &e.scene };
        let mut turn = lm.turn(scene, &e.utterance, Sampling::GREEDY)?;
        let start = Instant::now();
        loop {
            let begin = Instant::now();
            let state = turn.step(lm, budget)?.state;
            worst = worst.max(begin.elapsed());
            if matches!(state, TurnState::Finished(_)) {
                break;
            }
        }
        turns.push(start.elapsed());
    }
    Ok((median(turns) * 1e3, worst.as_secs_f64() * 1e3))
}
