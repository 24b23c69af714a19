//! Fine-tuning: interrupted runs are resumed bit for bit, and the loss falls.

use crate::{common::RANDOM, tiny};
use auriga_lm::{
    decoder::weights::Weights,
    intent::{
        catalogue::Catalogue,
        classifier::{self, ADAPTER_CONFIG, IntentClassifier, WEIGHTS},
    },
    training::finetune::{
        self,
        options::{Method, ModelKind, Options},
    },
};
use clap::Parser;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::PoisonError,
};
use tch::Tensor;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    options: Options,
}

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn options(out: &Path, more: &str) -> Options {
    let (catalogue, grammar) = (here().join("intents.toml"), here().join("grammar.toml"));
    let paths = ["--out", "--catalogue", "--grammar"].into_iter().zip([out, &catalogue, &grammar]);
    let mut words: Vec<String> = vec!["finetune".into()];
    words.extend(paths.flat_map(|(n, p)| [n.to_string(), p.display().to_string()]));
    words.extend(more.split(' ').map(String::from));
    Cli::parse_from(words).options
}

/// The state after the run.
fn state(folder: &Path) -> Vec<(String, Vec<f32>)> {
    let all = Weights::load_file(&folder.join("state.safetensors")).unwrap().into_tensors();
    let values = |t: &Tensor| Vec::<f32>::try_from(t.flatten(0, -1)).unwrap();
    all.iter().map(|(n, t)| (n.clone(), values(t))).collect()
}

/// 5 steps and 5 more give the state of 10 steps; an epoch ends within.
fn check_resume(base: &Path, more: &str) {
    let _alone = RANDOM.lock().unwrap_or_else(PoisonError::into_inner);
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let run = |dir: &Path, stop: u64| {
        let more = format!("{more} --base {} --epochs 3 --epoch-size 60 --batch 8 --stop-after {stop}", base.display());
        finetune::run(&options(dir, &more)).unwrap();
    };
    run(dirs[0].path(), 5);
    let half = state(dirs[0].path());
    run(dirs[0].path(), 10);
    run(dirs[1].path(), 10);
    let (resumed, full) = (state(dirs[0].path()), state(dirs[1].path()));
    assert_eq!(resumed.len(), full.len());
    for (a, b) in resumed.iter().zip(&full) {
        let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert!(a.0 == b.0 && bits(&a.1) == bits(&b.1), "{} differs", a.0);
    }
    assert_ne!(half, full);
    let rows = |dir: &Path| -> Vec<String> {
        let log = fs::read_to_string(dir.join("training.csv")).unwrap();
        log.lines().skip(1).map(|row| row.split(',').take(2).collect::<Vec<_>>().join(",")).collect()
    };
    assert_eq!(rows(dirs[0].path()), rows(dirs[1].path()));
}

#[test]
fn an_encoder_run_is_resumed_bit_for_bit() {
    let base = tempfile::tempdir().unwrap();
    tiny::base(base.path());
    for method in ["full --accumulate 2", "lora --rank 4", "adalora --rank 2"] {
        check_resume(base.path(), &format!("--method {method} --seed 3"));
    }
}

#[test]
fn a_decoder_run_is_resumed_bit_for_bit() {
    check_resume(&here().join("checkpoint"), "--model decoder --method adalora --rank 2");
}

#[test]
fn resuming_with_other_options_is_an_error() {
    let _alone = RANDOM.lock().unwrap_or_else(PoisonError::into_inner);
    let (base, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    tiny::base(base.path());
    let run = |rank: i64| {
        let more = format!("--base {} --rank {rank} --epoch-size 60 --batch 8 --stop-after 1", base.path().display());
        finetune::run(&options(out.path(), &more)).map_err(|e| e.to_string())
    };
    run(4).unwrap();
    let e = run(5).unwrap_err();
    assert!(e.contains("is of a run with other options"), "{e}");
}

#[test]
fn training_lowers_the_loss_and_the_result_can_be_loaded() {
    let _alone = RANDOM.lock().unwrap_or_else(PoisonError::into_inner);
    let (base, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    tiny::base(base.path());
    let more = format!(
        "--base {} --method adalora --rank 3 --epochs 2 --epoch-size 1600 --batch 16 --learning-rate 3e-3 --head-lr-multiplier 4",
        base.path().display()
    );
    let options = options(out.path(), &more);
    assert!(options.method == Method::Adalora && options.model == ModelKind::Encoder);
    finetune::run(&options).unwrap();
    let log = fs::read_to_string(out.path().join("training.csv")).unwrap();
    let losses: Vec<f64> = log.lines().skip(1).filter_map(|l| l.split(',').nth(2)?.parse().ok()).collect();
    assert!(losses.len() > 5 && losses[losses.len() - 1] < 0.85 * losses[0], "{losses:?}");
    assert!(fs::read_to_string(out.path().join("training.svg")).unwrap().contains("<svg"));
    let catalogue = Catalogue::load(&options.catalogue).unwrap();
    IntentClassifier::load(base.path(), out.path(), catalogue).unwrap();
    assert!(classifier::read_adapter_config(&out.path().join(ADAPTER_CONFIG)).unwrap().scene);
    // As many directions as the budget allows: rank 3 for each of the 6 matrices of 2 layers.
    let kept = Weights::load_file(&out.path().join(WEIGHTS)).unwrap().into_tensors();
    let ranks: Vec<i64> = kept.iter().filter(|(n, _)| n.ends_with("lora_lambda")).map(|(_, t)| t.size()[0]).collect();
    assert_eq!(ranks.iter().sum::<i64>(), 36, "{ranks:?}");
    assert!(ranks.iter().any(|r| *r != 3), "{ranks:?}");
}
