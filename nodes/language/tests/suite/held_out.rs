//! Utterances of each kind of difficulty, with the shipped models: through the node, and by the model alone.

use crate::common::{FAR, Timeline, config, full_grants, scene};
use auriga_language::LanguageNode;
use auriga_lm::intent::{catalogue::Catalogue, classifier::IntentClassifier};
use std::collections::BTreeMap;

#[derive(serde::Deserialize)]
struct File {
    said: Vec<Said>,
}

#[derive(serde::Deserialize)]
struct Said {
    kind: String,
    text: String,
    intents: Vec<String>,
}

/// Correct by the model alone, correct through the node, and all.
type Counts = (usize, usize, usize);

/// Below what is measured, so that rounding of another processor does not fail the test.
const MIN_SHARE: f64 = 0.9;

fn of_node(text: &str) -> Vec<String> {
    let timeline = Timeline::new().at(900, full_grants(900, FAR)).at(950, scene(950, 14.0)).say(1000, text);
    let o = timeline.run_node(LanguageNode::new(&config()).unwrap(), Default::default());
    let slots = |i: &auriga_msgs::v1::Intent| -> String {
        let all: String = i.slots.iter().map(|s| format!("{}={};", s.name, s.value)).collect();
        if all.is_empty() { all } else { format!(" {all}") }
    };
    o.intents().iter().map(|i| format!("{}{}", i.name, slots(i))).collect()
}

#[test]
fn held_out_utterances_are_understood() {
    let config = config();
    if !config.adapter.join("adapter.json").exists() || !config.encoder.exists() {
        return auriga_testing::skip(format!("no encoder in {} (make setup)", config.encoder.display()));
    }
    tch::set_num_threads(1);
    let catalogue = Catalogue::load(&config.catalogue).unwrap();
    let classifier = IntentClassifier::load(&config.encoder, &config.adapter, catalogue).unwrap();
    let file: File = toml::from_str(include_str!("../held_out.toml")).unwrap();
    let mut kinds: BTreeMap<&str, Counts> = BTreeMap::new();
    for said in &file.said {
        let alone = classifier.intent(&Default::default(), &said.text).unwrap().to_string();
        let found = of_node(&said.text);
        let counts = kinds.entry(&said.kind).or_default();
        counts.0 += usize::from(said.intents == [alone.clone()]);
        counts.1 += usize::from(said.intents == found);
        counts.2 += 1;
        if said.intents != found {
            println!("{:?}: expected {:?}, found {found:?}; the model alone {alone}", said.text, said.intents);
        }
    }
    println!("{:<12} {:>6} {:>6} {:>4}", "kind", "model", "node", "of");
    for (kind, (alone, node, all)) in &kinds {
        println!("{kind:<12} {alone:>6} {node:>6} {all:>4}");
    }
    let sum = |of: fn(&Counts) -> usize| kinds.values().map(of).sum::<usize>();
    let (alone, node, all) = (sum(|c| c.0), sum(|c| c.1), sum(|c| c.2));
    println!("{:<12} {alone:>6} {node:>6} {all:>4}", "all");
    assert!(node as f64 >= MIN_SHARE * all as f64, "{node} of {all}");
    assert!(kinds.values().all(|(alone, node, _)| node >= alone), "the rules make no kind worse: {kinds:?}");
}
