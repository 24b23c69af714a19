//! Against Transformers (`fixtures/make.py`): the same logits, and 64 greedy tokens that are the same.

use auriga_lm::{
    model::Model,
    sample::Sampling,
    session::{Budget, Finish, Generate, Session, State},
};
use serde::Deserialize;
use std::{fs, path::Path};
use tch::Tensor;

#[derive(Deserialize)]
struct Reference {
    prompt: Vec<u32>,
    /// After each token of the prompt, every seventh logit.
    logits: Vec<Vec<f64>>,
    sums: Vec<f64>,
    greatest: Vec<f64>,
    greedy: Vec<u32>,
}

const TOLERANCE: f64 = 1e-4;
const STRIDE: usize = 7;

fn check(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    let model = Model::load(&folder).unwrap();
    let reference: Reference =
        serde_json::from_str(&fs::read_to_string(folder.join("reference.json")).unwrap()).unwrap();
    let ids: Vec<i64> = reference.prompt.iter().map(|t| i64::from(*t)).collect();
    let logits = tch::no_grad(|| model.logits(&model.forward(&Tensor::from_slice(&ids).unsqueeze(0)))).squeeze_dim(0);
    for at in 0..ids.len() {
        let found = Vec::<f64>::try_from(logits.get(at as i64).to_kind(tch::Kind::Double)).unwrap();
        compare(name, at, &found, &reference);
    }
    let mut session = Session::new(&model, 128);
    session.push(&reference.prompt).unwrap();
    session.step(&model, Budget::layers(5)).unwrap();
    let sampling = Sampling::GREEDY;
    session.generate(Generate { sampling, max_tokens: reference.greedy.len(), stop: Vec::new(), guide: None });
    while session.step(&model, Budget::layers(3)).unwrap().state != State::Finished(Finish::Length) {
        if let Some(logits) = session.logits().filter(|_| session.len() == ids.len()) {
            let found: Vec<f64> = logits.iter().map(|v| f64::from(*v)).collect();
            compare(name, ids.len() - 1, &found, &reference);
        }
    }
    assert_eq!(session.generated(), reference.greedy, "{name}");
}

fn compare(name: &str, at: usize, found: &[f64], reference: &Reference) {
    for (i, expected) in reference.logits[at].iter().enumerate() {
        let found = found[i * STRIDE];
        assert!((found - expected).abs() < TOLERANCE, "{name}, token {at}, logit {i}: {found}, expected {expected}");
    }
    let sum: f64 = found.iter().sum();
    assert!((sum - reference.sums[at]).abs() < TOLERANCE * 20.0, "{name}, token {at}: {sum}, {}", reference.sums[at]);
    let greatest = found.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    assert!((greatest - reference.greatest[at]).abs() < TOLERANCE, "{name}, token {at}: {greatest}");
}

#[test]
fn llama_is_as_in_transformers() {
    check("llama");
}

#[test]
fn llama_with_scaled_rope_biases_and_tied_embeddings_is_as_in_transformers() {
    check("llama3-scaled");
}

#[test]
fn qwen2_is_as_in_transformers() {
    check("qwen2");
}

#[test]
fn qwen3_is_as_in_transformers() {
    check("qwen3");
}
