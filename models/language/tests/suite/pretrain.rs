//! Training from scratch: the log has a row for each evaluation, and a resumed run continues it.

use crate::common::RANDOM;
use auriga_lm::training::pretrain::{self, Options};
use clap::Parser;
use std::{fs, path::Path, sync::PoisonError};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    options: Options,
}

fn train(out: &Path, steps: u64, every: u64) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let arguments = [
        ("--out", out.display().to_string()),
        ("--catalogue", here.join("intents.toml").display().to_string()),
        ("--grammar", here.join("grammar.toml").display().to_string()),
        ("--steps", steps.to_string()),
        ("--every", every.to_string()),
        ("--batch", "2".into()),
        ("--hidden", "96".into()),
        ("--layers", "1".into()),
        ("--vocabulary", "900".into()),
    ];
    let arguments = arguments.into_iter().flat_map(|(name, value)| [name.to_string(), value]);
    let cli = Cli::parse_from(std::iter::once("train".to_string()).chain(arguments));
    pretrain::run(&cli.options).unwrap();
}

/// Step and accuracy of each row; the accuracy is empty without an evaluation.
fn rows(out: &Path) -> Vec<(u64, String)> {
    let log = fs::read_to_string(out.join("training.csv")).unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        (cells[0].parse().unwrap(), cells[cells.len() - 1].to_string())
    };
    log.lines().skip(1).map(row).collect()
}

#[test]
fn runs_are_evaluated_every_given_number_of_steps_and_resumed_without_repeated_rows() {
    let _alone = RANDOM.lock().unwrap_or_else(PoisonError::into_inner);
    let out = tempfile::tempdir().unwrap();
    // Not a multiple of the 50 steps between rows without evaluation.
    train(out.path(), 8, 4);
    let first = rows(out.path());
    assert_eq!(first.iter().map(|r| r.0).collect::<Vec<_>>(), [4, 8]);
    assert!(first.iter().all(|r| !r.1.is_empty()), "{first:?}");
    // As if the run had been interrupted after it had logged two more steps and before it saved them.
    let log = fs::read_to_string(out.path().join("training.csv")).unwrap();
    fs::write(out.path().join("training.csv"), log + "10,1.0,0.1,0.1,1,0.5\n12,1.0,0.1,0.1,1,0.5\n").unwrap();
    train(out.path(), 12, 4);
    let resumed = rows(out.path());
    assert_eq!(resumed.iter().map(|r| r.0).collect::<Vec<_>>(), [4, 8, 12]);
    assert_eq!(resumed[..2], first[..]);
}
