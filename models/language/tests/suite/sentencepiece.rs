//! Checkpoints with a tokenizer of SentencePiece, as Llama 2 and Mistral have them.

use crate::common;
use auriga_lm::{
    decoder::{
        config::{Config, Family},
        sample::Sampling,
        session::Budget,
    },
    dialogue::{
        tokenizer::{TextStream, Tokenizer},
        turn::{Lm, TurnState},
    },
    intent::{catalogue::Catalogue, output::IntentOutput, scene::SceneFacts},
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::{fs, path::Path};

const HERE: &str = env!("CARGO_MANIFEST_DIR");
const WORDS: [&str; 6] = ["▁t", "he", "▁the", "name", "\"name", "an"];

/// By a normalizer, or by a pre-tokenizer.
fn tokenizer(kind: &str) -> Value {
    let mut vocab = Map::new();
    let mut add = |text: &str| {
        let id = vocab.len();
        vocab.entry(text).or_insert(json!(id));
    };
    ["<unk>", "<s>", "</s>"].into_iter().for_each(&mut add);
    (0..=255u8).for_each(|byte| add(&format!("<0x{byte:02X}>")));
    ('!'..='~').for_each(|c| add(&c.to_string()));
    add("▁");
    WORDS.into_iter().for_each(&mut add);
    let added: Vec<Value> = ["<unk>", "<s>", "</s>"]
        .iter()
        .enumerate()
        .map(|(id, text)| {
            let flags = json!({ "single_word": false, "lstrip": false, "rstrip": false, "normalized": false });
            let mut token = json!({ "id": id, "content": text, "special": true });
            token.as_object_mut().unwrap().extend(flags.as_object().unwrap().clone());
            token
        })
        .collect();
    let replace = json!({ "type": "Replace", "pattern": { "String": " " }, "content": "▁" });
    let prepend = json!({ "type": "Prepend", "prepend": "▁" });
    let (normalizer, pre_tokenizer) = match kind {
        "prepend" => (json!({ "type": "Sequence", "normalizers": [prepend, replace] }), Value::Null),
        scheme => {
            let metaspace =
                json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": false });
            (Value::Null, metaspace)
        }
    };
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "post_processor": null,
        "normalizer": normalizer, "pre_tokenizer": pre_tokenizer,
        "decoder": { "type": "Sequence", "decoders": [
            { "type": "Replace", "pattern": { "String": "▁" }, "content": " " }, { "type": "ByteFallback" },
            { "type": "Fuse" }, { "type": "Strip", "content": " ", "start": 1, "stop": 0 },
        ] },
        "model": {
            "type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
            "vocab": vocab, "merges": [["▁", "t"], ["h", "e"], ["▁t", "he"], ["a", "n"]],
        },
    })
}

fn folder(kind: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { vocab_size: 384, max_positions: 1 << 14, eos: vec![2], ..common::config(Family::Llama) };
    common::write(dir.path(), &config, &common::tensors(&config, 5));
    fs::write(dir.path().join("tokenizer.json"), tokenizer(kind).to_string()).unwrap();
    let special = json!({ "bos_token": "<s>", "eos_token": "</s>" });
    fs::write(dir.path().join("tokenizer_config.json"), special.to_string()).unwrap();
    let template =
        "{{ bos_token }}{% for m in messages %}{{ '[INST] ' ~ m['content'].strip() ~ ' [/INST]' }}{% endfor %}";
    fs::write(dir.path().join("chat_template.jinja"), template).unwrap();
    dir
}

fn load(folder: &Path) -> Lm {
    Lm::load(folder, Catalogue::load(Path::new(HERE).join("intents.toml")).unwrap()).unwrap()
}

/// The intent and the reply.
fn answer(lm: &Lm, utterance: &str, sampling: Sampling) -> (IntentOutput, String) {
    let mut turn = lm.turn(&SceneFacts::default(), utterance, sampling).unwrap();
    while !matches!(turn.step(lm, Budget::layers(50)).unwrap().state, TurnState::Finished(_)) {}
    (turn.intent().unwrap().clone(), turn.take_text())
}

const KINDS: [&str; 3] = ["prepend", "first", "always"];

