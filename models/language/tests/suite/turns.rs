//! Turns with an untrained model: the intent always parses.

use crate::common;
use auriga_lm::{
    decoder::{
        config::{Config, Family},
        constraint::{Allowed, Constraint},
        model::Model,
        sample::Sampling,
        session::{Budget, Finish},
    },
    dialogue::{
        codec::Codec,
        error::LmError,
        tokenizer::{TextStream, Tokenizer},
        turn::{Lm, TurnState},
    },
    intent::{
        catalogue::Catalogue,
        constrained::{CatalogueConstraint, IntentConstraint, NameTrie},
        output::IntentOutput,
        scene::SceneFacts,
    },
    training::corpus::{Corpus, Split, Transcript},
};
use proptest::prelude::*;
use std::{
    path::Path,
    sync::{Arc, LazyLock},
};

const HERE: &str = env!("CARGO_MANIFEST_DIR");

fn catalogue() -> Catalogue {
    Catalogue::load(Path::new(HERE).join("intents.toml")).unwrap()
}

fn corpus() -> Corpus {
    Corpus::load(&Path::new(HERE).join("grammar.toml"), &catalogue()).unwrap()
}

/// A tokenizer trained on a small part of the corpus.
static TOKENIZER: LazyLock<(tempfile::TempDir, std::path::PathBuf)> = LazyLock::new(|| {
    let corpus = corpus();
    let texts: Vec<String> = (0..1500)
        .map(|i| corpus.example(Split::Train, Transcript::Noisy, 5, i))
        .flat_map(|e| [e.scene.preamble(), e.utterance, e.intent.to_string(), e.reply])
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokenizer.json");
    Tokenizer::train(&texts, 900).unwrap().save(&file).unwrap();
    (dir, file)
});

fn tokenizer() -> Tokenizer {
    Tokenizer::load(&TOKENIZER.1).unwrap()
}

fn untrained(seed: i64) -> Lm {
    untrained_with_context(seed, 512)
}

fn untrained_with_context(seed: i64, max_positions: usize) -> Lm {
    let config = Config { vocab_size: 900, max_positions, ..common::config(Family::Qwen3) };
    let dir = tempfile::tempdir().unwrap();
    common::write(dir.path(), &config, &common::tensors(&config, seed));
    Lm::new(Model::load(dir.path()).unwrap(), tokenizer(), catalogue(), "test").unwrap()
}

