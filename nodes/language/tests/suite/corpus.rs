//! The replies of the training corpus pass the check of replies.

use crate::common;
use auriga_language::{
    engine::interface::ModelInput,
    reply::{
        canned::CannedResponses,
        draft::{Draft, DraftOutput, max_words},
    },
    spoken_slots,
    understand::{
        numbers::numbers,
        phrasing::{
            clauses::clauses,
            polarity::{is_negated, is_of_complaints, remedy},
            repair::{Repaired, repaired, without_contrast},
        },
    },
};
use auriga_lm::{
    intent::{catalogue::Catalogue, classifier::context::Context},
    training::corpus::{Corpus, Split, Transcript},
};
use std::collections::BTreeSet;

/// Rules about how something is said must leave alone what the models understand as it is: of a thousand examples, so many
/// may be taken in another way.
const MAX_CHANGED_PER_MILLE: usize = 2;

#[test]
fn the_rules_of_phrasing_leave_the_corpus_as_it_is() {
    let catalogue = Catalogue::load(&common::config().catalogue).unwrap();
    let corpus = Corpus::load(&common::root().join("models/language/grammar.toml"), &catalogue).unwrap();
    let mut changed = BTreeSet::new();
    let (count, mut sum) = (20_000, 0);
    for number in 0..count {
        let e = corpus.example(Split::Train, Transcript::Clean, 3, number);
        let (text, name) = (&e.utterance, e.intent.name.as_str());
        let switches_off = e.intent.slots.iter().any(|(_, value)| value == "off");
        let other_remedy = remedy(text).is_some_and(|found| found != name && is_of_complaints(name));
        let is_same = repaired(text) == Repaired::Meant(text.clone())
            && clauses(text) == [text.clone()]
            && without_contrast(text) == *text
            && (switches_off || !is_negated(text, name))
            && !other_remedy;
        if !is_same {
            sum += 1;
            changed.insert(format!("{name}: {text}"));
        }
    }
    println!("{sum} of {count}: {changed:#?}");
    assert!(sum * 1000 <= MAX_CHANGED_PER_MILLE * count as usize, "{sum} of {count}");
}

#[test]
fn a_reply_of_the_corpus_is_never_replaced() {
    let config = common::config();
    let catalogue = Catalogue::load(&config.catalogue).unwrap();
    let canned = CannedResponses::new(&catalogue).unwrap();
    let corpus = Corpus::load(&common::root().join("models/language/grammar.toml"), &catalogue).unwrap();
    let mut replaced = BTreeSet::new();
    let mut answered = 0;
    for number in 0..20_000 {
        let e = corpus.example(Split::Train, Transcript::Clean, 7, number);
        if let Some(degrees) = e.intent.slot("degrees").and_then(|d| d.parse().ok()) {
            assert!(numbers(&e.utterance).iter().any(|n| n.is_rounded(degrees)), "{degrees}: {}", e.utterance);
        }
        if canned.lacks_fact(&e.intent.name, &e.scene) {
            continue;
        }
        answered += 1;
        let reply = e.spoken_reply();
        let words = max_words(e.scene.driving_load, config.reply_max_words_low_load, config.reply_max_words_high_load);
        let spoken = spoken_slots(&catalogue, &e.intent.name);
        let context = Context { scene: e.scene, ..Default::default() };
        let mut draft = Draft::new(ModelInput { text: e.utterance, context }, e.intent.clone(), &spoken, words);
        let output = match draft.push(&reply, &canned) {
            DraftOutput::Final { text, replaced } => (text, replaced),
            DraftOutput::Incomplete | DraftOutput::Sentences(_) => match draft.finish(&canned) {
                DraftOutput::Final { text, replaced } => (text, replaced),
                other => panic!("{other:?} is not final"),
            },
        };
        if output.1 {
            replaced.insert(format!("{}: {}", e.intent.name, e.reply));
        }
    }
    println!("{answered} replies");
    let shown: Vec<_> = replaced.iter().take(20).collect();
    assert!(replaced.is_empty(), "{} replies, among them {shown:#?}", replaced.len());
}
