//! The model's intent in the light of how it was said ([`super::phrasing`]): what is not wanted, complaints, places that are
//! looked for, names in full, values that somebody said.

use super::{
    dialogue_history::is_difference,
    numbers::{Number, Unit, numbers},
    phrasing::{
        names::{completed, searched_place},
        polarity::{is_negated, is_of_complaints, remedy},
    },
};
use auriga_lm::intent::{
    catalogue::{Catalogue, OUT_OF_SCOPE, SlotKind},
    output::IntentOutput,
    prompt::clean_utterance,
};

/// Intents of the catalogue that the node handles by itself.
pub(crate) const REPEAT: &str = "repeat";
pub(crate) const STOP: &str = "stop";
pub(crate) const WARNING_LAMP: &str = "warning_lamp";

/// Confidence of an intent that the rules found where the model had none.
const RULE_CONFIDENCE: f64 = 0.9;
/// Intents that change the temperature by a step, and the one that sets it, with its slot.
const TEMPERATURE_STEPS: [&str; 2] = ["climate_warmer", "climate_cooler"];
const SET_TEMPERATURE: (&str, &str) = ("set_temperature", "degrees");
const NAVIGATE: (&str, &str) = ("navigate_to", "place");
/// What the model takes the search for another kind of place for.
const OTHER_SEARCHES: [&str; 3] = [OUT_OF_SCOPE, "find_parking", "find_charging"];
/// Before a number these say that it is to be set.
const BEFORE_VALUE: [&str; 12] =
    ["to", "at", "it", "on", "temperature", "about", "around", "want", "like", "exactly", "degrees", "heating"];

/// What was said to be the value of an optional choice: the slot, the value, and words one of which names it.
const CHOICE_WORDS: [(&str, &str, &[&str]); 6] = [
    ("which", "driver", &["driver", "driver's", "drivers", "my", "mine", "left"]),
    ("which", "passenger", &["passenger", "passenger's", "passengers", "her", "his", "other", "right"]),
    ("which", "rear", &["rear", "back", "behind"]),
    ("which", "all", &["all", "both", "every", "everything", "windows"]),
    ("where", "front", &["front", "windscreen", "windshield", "windscreens"]),
    ("where", "rear", &["rear", "back", "behind"]),
];

/// Words that name the value of an optional choice and nothing else.
const SURE_CHOICE_WORDS: [(&str, &str, &[&str]); 6] = [
    ("which", "driver", &["driver", "driver's"]),
    ("which", "passenger", &["passenger", "passenger's"]),
    ("which", "rear", &["rear"]),
    ("which", "all", &["all", "both", "every"]),
    ("where", "front", &["front", "windscreen", "windshield"]),
    ("where", "rear", &["rear"]),
];

/// What is meant.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Meaning {
    /// This is to be done.
    Intent(IntentOutput),
    /// This is not to be done, or its state is denied.
    Unwanted(IntentOutput),
}

/// What an utterance means for which the model found `output`.
pub(crate) fn interpret(text: &str, output: IntentOutput, catalogue: &Catalogue) -> Meaning {
    // "No more blower" is carried out by switching it off.
    let switches_off = output.slots.iter().any(|(_, value)| value == "off");
    if !switches_off && is_negated(text, &output.name) {
        return Meaning::Unwanted(output);
    }
    let output = remedied(text, output);
    let output = sought(text, output);
    let output = with_temperature(text, output);
    Meaning::Intent(with_spoken_values(text, output, catalogue))
}

/// A complaint decides between louder and quieter, warmer and cooler.
fn remedied(text: &str, output: IntentOutput) -> IntentOutput {
    let is_open = output.name == OUT_OF_SCOPE;
    match remedy(text) {
        Some(name) if name != output.name && (is_open || is_of_complaints(&output.name)) => {
            IntentOutput { confidence: output.confidence.max(RULE_CONFIDENCE), ..IntentOutput::new(name, &[]) }
        }
        _ => output,
    }
}

/// A search for a kind of place is guidance to it.
fn sought(text: &str, output: IntentOutput) -> IntentOutput {
    let is_open =
        OTHER_SEARCHES.contains(&output.name.as_str()) || (output.name == NAVIGATE.0 && output.slots.is_empty());
    match searched_place(text).filter(|_| is_open) {
        Some(place) => {
            IntentOutput { confidence: RULE_CONFIDENCE, ..IntentOutput::new(NAVIGATE.0, &[(NAVIGATE.1, &place)]) }
        }
        None => output,
    }
}

/// A temperature that was said is set, not passed over for a step.
fn with_temperature(text: &str, output: IntentOutput) -> IntentOutput {
    let [Number { value, decimals: 0, unit: unit @ (Unit::Degrees | Unit::None) }] = numbers(text)[..] else {
        return output;
    };
    let said = clean_utterance(text);
    let words: Vec<&str> = said.split(' ').collect();
    let at = auriga_number_words::parse::first(&words).map(|(at, ..)| at).filter(|at| *at > 0);
    let is_set = at.is_some_and(|at| BEFORE_VALUE.contains(&words[at - 1]));
    // Out of scope for the model, where the value is beyond its bounds.
    let is_named = unit == Unit::Degrees || words.contains(&"temperature");
    let is_open = output.name == OUT_OF_SCOPE && is_named;
    if !(is_open || TEMPERATURE_STEPS.contains(&output.name.as_str())) || !is_set || is_difference(text) {
        return output;
    }
    let degrees = format!("{value:.0}");
    IntentOutput {
        confidence: output.confidence.max(RULE_CONFIDENCE),
        ..IntentOutput::new(SET_TEMPERATURE.0, &[(SET_TEMPERATURE.1, &degrees)])
    }
}

