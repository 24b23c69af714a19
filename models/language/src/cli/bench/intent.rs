//! The command `auriga-lm bench-intent`: latency from the end of an utterance to its intent, by the classifier.

use crate::{
    decoder::session::Budget,
    intent::{
        catalogue::Catalogue,
        classifier::{Classified, IntentClassifier},
    },
    training::{corpus::Corpus, finetune},
};
use clap::Args;
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// Options of `auriga-lm bench-intent`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Base encoder
    #[arg(long, default_value = finetune::encoder::BASE)]
    pub base: PathBuf,
    /// Adapter
    #[arg(long, default_value = "models/language/intents-minilm")]
    pub adapter: PathBuf,
    /// Intent catalogue
    #[arg(long, default_value = "models/language/intents.toml")]
    pub catalogue: PathBuf,
    /// Grammar of the corpus
    #[arg(long, default_value = "models/language/grammar.toml")]
    pub grammar: PathBuf,
    /// Threads of libtorch
    #[arg(long, default_value_t = 1)]
    pub threads: i32,
    /// Number of repetitions of every held-out phrasing
    #[arg(long, default_value_t = 4)]
    pub repeats: usize,
}

/// Utterances that are not measured at the beginning.
const WARM_UP: usize = 20;

/// Runs the benchmark and prints the results.
///
/// # Errors
/// A file that cannot be read.
pub fn run(options: &Options) -> anyhow::Result<()> {
    tch::set_num_threads(options.threads);
    let begin = Instant::now();
    let encoder = IntentClassifier::load(&options.base, &options.adapter, Catalogue::load(&options.catalogue)?)?;
    println!("loaded in {:.0} ms, threads {}", begin.elapsed().as_secs_f64() * 1e3, options.threads);
    let examples = Corpus::load(&options.grammar, encoder.catalogue())?.held_out(1);
    let (mut full, mut sliced, mut slices) = (Vec::new(), Vec::new(), Vec::new());
    for (i, e) in examples.iter().cycle().take(WARM_UP + examples.len() * options.repeats.max(1)).enumerate() {
        let context = e.context();
        let begin = Instant::now();
        encoder.intent(&context, &e.utterance)?;
        let all = begin.elapsed();
        let (mut run, mut longest) = (encoder.classify(&context, &e.utterance)?, Duration::ZERO);
        let begin = Instant::now();
        loop {
            let slice = Instant::now();
            let state = run.step(&encoder, Budget::layers(1))?.state;
            longest = longest.max(slice.elapsed());
            if let Classified::Done(_) = state {
                break;
            }
        }
        if i >= WARM_UP {
            full.push(all);
            sliced.push(begin.elapsed());
            slices.push(longest);
        }
    }
    println!("{:<44}{:>12}{:>12}{:>12}", "latency of the intent, ms", "p50", "p99", "max");
    for (name, mut times) in
        [("at once", full), ("in slices of one layer", sliced), ("the longest slice of each", slices)]
    {
        times.sort();
        let ms = |q: f64| times[((times.len() - 1) as f64 * q).round() as usize].as_secs_f64() * 1e3;
        println!("{name:<44}{:>12.2}{:>12.2}{:>12.2}", ms(0.5), ms(0.99), ms(1.0));
    }
    Ok(())
}
