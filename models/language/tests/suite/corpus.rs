//! The shipped grammar and its examples.

use auriga_lm::{
    intent::{catalogue::Catalogue, prompt::clean_utterance, scene::SceneFacts},
    training::corpus::{Corpus, Example, Split, Transcript},
};
use std::{collections::BTreeSet, path::Path};

const HERE: &str = env!("CARGO_MANIFEST_DIR");

fn load() -> (Catalogue, Corpus) {
    let catalogue = Catalogue::load(Path::new(HERE).join("intents.toml")).unwrap();
    let corpus = Corpus::load(&Path::new(HERE).join("grammar.toml"), &catalogue).unwrap();
    (catalogue, corpus)
}

#[test]
fn every_example_fits_the_catalogue_and_is_normalized() {
    let (catalogue, corpus) = load();
    for i in 0..4000 {
        for (split, transcript) in [(Split::Train, Transcript::Noisy), (Split::HeldOut, Transcript::Clean)] {
            let e = corpus.example(split, transcript, 3, i);
            assert!(catalogue.check(&e.intent).is_ok(), "{e:?}: {:?}", catalogue.check(&e.intent));
            assert_eq!(clean_utterance(&e.utterance), e.utterance);
            assert!(!e.utterance.is_empty() && !e.reply.is_empty() && !e.spoken_reply().contains(['{', '<']), "{e:?}");
        }
    }
}

#[test]
fn examples_depend_only_on_seed_and_number() {
    let (_, corpus) = load();
    let make = |seed, number| corpus.example(Split::Train, Transcript::Noisy, seed, number);
    assert_eq!(make(1, 500), make(1, 500));
    assert_ne!(make(1, 500), make(2, 500));
    assert_ne!(make(1, 500).scene, make(1, 501).scene);
}

#[test]
fn held_out_phrasings_are_not_in_the_training_set() {
    let (_, corpus) = load();
    let trained: BTreeSet<String> =
        (0..60_000).map(|i| corpus.example(Split::Train, Transcript::Clean, 1, i).utterance).collect();
    let held_out: Vec<_> = corpus.held_out(1).into_iter().map(|e| e.utterance).collect();
    assert!(held_out.len() > 200);
    let both: Vec<_> = held_out.iter().filter(|u| trained.contains(*u)).collect();
    assert!(both.is_empty(), "{both:?}");
}

#[test]
fn examples_in_context_fit_the_catalogue_and_held_out_ones_are_not_in_the_training_set() {
    let (catalogue, corpus) = load();
    // The same words may be in the training set with another intent.
    let key = |e: &Example| (e.intent.name.clone(), e.utterance.clone());
    let mut trained = BTreeSet::new();
    for i in 0..40_000 {
        let e = corpus.in_context(Split::Train, Transcript::Clean, 1, i).unwrap();
        assert!(catalogue.check(&e.intent).is_ok(), "{e:?}");
        assert_eq!(e.slot_words.len(), e.utterance.split(' ').count(), "{e:?}");
        trained.insert(key(&e));
    }
    let held_out = corpus.held_out_in_context(1);
    assert!(held_out.len() > 60);
    for e in &held_out {
        assert!(!trained.contains(&key(e)), "{e:?}");
        assert!(!e.recent.is_empty() || ["warning_lamp", "repeat"].contains(&e.intent.name.as_str()), "{e:?}");
    }
    let hazards = held_out.iter().filter(|e| e.intent.name == "warning_lamp");
    assert!(hazards.clone().count() > 1 && hazards.clone().all(|e| e.scene.fact("hazard").is_some()));
}

#[test]
fn validation_phrasings_are_not_in_the_training_set_and_slot_words_are_marked() {
    let (_, corpus) = load();
    let mut in_slots = 0;
    for i in 0..4000 {
        let [train, validation] =
            [Split::TrainWithoutValidation, Split::Validation].map(|s| corpus.example(s, Transcript::Noisy, 3, i));
        assert_eq!(train.intent.name, validation.intent.name);
        for e in [train, validation] {
            assert_eq!(e.slot_words.len(), e.utterance.split(' ').count(), "{e:?}");
            for (slot, (name, value)) in e.intent.slots.iter().enumerate() {
                let words = e.utterance.split(' ').zip(&e.slot_words).filter(|(_, s)| **s == Some(slot));
                let said = words.map(|(w, _)| w).collect::<Vec<_>>().join(" ");
                if ["place", "who", "what"].contains(&name.as_str()) {
                    assert_eq!(&said, value, "{e:?}");
                    in_slots += 1;
                }
            }
        }
    }
    assert!(in_slots > 300);
    let all = |split| -> BTreeSet<String> {
        (0..30_000)
            .map(|i| corpus.example(split, Transcript::Clean, 1, i))
            .filter(|e| e.intent.name == "help")
            .map(|e| e.utterance)
            .collect()
    };
    let (train, validation) = (all(Split::TrainWithoutValidation), all(Split::Validation));
    assert!(
        !validation.is_empty() && validation.iter().filter(|u| train.contains(*u)).count() * 2 < validation.len(),
        "{validation:?}"
    );
}

#[test]
fn replies_use_the_scene_or_state_that_a_value_is_unknown() {
    let (_, corpus) = load();
    let (mut known, mut unknown) = (0, 0);
    for i in 0..20_000 {
        let e = corpus.example(Split::Train, Transcript::Clean, 1, i);
        if e.intent.name == "range_query" {
            match e.scene.fact("range") {
                Some(range) => {
                    assert!(e.spoken_reply().contains(&format!("{range} kilometres")), "{e:?}");
                    known += 1;
                }
                None => {
                    assert_eq!(e.reply, "I do not know the range, it is not reported.");
                    unknown += 1;
                }
            }
        }
    }
    assert!(known > 100 && unknown > 20, "{known}, {unknown}");
}

#[test]
fn every_fact_is_unknown_in_some_scenes() {
    let (_, corpus) = load();
    let scenes: Vec<SceneFacts> =
        (0..2000).map(|i| corpus.example(Split::Train, Transcript::Clean, 1, i).scene).collect();
    for name in ["speed", "gear", "lead", "ttc", "battery", "range", "out", "tyre", "load", "hazard", "time"] {
        let known = scenes.iter().filter(|s| s.fact(name).is_some()).count();
        assert!((200..1950).contains(&known), "{name}: {known}");
    }
}

#[test]
fn errors_of_grammars_name_the_intent_and_the_reason() {
    let (catalogue, _) = load();
    let full = std::fs::read_to_string(Path::new(HERE).join("grammar.toml")).unwrap();
    let with = |from: &str, to: &str| {
        assert!(full.contains(from));
        Corpus::parse(&full.replace(from, to), "g.toml", &catalogue).map(|_| ()).unwrap_err().to_string()
    };
    assert!(with("name = \"hang_up\"", "name = \"hang\"").contains("intent `hang`: is not in the catalogue"));
    assert!(with("explain (the|this|that) @lamp", "explain (the|this|that) @bulb").contains("there is no list `bulb`"));
    assert!(with("dial|telephone) {who:", "dial|telephone) {whom:").contains("there is no slot `whom`"));
    assert!(with("fan off [level=off]", "fan off [level=zero]").contains("not one of its values"));
    assert!(with("Calling {who}.", "Calling {her}.").contains("there is no fact or slot `her`"));
    assert!(
        with("{ say = \"It is {time}.\" }, { say = \"I do not know the time.\" }", "{ say = \"It is {time}.\" }")
            .contains("its last reply must be possible in any scene")
    );
}
