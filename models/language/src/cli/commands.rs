//! `auriga-lm eval` and `auriga-lm chat`.

use crate::{
    decoder::{
        sample::{Sampling, Wishes},
        session::Budget,
    },
    dialogue::turn::{Lm, TurnState},
    intent::{
        catalogue::{Catalogue, OUT_OF_SCOPE},
        classifier::IntentEncoder,
        scene::{Gear, SceneFacts},
    },
    kernels::linear::Precision,
    training::{
        corpus::{Corpus, Example, Hearing, Split},
        evaluate::{self, Report},
        finetune, plots,
    },
};
use anyhow::Context;
use clap::Args;
use std::{
    io::{BufRead, Write},
    path::{Path, PathBuf},
};

/// What every command that runs a model is told.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Folder in Hugging Face layout
    #[arg(long, default_value = "models/language/checkpoint")]
    pub checkpoint: PathBuf,
    #[arg(long, default_value = "models/language/intents.toml")]
    pub catalogue: PathBuf,
    /// The numbers that the checkpoint is computed with
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    pub precision: Precision,
    /// Threads of libtorch
    #[arg(long, default_value_t = 1)]
    pub threads: i32,
}

impl Common {
    pub fn load(&self) -> anyhow::Result<Lm> {
        tch::set_num_threads(self.threads);
        Ok(Lm::load_as(&self.checkpoint, Catalogue::load(&self.catalogue)?, self.precision)?)
    }
}

#[derive(Debug, Clone, Args)]
pub struct EvalOptions {
    #[command(flatten)]
    pub common: Common,
    #[arg(long, default_value = "models/language/grammar.toml")]
    pub grammar: PathBuf,
    /// Exchanges of each set but the first
    #[arg(long, default_value_t = 1000)]
    pub examples: u64,
    /// Of the examples; training uses other ones
    #[arg(long, default_value_t = 1_000_001)]
    pub seed: u64,
    /// Show what was understood wrongly
    #[arg(long)]
    pub wrong: bool,
    /// Judge the encoder with the adapter in this folder, instead of the decoder
    #[arg(long)]
    pub adapter: Option<PathBuf>,
    /// The encoder's base
    #[arg(long, default_value = finetune::encoder::BASE)]
    pub base: PathBuf,
    /// A picture of what held-out phrasings were taken for, as SVG
    #[arg(long)]
    pub confusion: Option<PathBuf>,
    /// A file of utterances, one a line, none of which is for the car: how many of them the encoder takes to be so
    #[arg(long)]
    pub outside: Option<PathBuf>,
}

/// Tables for: held-out phrasings as written, the same with names, politeness and mishearing varied, and phrasings that
/// were trained on.
pub fn eval(options: &EvalOptions) -> anyhow::Result<()> {
    if let Some(adapter) = &options.adapter {
        return eval_encoder(options, adapter);
    }
    let lm = options.common.load()?;
    let corpus = Corpus::load(&options.grammar, lm.catalogue())?;
    for (i, (name, examples)) in sets(&corpus, options).into_iter().enumerate() {
        let report = evaluate::turns(&lm, &examples)?;
        show(name, &report, options.wrong);
        if i == 0 {
            draw(options, &report)?;
        }
    }
    Ok(())
}

