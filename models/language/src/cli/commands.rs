//! The commands `auriga-lm eval` and `auriga-lm chat`.

use crate::{
    decoder::{
        sample::{Sampling, SamplingOverrides},
        session::Budget,
    },
    dialogue::{
        error::LmError,
        turn::{Lm, TurnState},
    },
    intent::{
        catalogue::{Catalogue, OUT_OF_SCOPE},
        classifier::IntentClassifier,
        scene::{Gear, SceneFacts},
    },
    kernels::linear::Precision,
    training::{
        corpus::{Corpus, Example, Split, Transcript},
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

/// Options of all commands that run the decoder.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Folder in Hugging Face layout
    #[arg(long, default_value = "models/language/checkpoint")]
    pub checkpoint: PathBuf,
    /// Intent catalogue
    #[arg(long, default_value = "models/language/intents.toml")]
    pub catalogue: PathBuf,
    /// Precision of the weights
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    pub precision: Precision,
    /// Threads of libtorch
    #[arg(long, default_value_t = 1)]
    pub threads: i32,
}

impl Common {
    /// Loads the decoder.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn load(&self) -> anyhow::Result<Lm> {
        tch::set_num_threads(self.threads);
        Ok(Lm::load_as(&self.checkpoint, Catalogue::load(&self.catalogue)?, self.precision)?)
    }
}

/// Options of `auriga-lm eval`.
#[derive(Debug, Clone, Args)]
pub struct EvalOptions {
    /// Options of all commands.
    #[command(flatten)]
    pub common: Common,
    /// Grammar of the corpus
    #[arg(long, default_value = "models/language/grammar.toml")]
    pub grammar: PathBuf,
    /// Examples of each set except the first
    #[arg(long, default_value_t = 1000)]
    pub examples: u64,
    /// Seed of the examples; training uses other ones
    #[arg(long, default_value_t = 1_000_001)]
    pub seed: u64,
    /// Print the examples that were predicted wrongly
    #[arg(long, alias = "wrong")]
    pub errors: bool,
    /// Evaluate the classifier with the adapter in this folder, instead of the decoder
    #[arg(long)]
    pub adapter: Option<PathBuf>,
    /// Base encoder
    #[arg(long, default_value = finetune::encoder::BASE)]
    pub base: PathBuf,
    /// Write the confusion matrix of held-out phrasings to this file, as SVG
    #[arg(long)]
    pub confusion: Option<PathBuf>,
    /// A file of out-of-scope utterances, one per line: report how many of them the classifier detects
    #[arg(long, alias = "outside")]
    pub out_of_scope: Option<PathBuf>,
}

/// Prints metrics for held-out phrasings as written, the same with variations and recognition errors, and training phrasings.
///
/// # Errors
/// A file that cannot be read or written.
pub fn eval(options: &EvalOptions) -> anyhow::Result<()> {
    if let Some(adapter) = &options.adapter {
        return eval_classifier(options, adapter);
    }
    let lm = options.common.load()?;
    let corpus = Corpus::load(&options.grammar, lm.catalogue())?;
    for (i, (name, examples)) in sets(&corpus, options).into_iter().enumerate() {
        let report = evaluate::turns(&lm, &examples)?;
        show(name, &report, options.errors);
        if i == 0 {
            draw(options, &report)?;
        }
    }
    Ok(())
}

