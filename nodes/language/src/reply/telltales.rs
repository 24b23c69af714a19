//! The meaning of telltales, the warning lamps of the dashboard, and of past hazard warnings (`telltales.toml`).

use super::verbosity::Verbosity;
use auriga_lm::intent::prompt::clean_utterance;
use serde::Deserialize;

const SHIPPED: &str = include_str!("../../telltales.toml");

/// The question when no telltale was named.
pub const WHICH: &str = "Which lamp do you mean? Tell me what it shows.";

/// An error in `telltales.toml`. The file is part of the program; a test checks it.
#[derive(Debug, thiserror::Error)]
pub enum TelltaleError {
    #[error("telltales.toml: {0}")]
    Toml(#[from] toml::de::Error),
    #[error("telltales.toml: {telltale}: {what}")]
    Entry { telltale: String, what: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Colour {
    Red,
    Amber,
    Green,
    Blue,
    White,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Telltale {
    name: String,
    phrases: Vec<String>,
    colour: Colour,
    meaning: String,
    advice: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HazardText {
    kind: String,
    meaning: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    telltale: Vec<Telltale>,
    hazard: Vec<HazardText>,
}

/// The shipped table.
#[derive(Debug)]
pub struct Telltales(File);

impl Telltales {
    pub fn new() -> Result<Self, TelltaleError> {
        let file: File = toml::from_str(SHIPPED)?;
        let mut phrases: Vec<&String> = Vec::new();
        for telltale in &file.telltale {
            let fail = |what: String| TelltaleError::Entry { telltale: telltale.name.clone(), what };
            if telltale.phrases.is_empty() || telltale.meaning.is_empty() {
                return Err(fail("expected phrases and a meaning".into()));
            }
            if telltale.colour == Colour::Red && telltale.advice.is_none() && telltale.name != "hazard warning" {
                return Err(fail("a red telltale needs advice".into()));
            }
            if let Some(said) = telltale.phrases.iter().find(|s| phrases.contains(s) || clean_utterance(s) != **s) {
                return Err(fail(format!(
                    "the phrase {said:?} belongs to another telltale too, or is not in lower-case words"
                )));
            }
            phrases.extend(&telltale.phrases);
        }
        Ok(Self(file))
    }

    /// The meaning of the telltale that the text names, else of the last hazard (its kind).
    pub fn explain_any(&self, text: &str, hazard: Option<&str>, verbosity: Verbosity) -> Option<String> {
        self.explain(text, verbosity).or_else(|| self.hazard(hazard?))
    }

    /// The meaning of the telltale that the text names, with advice if it is urgent or a full reply is allowed. `None` if
    /// the text names none.
    pub fn explain(&self, text: &str, verbosity: Verbosity) -> Option<String> {
        let said = format!(" {} ", clean_utterance(text));
        let longest = |telltale: &Telltale| {
            // Only the beginning of a word has to match: a plural or genitive names it as well.
            let named = telltale.phrases.iter().filter(|phrase| said.contains(&format!(" {phrase}")));
            named.map(String::len).max().unwrap_or(0)
        };
        let telltales = self.0.telltale.iter().map(|telltale| (longest(telltale), telltale));
        let named = telltales.filter(|(length, _)| *length > 0);
        // Reversed, because of equal maxima `max_by_key` returns the last and the first is wanted.
        let (_, telltale) = named.rev().max_by_key(|(length, _)| *length)?;
        let advice =
            telltale.advice.as_ref().filter(|_| verbosity == Verbosity::Full || telltale.colour == Colour::Red);
        Some(advice.map_or(telltale.meaning.clone(), |advice| format!("{} {advice}", telltale.meaning)))
    }

    /// What a past warning was about, by the kind of its hazard.
    pub fn hazard(&self, kind: &str) -> Option<String> {
        self.0.hazard.iter().find(|hazard| hazard.kind == kind).map(|hazard| hazard.meaning.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::understand::numbers::numbers;
    use auriga_lm::intent::scene::HAZARDS;
    use proptest::prelude::*;

    #[test]
    fn a_telltale_is_recognised_by_the_phrases_of_drivers() {
        let telltales = Telltales::new().unwrap();
        for (text, meaning) in [
            (
                "what does the yellow engine light mean",
                "The engine's control has found a fault, mostly of the exhaust.",
            ),
            ("why is the OIL can lit?", "The oil pressure is too low."),
            ("what is the battery symbol", "The battery is not being charged."),
            ("the low battery lamp came on", "The drive battery is nearly empty, and the power may be reduced."),
            ("there is a brake pad warning", "The brake linings are worn."),
            ("there is a red brake warning", "There is a fault in the brakes, or the brake fluid is low."),
            ("what is that snowflake", "It is so cold that the road may be icy."),
            ("the seat belts lamp", "Somebody is not wearing the seat belt."),
        ] {
            let answer = telltales.explain(text, Verbosity::Full).unwrap_or_default();
            assert!(answer.starts_with(meaning), "{text}: {answer}");
        }
        assert_eq!(telltales.explain("what does this light mean", Verbosity::Full), None);
        assert_eq!(telltales.explain("", Verbosity::Full), None);
    }

    #[test]
    fn a_brief_explanation_has_advice_only_if_it_is_urgent() {
        let telltales = Telltales::new().unwrap();
        let brief = |text| telltales.explain(text, Verbosity::Brief).unwrap();
        assert_eq!(brief("tyre pressure lamp"), "A tyre has too little air.");
        assert_eq!(
            brief("oil lamp"),
            "The oil pressure is too low. Stop as soon as it is safe and switch the engine off."
        );
    }

    #[test]
    fn every_phrase_and_every_hazard_kind_has_its_explanation() {
        let telltales = Telltales::new().unwrap();
        for telltale in &telltales.0.telltale {
            for said in &telltale.phrases {
                let answer = telltales.explain(&format!("what does the {said} mean"), Verbosity::Full).unwrap();
                assert!(answer.starts_with(&telltale.meaning), "{said}: {answer}");
                assert_eq!(numbers(&answer), [], "{answer}");
            }
        }
        for kind in HAZARDS {
            assert!(telltales.hazard(kind).is_some(), "{kind}");
        }
        assert_eq!(telltales.hazard("unknown"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_handled_without_panic(text in "\\PC{0,80}") {
            Telltales::new().unwrap().explain(&text, Verbosity::Full);
        }
    }
}
