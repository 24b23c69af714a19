//! Canned responses (`canned.toml`): what is said without the model.

use auriga_lm::intent::{catalogue::Catalogue, output::IntentOutput, scene::SceneFacts};
use serde::Deserialize;
use std::collections::BTreeMap;

const SHIPPED: &str = include_str!("../../canned.toml");

/// Facts that a sentence may contain: numbers and the time, as they are spoken.
const FACTS: [&str; 7] = ["speed", "lead", "battery", "range", "out", "tyre", "time"];

/// When there is no model.
pub const NO_MODEL: &str = "The language model is missing. I cannot understand requests until it is installed.";
/// When the model failed at a request.
pub const MODEL_FAILED: &str = "The language model failed. Please ask me again.";
/// When the intent is uncertain.
pub const NOT_SURE: &str = "I am not sure what you mean. Please say it differently.";
/// When a request was longer than is accepted.
pub const TOO_LONG: &str = "That was too long for me. Please say it in fewer words.";

/// When nothing is to be done.
pub const ALL_RIGHT: &str = "All right.";

/// When tools are asked to stop. `names`: theirs in a sentence ("The telephone").
pub fn stopping(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| lower_first(name)).collect();
    format!("All right, I ask {} to stop.", names.join(" and "))
}

/// A proposal (a sentence) that no tool takes up. `tool`: its name in a sentence.
pub fn only_proposed(sentence: &str, tool: &str) -> String {
    format!("{}, but {} is not connected.", sentence.trim_end_matches('.'), lower_first(tool))
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// An error in `canned.toml`. The file is part of the program; a test checks it.
#[derive(Debug, thiserror::Error)]
pub enum CannedError {
    /// Not the expected TOML.
    #[error("canned.toml: {0}")]
    Toml(#[from] toml::de::Error),
    /// An intent without the sentences it needs.
    #[error("canned.toml: intent {intent}: {what}")]
    Entry {
        /// The intent.
        intent: String,
        /// What is wrong with its entry.
        what: &'static str,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(default)]
    needs: Vec<String>,
    say: Vec<String>,
}

/// The canned responses to all intents of a catalogue.
#[derive(Debug)]
pub struct CannedResponses {
    entries: BTreeMap<String, Entry>,
}

impl CannedResponses {
    /// The shipped responses.
    ///
    /// # Errors
    /// When an intent of the catalogue has no sentence, or none that holds without any fact.
    pub fn new(catalogue: &Catalogue) -> Result<Self, CannedError> {
        let entries: BTreeMap<String, Entry> = toml::from_str(SHIPPED)?;
        for intent in catalogue.intents() {
            let fail = |what| CannedError::Entry { intent: intent.name.clone(), what };
            let entry = entries.get(&intent.name).ok_or_else(|| fail("has no sentences"))?;
            let last = entry.say.last().ok_or_else(|| fail("has no sentences"))?;
            if last.contains('{') {
                return Err(fail("the last sentence must not contain any {name}: it is said when no fact is known"));
            }
        }
        Ok(Self { entries })
    }

    /// Whether a fact is unknown that every reply to this intent needs.
    pub fn lacks_fact(&self, intent: &str, facts: &SceneFacts) -> bool {
        let entry = self.entries.get(intent);
        entry.is_some_and(|e| e.needs.iter().any(|name| facts.fact(name).is_none()))
    }

    /// The first sentence of which all facts and slots are known.
    pub fn sentence(&self, intent: &IntentOutput, facts: &SceneFacts) -> String {
        let templates = self.entries.get(&intent.name).map_or(&[][..], |e| &e.say);
        templates.iter().find_map(|t| fill(t, intent, facts)).unwrap_or_else(|| MODEL_FAILED.into())
    }
}

/// Fills a template; `None` if a fact or slot in it is unknown.
fn fill(template: &str, intent: &IntentOutput, facts: &SceneFacts) -> Option<String> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        text.push_str(before);
        match FACTS.contains(&name) {
            true => text.push_str(spoken(&facts.fact(name)?)),
            false => text.push_str(intent.slot(name)?),
        }
        rest = after;
    }
    Some(text + rest)
}

/// A fact without the letters that are only for the model ("RR1.9": the position of the tyre).
fn spoken(fact: &str) -> &str {
    fact.trim_start_matches(|c: char| c.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::understand::{facts, numbers::numbers};
    use auriga_lm::intent::scene::Tyres;

    fn catalogue() -> Catalogue {
        Catalogue::load(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/language/intents.toml")).unwrap()
    }

    #[test]
    fn every_intent_has_a_response_when_no_fact_is_known() {
        let catalogue = catalogue();
        let canned = CannedResponses::new(&catalogue).unwrap();
        for intent in catalogue.intents() {
            let sentence = canned.sentence(&IntentOutput::new(&intent.name, &[]), &SceneFacts::default());
            assert!(!sentence.is_empty() && sentence != MODEL_FAILED, "{}", intent.name);
            assert_eq!(numbers(&sentence), [], "{}: {sentence}", intent.name);
        }
        for name in canned.entries.keys() {
            assert!(catalogue.get(name).is_some(), "{name} is not in the catalogue");
        }
    }

    #[test]
    fn numbers_in_responses_are_the_values_of_the_facts() {
        let bar = |rear_right_bar| {
            Some(Tyres { front_left_bar: 2.4, front_right_bar: 2.4, rear_left_bar: 2.4, rear_right_bar })
        };
        let facts = SceneFacts {
            speed_mps: Some(13.93),
            lead_distance_m: Some(24.5),
            battery: Some(0.635),
            range_km: Some(211.5),
            outside_temp_c: Some(-3.4),
            tyres: bar(1.92),
            ..Default::default()
        };
        let canned = CannedResponses::new(&catalogue()).unwrap();
        let values = facts::values(&facts);
        for (intent, expected) in [
            ("range_query", "The range is 212 kilometres."),
            ("weather", "It is -3 degrees outside."),
            ("tyre_pressure", "The lowest tyre has 1.9 bar."),
            ("vehicle_status", "The battery is at 64 percent and the range is 212 kilometres."),
            ("speed_query", "We are doing 50 kilometres per hour."),
            ("distance_ahead_query", "The vehicle ahead is 25 metres away."),
        ] {
            assert!(!canned.lacks_fact(intent, &facts));
            let sentence = canned.sentence(&IntentOutput::new(intent, &[]), &facts);
            assert_eq!(sentence, expected);
            assert!(numbers(&sentence).iter().all(|n| facts::is_one_of(n, &values)), "{sentence}");
        }
        assert!(canned.lacks_fact("time_query", &facts));
        assert!(!canned.lacks_fact("call", &facts));
    }

    #[test]
    fn what_is_not_connected_is_not_announced_as_done() {
        let said = only_proposed("I propose to open the window.", "The car's body control");
        assert_eq!(said, "I propose to open the window, but the car's body control is not connected.");
        let both = stopping(&["The telephone".into(), "The navigation".into()]);
        assert_eq!(both, "All right, I ask the telephone and the navigation to stop.");
    }

    #[test]
    fn a_slot_value_is_inserted_unchanged() {
        let canned = CannedResponses::new(&catalogue()).unwrap();
        let call = IntentOutput::new("call", &[("who", "anna {range}")]);
        assert_eq!(canned.sentence(&call, &SceneFacts::default()), "I will call anna {range}.");
    }
}