fn sets(corpus: &Corpus, options: &EvalOptions) -> [(&'static str, Vec<Example>); 3] {
    let varied = |split, transcript| -> Vec<Example> {
        (0..options.examples).map(|i| corpus.example(split, transcript, options.seed, i)).collect()
    };
    [
        ("held-out phrasings, as written", corpus.held_out(options.seed)),
        ("held-out phrasings, varied, with recognition errors", varied(Split::HeldOut, Transcript::Noisy)),
        ("training phrasings, varied, with recognition errors", varied(Split::Train, Transcript::Noisy)),
    ]
}

fn draw(options: &EvalOptions, report: &Report) -> anyhow::Result<()> {
    let Some(path) = &options.confusion else { return Ok(()) };
    let (names, counts) = report.confusion();
    plots::confusion(&names, &counts, path)
}

fn eval_classifier(options: &EvalOptions, adapter: &Path) -> anyhow::Result<()> {
    tch::set_num_threads(options.common.threads);
    let classifier = IntentClassifier::load(&options.base, adapter, Catalogue::load(&options.common.catalogue)?)?;
    let corpus = Corpus::load(&options.grammar, classifier.catalogue())?;
    let contexts = ("held-out phrasings in their contexts", corpus.held_out_in_context(options.seed));
    for (i, (name, examples)) in sets(&corpus, options).into_iter().chain([contexts]).enumerate() {
        let report = evaluate::classifier(&classifier, &examples)?;
        show(name, &report, options.errors);
        if i == 0 {
            draw(options, &report)?;
        }
    }
    let Some(path) = &options.out_of_scope else { return Ok(()) };
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let (mut all, mut rejected) = (0, 0);
    for line in text.lines().filter(|l| !l.trim().is_empty()) {
        let intent = classifier.intent(&Default::default(), line)?;
        all += 1;
        rejected += usize::from(intent.name == OUT_OF_SCOPE);
        if options.errors && intent.name != OUT_OF_SCOPE {
            println!("  {line:?}: predicted {intent} ({:.2})", intent.confidence);
        }
    }
    println!("{rejected} of {all} out-of-scope utterances are detected");
    Ok(())
}

fn show(name: &str, report: &Report, errors: bool) {
    println!("{name}\n{}", report.table());
    println!(
        "{} examples: intent accuracy {:.2} %, with all slots {:.2} % of {}, calibration error {:.4} ({:.4} if calibrated), \
         replies identical {:.2} % of {}\n",
        report.examples(),
        100.0 * report.accuracy(),
        100.0 * report.slot_accuracy(),
        report.with_slots,
        report.calibration_error(),
        report.calibration_noise(),
        100.0 * report.reply_accuracy(),
        report.replies,
    );
    for o in report.errors.iter().filter(|_| errors) {
        println!("  {:?}: expected {}, predicted {} ({:.2})", o.utterance, o.expected, o.predicted, o.confidence);
    }
}

/// Options of `auriga-lm chat`.
#[derive(Debug, Clone, Args)]
pub struct ChatOptions {
    /// Options of all commands.
    #[command(flatten)]
    pub common: Common,
    /// Sampling of replies.
    #[command(flatten)]
    pub overrides: SamplingOverrides,
}

/// Reads utterances from standard input, one per line, and prints intents and replies; the scene is a drive through a town.
///
/// # Errors
/// A file that cannot be read.
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
    let sampling = options.overrides.apply_to(lm.sampling());
    for note in lm.notes() {
        println!("{note}");
    }
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

/// Answers one utterance. What the model cannot answer is printed and ends this turn alone.
fn answer(lm: &Lm, scene: &SceneFacts, line: &str, sampling: Sampling) -> std::io::Result<()> {
    match say(lm, scene, line, sampling) {
        Ok(()) => println!(),
        Err(AnswerError::Model(e)) => println!("{e}"),
        Err(AnswerError::Output(e)) => return Err(e),
    }
    Ok(())
}

#[derive(Debug, thiserror::Error)]
enum AnswerError {
    #[error(transparent)]
    Model(#[from] LmError),
    #[error(transparent)]
    Output(#[from] std::io::Error),
}

fn say(lm: &Lm, scene: &SceneFacts, line: &str, sampling: Sampling) -> Result<(), AnswerError> {
    let mut turn = lm.turn(scene, line, sampling)?;
    loop {
        let step = turn.step(lm, Budget::layers(lm.model().config().layers))?;
        print!("{}", turn.take_text());
        std::io::stdout().flush()?;
        match step.state {
            TurnState::Understood(intent) => {
                let rule =
                    lm.catalogue().get(&intent.name).map(|i| i.permit(&intent.slots, scene.speed_mps, scene.gear));
                let refused = rule.and_then(Result::err).map_or(String::new(), |r| format!(", refused: {r}"));
                println!("[{intent} ({:.2}){refused}]", intent.confidence);
            }
            TurnState::Finished(_) => return Ok(()),
            TurnState::Paused => {}
        }
    }
}
