//! The encoder against Transformers (`fixtures/make.py`), and what is wrong with its files.

use auriga_lm::encoder::bert::{self, Encoder};
use serde::Deserialize;
use std::{fs, path::Path};
use tch::Tensor;

#[derive(Deserialize)]
struct Reference {
    tokens: Vec<Vec<i64>>,
    /// Of each token of each text, every fifth value of the last hidden state.
    hidden: Vec<Vec<Vec<f64>>>,
    sums: Vec<Vec<f64>>,
}

const TOLERANCE: f64 = 1e-4;
const STRIDE: usize = 5;

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bert")
}

/// The fixture's texts end in one token of the second segment; here that token is given as the scene's.
#[test]
fn bert_equals_transformers() {
    let encoder = Encoder::load(&folder()).unwrap();
    let reference: Reference =
        serde_json::from_str(&fs::read_to_string(folder().join("reference.json")).unwrap()).unwrap();
    let words = &Encoder::tensors(&folder()).unwrap()["embeddings.word_embeddings.weight"];
    let texts: Vec<&[i64]> = reference.tokens.iter().map(|t| &t[..t.len() - 1]).collect();
    let last: Vec<i64> = reference.tokens.iter().map(|t| t[t.len() - 1]).collect();
    let scene = words.index_select(0, &Tensor::from_slice(&last));
    let hidden = tch::no_grad(|| encoder.forward(&bert::batch(&texts), Some(&scene)));
    let mut worst = 0f64;
    for (text, rows) in reference.hidden.iter().enumerate() {
        for (token, expected) in rows.iter().enumerate() {
            let row = hidden.get(text as i64).get(token as i64).to_kind(tch::Kind::Double);
            let found = Vec::<f64>::try_from(row).unwrap();
            for (i, expected) in expected.iter().enumerate() {
                worst = worst.max((found[i * STRIDE] - expected).abs());
            }
            let sum: f64 = found.iter().sum();
            assert!((sum - reference.sums[text][token]).abs() < 20.0 * TOLERANCE, "text {text}, token {token}: {sum}");
        }
    }
    assert!(worst < TOLERANCE, "{worst}");
    assert_eq!(reference.hidden.len(), 3);
}
