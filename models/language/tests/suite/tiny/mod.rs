//! A tiny encoder of letters, with the fixture's weights.
#![allow(dead_code, reason = "each test file uses a part")]

use crate::common::RANDOM;
use auriga_lm::{
    decoder::weights,
    encoder::{
        bert::{Encoder, MATRICES},
        config::EncoderConfig,
    },
    intent::{
        catalogue::Catalogue,
        classifier::{
            ADAPTER_CONFIG, AdapterConfig, BaseFingerprint, WEIGHTS,
            context::Context,
            heads::{self, Layout},
        },
    },
    training::lora::{LAMBDA, P, Q},
};
use std::{fs, path::Path, sync::PoisonError};
use tch::{Device, Kind, Tensor};

/// The fixture, with a tokenizer.
pub fn base(folder: &Path) {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bert");
    for file in ["config.json", "model.safetensors"] {
        fs::copy(fixture.join(file), folder.join(file)).unwrap();
    }
    tokenizer(folder, 0);
}

/// Letters and digits, each at the beginning of a word or within it; filled up to the fixture's 199 tokens with unused
/// ones, and `more` beyond them.
pub fn tokenizer(folder: &Path, more: usize) {
    let mut tokens: Vec<String> = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "'"].map(String::from).to_vec();
    for c in ('a'..='z').chain('0'..='9') {
        tokens.push(c.to_string());
        tokens.push(format!("##{c}"));
    }
    tokens.extend((tokens.len()..199 + more).map(|i| format!("unused{i}")));
    let vocab: serde_json::Map<_, _> = tokens.iter().enumerate().map(|(i, t)| (t.clone(), i.into())).collect();
    let json = serde_json::json!({
        "version": "1.0",
        "truncation": { "max_length": 8, "strategy": "LongestFirst", "stride": 0, "direction": "Right" },
        "padding": {
            "strategy": { "Fixed": 8 }, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0,
            "pad_token": "[PAD]"
        },
        "added_tokens": [],
        "normalizer": { "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "lowercase": true },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": null,
        "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 400,
            "vocab": vocab
        }
    });
    fs::write(folder.join("tokenizer.json"), json.to_string()).unwrap();
}

/// Random heads, and an adapter of one matrix.
pub fn adapter(folder: &Path, catalogue: &Catalogue, seed: i64) {
    let _alone = RANDOM.lock().unwrap_or_else(PoisonError::into_inner);
    tch::manual_seed(seed);
    let config = EncoderConfig::load(&folder.join("config.json")).unwrap();
    let layout = Layout::of(catalogue);
    let random = |shape: &[i64]| Tensor::randn(shape, (Kind::Float, Device::Cpu)) * 0.3;
    let features = Context::size(layout.intents.len()) as i64;
    let shapes = heads::shapes(&layout, config.hidden_size, features);
    let mut all: Vec<(String, Tensor)> = shapes.into_iter().map(|(n, s)| (n, random(&s))).collect();
    let name = format!("encoder.layer.0.{}.weight", MATRICES[0]);
    all.push((format!("{name}{P}"), random(&[48, 3])));
    all.push((format!("{name}{LAMBDA}"), random(&[3])));
    all.push((format!("{name}{Q}"), random(&[3, 48])));
    weights::save(&all, Kind::Float, &folder.join(WEIGHTS)).unwrap();
    let base = BaseFingerprint::of(&config, &Encoder::tensors(folder).unwrap());
    let adapter_config = AdapterConfig {
        base,
        scale: 1.0,
        scene: true,
        temperature: 1.0,
        out_of_scope_bias: 0.0,
        reject_below: 0.0,
        layout,
    };
    fs::write(folder.join(ADAPTER_CONFIG), serde_json::to_string_pretty(&adapter_config).unwrap()).unwrap();
}