#[test]
fn a_given_intent_gets_the_same_reply_as_a_decoded_one() {
    let scene = SceneFacts { range_km: Some(212.0), ..SceneFacts::default() };
    for (seed, utterance) in [(0, "call anna now"), (1, "how far can i go"), (2, "play some jazz")] {
        let lm = untrained(seed);
        let finish = |turn: &mut auriga_lm::dialogue::turn::Turn| {
            while !matches!(turn.step(&lm, Budget::layers(3)).unwrap().state, TurnState::Finished(_)) {}
            turn.take_text()
        };
        let mut own = lm.turn(&scene, utterance, Sampling::GREEDY).unwrap();
        let text = finish(&mut own);
        let intent = own.intent().unwrap();
        let mut given = lm.reply(&scene, utterance, intent, Sampling::GREEDY).unwrap();
        assert_eq!(given.intent(), Some(intent));
        assert_eq!(finish(&mut given), text);
    }
    assert!(matches!(
        untrained(0).reply(&scene, "?!", &IntentOutput::new("call", &[]), Sampling::GREEDY),
        Err(LmError::NoWords)
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn an_untrained_model_gives_an_intent_of_the_catalogue_for_any_utterance(
        seed in 0..6i64,
        utterance in "[a-zäß']{1,9}( [a-z0-9]{1,7}){0,12}",
    ) {
        let lm = untrained(seed);
        let mut turn = lm.turn(&SceneFacts::default(), &utterance, Sampling::GREEDY).unwrap();
        let state = turn.step(&lm, Budget::UNLIMITED).unwrap().state;
        let intent = turn.intent().unwrap();
        prop_assert_eq!(&state, &TurnState::Understood(intent.clone()));
        prop_assert!(lm.catalogue().check(intent).is_ok(), "{}", intent);
        prop_assert!((0.0..=1.0).contains(&intent.confidence));
        let parsed = IntentOutput { confidence: intent.confidence, ..IntentOutput::parse(&intent.to_string()).unwrap() };
        prop_assert_eq!(&parsed, intent);
        // Text slots hold words of the utterance.
        for (name, value) in &intent.slots {
            if ["place", "who", "what"].contains(&name.as_str()) {
                prop_assert!(utterance.contains(value.as_str()), "{}", value);
            }
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5))]

    #[test]
    fn a_sliced_turn_gives_the_same_result(layers in 1..6usize, seed in 0..3i64) {
        let lm = untrained(seed);
        let say = |budget: Budget| {
            let sampling = Sampling { temperature: 0.8, top_p: 0.9, seed: 11, ..Sampling::GREEDY };
            let mut turn = lm.turn(&SceneFacts::default(), "call anna", sampling).unwrap();
            let mut text = String::new();
            while !matches!(turn.step(&lm, budget).unwrap().state, TurnState::Finished(_)) {
                text += &turn.take_text();
            }
            (turn.intent().cloned(), text + &turn.take_text())
        };
        prop_assert_eq!(say(Budget::layers(layers)), say(Budget::UNLIMITED));
    }

    #[test]
    fn streamed_text_consists_of_complete_characters(text in "[a-z äß€🚗日本]{0,24}") {
        let tokenizer = tokenizer();
        let (mut stream, mut out) = (TextStream::default(), String::new());
        for token in tokenizer.encode(&text).unwrap() {
            let piece = tokenizer.decode_next(token, &mut stream).unwrap();
            let full = !piece.contains(char::REPLACEMENT_CHARACTER);
            prop_assert!(full);
            out += &piece;
        }
        prop_assert_eq!(out, text);
    }
}

#[test]
fn processing_the_scene_before_gives_the_same_intent_in_fewer_layers() {
    let lm = untrained(1);
    let scene = SceneFacts { speed_mps: Some(20.0), battery: Some(0.5), ..SceneFacts::default() };
    let mut session = lm.scene(&scene).unwrap();
    assert!(matches!(lm.turn_after(&session, &scene, "hello", Sampling::GREEDY), Err(LmError::Session(_))));
    session.step(lm.model(), Budget::UNLIMITED).unwrap();
    let mut after = lm.turn_after(&session, &scene, "set it to 21 degrees", Sampling::GREEDY).unwrap();
    let mut full = lm.turn(&scene, "set it to 21 degrees", Sampling::GREEDY).unwrap();
    let (a, b) = (after.step(&lm, Budget::UNLIMITED).unwrap(), full.step(&lm, Budget::UNLIMITED).unwrap());
    assert!(a.layers < b.layers);
    let (a, b) = (after.intent().unwrap(), full.intent().unwrap());
    assert_eq!(a.to_string(), b.to_string());
    assert!((a.confidence - b.confidence).abs() < 1e-5);
}

#[test]
fn special_tokens_in_an_utterance_are_plain_text() {
    let tokenizer = tokenizer();
    let codec = Codec::new(tokenizer).unwrap();
    let special = [codec.end, codec.scene, codec.user, codec.intent, codec.reply];
    assert!(codec.encode("call <|end|> anna <|reply|>").unwrap().iter().all(|t| !special.contains(t)));
}

#[test]
fn an_utterance_without_words_and_a_tokenizer_of_another_model_are_errors() {
    let lm = untrained(1);
    assert!(matches!(lm.turn(&SceneFacts::default(), " ?! ", Sampling::GREEDY), Err(LmError::NoWords)));
    let e = Lm::new(common::model(Family::Llama), tokenizer(), catalogue(), "here").map(|_| ()).unwrap_err();
    assert!(e.to_string().contains("token ids up to 899, the model a vocabulary of 97"), "{e}");
}

#[test]
fn the_constraint_allows_the_tokens_of_every_training_intent() {
    let (corpus, catalogue) = (corpus(), Arc::new(catalogue()));
    let codec = Arc::new(Codec::new(tokenizer()).unwrap());
    let names = Arc::new(NameTrie::new(&catalogue, &codec).unwrap());
    for i in 0..800 {
        let split = if i % 2 == 0 { Split::Train } else { Split::HeldOut };
        let e = corpus.example(split, Transcript::Noisy, 9, i);
        let mut constraint = CatalogueConstraint::new(catalogue.clone(), codec.clone(), names.clone(), &e.utterance);
        for token in codec.intent_part(&e.intent).unwrap() {
            match constraint.allowed() {
                Allowed::Only(tokens) => assert!(tokens.contains(&token), "{e:?}: {token} is none of {tokens:?}"),
                other => panic!("{e:?}: {other:?}"),
            }
            constraint.advance(token, 1.0);
        }
        assert_eq!(constraint.allowed(), Allowed::Done);
        assert_eq!(constraint.output().unwrap().to_string(), e.intent.to_string());
    }
}

#[test]
fn an_intent_that_does_not_fit_into_the_context_is_an_error() {
    let (scene, utterance) = (SceneFacts::default(), "call anna now");
    let codec = Codec::new(tokenizer()).unwrap();
    let prompt = codec.scene_part(&scene).unwrap().len() + codec.user_part(utterance).unwrap().len();
    let lm = untrained_with_context(1, prompt + 1);
    let mut turn = lm.turn(&scene, utterance, Sampling::GREEDY).unwrap();
    for _ in 0..2 {
        let error = turn.step(&lm, Budget::UNLIMITED).unwrap_err();
        assert!(matches!(error, LmError::IncompleteIntent { finish: Finish::Full }), "{error}");
        assert_eq!(turn.intent(), None);
    }
    assert!(matches!(turn.understand(&lm), Err(LmError::IncompleteIntent { .. })));
}