#[test]
fn a_space_before_the_first_word_of_a_text_is_not_part_of_a_tool_call() {
    for kind in KINDS {
        let lm = &load(folder(kind).path());
        let (intent, reply) = answer(lm, "call anna now", Sampling::GREEDY);
        assert!(lm.catalogue().check(&intent).is_ok(), "{intent}");
        assert!(!reply.starts_with(' '), "{reply:?}");
        // A reply to an intent that is known continues the same text.
        let mut given = lm.reply(&SceneFacts::default(), "call anna now", &intent, Sampling::GREEDY).unwrap();
        while !matches!(given.step(lm, Budget::UNLIMITED).unwrap().state, TurnState::Finished(_)) {}
        assert_eq!(given.take_text(), reply);
    }
}

#[test]
fn published_kinds_of_tokenizers_answer() {
    for kind in ["sentencepiece-prepend", "metaspace-first"] {
        let Some(folder) = auriga_testing::shared_data(&format!("cases/language/tokenizers/{kind}")) else { return };
        let lm = load(&folder);
        for utterance in ["call anna now", "set it to twenty one degrees"] {
            let (intent, _) = answer(&lm, utterance, Sampling::GREEDY);
            assert!(lm.catalogue().check(&intent).is_ok(), "{kind}: {intent}");
        }
    }
}

#[test]
fn the_call_after_determined_tokens_is_that_of_transformers() {
    let Some(folder) = auriga_testing::shared_data("cases/language/guided-decoding/llama-headdim") else { return };
    let lm = load(&folder);
    let scene = SceneFacts {
        speed_mps: Some(13.9),
        gear: Some(auriga_lm::intent::scene::Gear::Drive),
        lead_distance_m: Some(28.0),
        battery: Some(0.64),
        range_km: Some(241.0),
        outside_temp_c: Some(11.0),
        driving_load: Some(0.3),
        ..SceneFacts::default()
    };
    for utterance in ["call anna now", "set it to twenty one degrees"] {
        let intent = lm.turn(&scene, utterance, Sampling::GREEDY).unwrap().understand(&lm).unwrap();
        assert_eq!((intent.name.as_str(), format!("{:.2}", intent.confidence)), ("next_track", "0.17".to_owned()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_tokens_of_a_reply_are_decoded(seed in any::<u64>(), utterance in "[a-zäß日]{1,9}( [a-z0-9]{1,7}){0,4}", which in 0..3usize) {
        // An untrained model samples single bytes, which are rarely characters.
        let warm = Sampling { temperature: 3.0, seed, ..Sampling::GREEDY };
        let lm = &load(folder(KINDS[which]).path());
        let (intent, _) = answer(lm, &utterance, warm);
        prop_assert!(lm.catalogue().check(&intent).is_ok(), "{}", intent);
    }
}

proptest! {
    #[test]
    fn streamed_bytes_are_those_of_the_tokens(tokens in prop::collection::vec(0u32..380, 0..40)) {
        let dir = folder("prepend");
        let tokenizer = Tokenizer::load(&dir.path().join("tokenizer.json")).unwrap();
        let mut stream = TextStream::default();
        let mut text = String::new();
        for token in &tokens {
            text += &tokenizer.decode_next(*token, &mut stream).unwrap();
        }
        let is_byte = |t: &u32| (3..259).contains(t);
        if !tokens.iter().any(is_byte) {
            // Without single bytes the decoder of the file gives the same.
            prop_assert_eq!(text, tokenizer.decode(&tokens).unwrap());
        }
    }

    #[test]
    fn encoded_text_is_decoded_to_itself(text in "([a-zäß€🚗日][a-z äß€🚗日]{0,24})?") {
        for kind in KINDS {
            let dir = folder(kind);
            let tokenizer = Tokenizer::load(&dir.path().join("tokenizer.json")).unwrap();
            let mut stream = TextStream::default();
            let tokens = tokenizer.encode(&text).unwrap();
            let decoded: String = tokens.iter().map(|t| tokenizer.decode_next(*t, &mut stream).unwrap()).collect();
            prop_assert_eq!(&decoded, &text);
        }
    }
}