/// Names in full, and no optional choice that nobody said.
fn with_spoken_values(text: &str, mut output: IntentOutput, catalogue: &Catalogue) -> IntentOutput {
    let Some(intent) = catalogue.get(&output.name) else { return output };
    let said = clean_utterance(text);
    let is_said = |slot: &str, value: &str| {
        let known = CHOICE_WORDS.iter().find(|(s, v, _)| *s == slot && *v == value);
        known.is_none_or(|(.., names)| said.split(' ').any(|word| names.contains(&word)))
    };
    let optional = |name: &str| intent.slot(name).is_some_and(|s| !s.required && matches!(s.kind, SlotKind::Choice(_)));
    output.slots.retain(|(name, value)| !optional(name) || is_said(name, value));
    for slot in &intent.slots {
        if !optional(&slot.name) || output.slot(&slot.name).is_some() {
            continue;
        }
        let words = || SURE_CHOICE_WORDS.iter().filter(|(name, ..)| *name == slot.name);
        let named = words().filter(|(.., names)| said.split(' ').any(|word| names.contains(&word)));
        if let [(name, value, _)] = named.collect::<Vec<_>>()[..] {
            output.slots.push(((*name).to_owned(), (*value).to_owned()));
        }
    }
    for (name, value) in &mut output.slots {
        if intent.slot(name).is_some_and(|slot| slot.kind == SlotKind::Text) {
            *value = completed(value, text);
        }
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn catalogue() -> Catalogue {
        Catalogue::load(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/language/intents.toml")).unwrap()
    }

    fn meaning(text: &str, output: &str) -> String {
        match interpret(text, IntentOutput::parse(output).unwrap(), &catalogue()) {
            Meaning::Intent(intent) => intent.to_string(),
            Meaning::Unwanted(intent) => format!("not {intent}"),
        }
    }

    #[test]
    fn the_way_of_saying_it_corrects_the_model() {
        for (text, output, expected) in [
            ("don't call anna", "call who=anna;", "not call who=anna;"),
            ("i'm not tired at all thanks", "driver_tired", "not driver_tired"),
            ("blimey that's deafening", "volume_up", "volume_down"),
            ("it's boiling in here", "out_of_scope", "climate_cooler"),
            ("find me a gas station", "out_of_scope", "navigate_to place=a gas station;"),
            ("could you ring my daughter back", "call who=my;", "call who=my daughter;"),
            ("set it to fifteen", "climate_warmer", "set_temperature degrees=15;"),
            ("make it twenty three degrees", "climate_warmer", "set_temperature degrees=23;"),
            ("it's only fifteen degrees in here", "climate_warmer", "climate_warmer"),
            ("two degrees warmer", "climate_warmer", "climate_warmer"),
            ("open the window", "window_open which=driver;", "window_open"),
            ("close the rear window", "window_close", "window_close which=rear;"),
            ("the windscreen is all fogged up", "defrost", "defrost where=front;"),
            ("find me a petrol station", "find_parking", "navigate_to place=a petrol station;"),
            ("set the temperature to thirty five", "out_of_scope", "set_temperature degrees=35;"),
            ("the answer is forty two", "out_of_scope", "out_of_scope"),
            ("open the passenger window", "window_open which=passenger;", "window_open which=passenger;"),
            ("open all windows", "window_open which=all;", "window_open which=all;"),
            ("turn on the seat heating", "seat_heating level=on;", "seat_heating level=on;"),
            ("no more heating of the seat please", "seat_heating level=off;", "seat_heating level=off;"),
            ("call anna", "call who=anna;", "call who=anna;"),
        ] {
            assert_eq!(meaning(text, output), expected, "{text}");
        }
    }

    #[test]
    fn the_words_of_choices_are_values_of_the_catalogue() {
        let catalogue = catalogue();
        for (slot, value, _) in CHOICE_WORDS.into_iter().chain(SURE_CHOICE_WORDS) {
            let slots = catalogue.intents().iter().flat_map(|i| &i.slots).filter(|s| s.name == slot);
            let has = |k: &SlotKind| matches!(k, SlotKind::Choice(values) if values.iter().any(|v| v == value));
            assert!(slots.into_iter().any(|s| has(&s.kind)), "{slot} {value}");
        }
        for name in TEMPERATURE_STEPS.iter().chain([&SET_TEMPERATURE.0, &NAVIGATE.0]) {
            assert!(catalogue.get(name).is_some(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_words_have_a_meaning_of_the_catalogue(text in "\\PC{0,40}", which in 0usize..39) {
            let catalogue = catalogue();
            let name = catalogue.intents()[which % catalogue.intents().len()].name.clone();
            let (Meaning::Intent(found) | Meaning::Unwanted(found)) = interpret(&text, IntentOutput::new(name, &[]), &catalogue);
            prop_assert!(catalogue.get(&found.name).is_some());
        }
    }
}