fn sets(corpus: &Corpus, options: &EvalOptions) -> [(&'static str, Vec<Example>); 3] {
    let varied = |split, hearing| -> Vec<Example> {
        (0..options.examples).map(|i| corpus.example(split, hearing, options.seed, i)).collect()
    };
    [
        ("held-out phrasings, as written", corpus.held_out(options.seed)),
        ("held-out phrasings, varied and misheard", varied(Split::HeldOut, Hearing::Noisy)),
        ("trained phrasings, varied and misheard", varied(Split::Train, Hearing::Noisy)),
    ]
}

fn draw(options: &EvalOptions, report: &Report) -> anyhow::Result<()> {
    let Some(path) = &options.confusion else { return Ok(()) };
    let (names, counts) = report.confusion();
    plots::confusion(&names, &counts, path)
}

fn eval_encoder(options: &EvalOptions, adapter: &Path) -> anyhow::Result<()> {
    tch::set_num_threads(options.common.threads);
    let encoder = IntentEncoder::load(&options.base, adapter, Catalogue::load(&options.common.catalogue)?)?;
    let corpus = Corpus::load(&options.grammar, encoder.catalogue())?;
    let situations = ("held-out phrasings in their situations", corpus.held_out_in_context(options.seed));
    for (i, (name, examples)) in sets(&corpus, options).into_iter().chain([situations]).enumerate() {
        let report = evaluate::encoder(&encoder, &examples)?;
        show(name, &report, options.wrong);
        if i == 0 {
            draw(options, &report)?;
        }
    }
    let Some(path) = &options.outside else { return Ok(()) };
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let (mut all, mut rejected) = (0, 0);
    for line in text.lines().filter(|l| !l.trim().is_empty()) {
        let intent = encoder.intent(&Default::default(), line)?;
        all += 1;
        rejected += usize::from(intent.name == OUT_OF_SCOPE);
        if options.wrong && intent.name != OUT_OF_SCOPE {
            println!("  {line:?}: found {intent} ({:.2})", intent.confidence);
        }
    }
    println!("{rejected} of {all} utterances that are not for the car are taken to be so");
    Ok(())
}

fn show(name: &str, report: &Report, wrong: bool) {
    println!("{name}\n{}", report.table());
    println!(
        "{} examples: intents {:.2} %, intents with all slots {:.2} % of {}, calibration error {:.4} ({:.4} by chance), \
         replies word for word {:.2} % of {}\n",
        report.examples(),
        100.0 * report.accuracy(),
        100.0 * report.slot_accuracy(),
        report.with_slots,
        report.calibration_error(),
        report.calibration_error_by_chance(),
        100.0 * report.reply_accuracy(),
        report.replies,
    );
    for o in report.wrong.iter().filter(|_| wrong) {
        println!("  {:?}: expected {}, found {} ({:.2})", o.utterance, o.expected, o.found, o.confidence);
    }
}

#[derive(Debug, Clone, Args)]
pub struct ChatOptions {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub wishes: Wishes,
}

/// A line is an utterance; the scene is that of a drive through a town.
pub fn chat(options: &ChatOptions) -> anyhow::Result<()> {
    let lm = options.common.load()?;
    let scene = SceneFacts {
        speed_mps: Some(13.9),
        gear: Some(Gear::Drive),
        lead_distance_m: Some(28.0),
        time_to_collision_s: None,
        battery: Some(0.64),
        range_km: Some(241.0),
        outside_temp_c: Some(11.0),
        driving_load: Some(0.3),
        ..SceneFacts::default()
    };
    let sampling = options.wishes.over(lm.sampling());
    println!("the scene: {}\nreplies: {sampling}", scene.preamble());
    let prompt = || -> std::io::Result<()> {
        print!("> ");
        std::io::stdout().flush()
    };
    prompt()?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if !line.trim().is_empty() {
            answer(&lm, &scene, &line, sampling)?;
        }
        prompt()?;
    }
    Ok(())
}

fn answer(lm: &Lm, scene: &SceneFacts, line: &str, sampling: Sampling) -> anyhow::Result<()> {
    let mut turn = match lm.turn(scene, line, sampling) {
        Ok(turn) => turn,
        Err(e) => {
            println!("{e}");
            return Ok(());
        }
    };
    loop {
        let step = turn.step(lm, Budget::layers(lm.model().config().layers))?;
        print!("{}", turn.take_text());
        std::io::stdout().flush()?;
        match (step.state, turn.intent()) {
            (TurnState::Understood, Some(intent)) => {
                let rule =
                    lm.catalogue().get(&intent.name).map(|i| i.permit(&intent.slots, scene.speed_mps, scene.gear));
                let refused = rule.and_then(Result::err).map_or(String::new(), |r| format!(", refused: {r}"));
                println!("[{intent} ({:.2}){refused}]", intent.confidence);
            }
            (TurnState::Finished(_), _) => break,
            _ => {}
        }
    }
    println!();
    Ok(())
}
