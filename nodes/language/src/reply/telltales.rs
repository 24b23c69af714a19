//! What a warning lamp means (`telltales.toml`), and what the warning was that has just been given.

use crate::reply::verbosity::Verbosity;
use auriga_lm::prompt::clean_utterance;
use serde::Deserialize;

const SHIPPED: &str = include_str!("../../telltales.toml");

/// Asked back when no lamp was named.
pub const WHICH: &str = "Which lamp do you mean? Tell me what it shows.";
/// Said when the answer names none either.
pub const UNKNOWN: &str = "I do not know that lamp. If it is red, stop as soon as it is safe.";

/// The table is the project's own: what is wrong with it is found by a test and told at start.
#[derive(Debug, thiserror::Error)]
pub enum TelltaleError {
    #[error("telltales.toml: {0}")]
    Toml(#[from] toml::de::Error),
    #[error("telltales.toml: {lamp}: {what}")]
    Entry { lamp: String, what: String },
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
    said: Vec<String>,
    colour: Colour,
    means: String,
    r#do: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct After {
    kind: String,
    means: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    lamp: Vec<Telltale>,
    after: Vec<After>,
}

/// All tell-tales.
#[derive(Debug)]
pub struct Telltales(File);

impl Telltales {
    pub fn new() -> Result<Self, TelltaleError> {
        let file: File = toml::from_str(SHIPPED)?;
        let mut phrases: Vec<&String> = Vec::new();
        for lamp in &file.lamp {
            let fail = |what: String| TelltaleError::Entry { lamp: lamp.name.clone(), what };
            if lamp.said.is_empty() || lamp.means.is_empty() {
                return Err(fail("expected words that drivers use and a meaning".into()));
            }
            if lamp.colour == Colour::Red && lamp.r#do.is_none() && lamp.name != "hazard warning" {
                return Err(fail("a red lamp needs what to do".into()));
            }
            if let Some(said) = lamp.said.iter().find(|s| phrases.contains(s) || clean_utterance(s) != **s) {
                return Err(fail(format!("{said:?} is another lamp's too, or not in lower-case words")));
            }
            phrases.extend(&lamp.said);
        }
        Ok(Self(file))
    }

    /// What the lamp that is named in the text means; `None` when none is.
    pub fn explain(&self, text: &str, talk: Verbosity) -> Option<String> {
        let said = format!(" {} ", clean_utterance(text));
        let longest = |lamp: &Telltale| {
            // A plural or a genitive still names it: only the beginning of a word has to fit.
            let named = lamp.said.iter().filter(|phrase| said.contains(&format!(" {phrase}")));
            named.map(String::len).max().unwrap_or(0)
        };
        let lamps = self.0.lamp.iter().map(|lamp| (longest(lamp), lamp)).filter(|(length, _)| *length > 0);
        // Of equal ones the first: `max_by_key` gives the last.
        let (_, lamp) = lamps.rev().max_by_key(|(length, _)| *length)?;
        let todo = lamp.r#do.as_ref().filter(|_| talk == Verbosity::Full || lamp.colour == Colour::Red);
        Some(todo.map_or(lamp.means.clone(), |todo| format!("{} {todo}", lamp.means)))
    }

    /// What the warning was, by the kind of the hazard.
    pub fn hazard(&self, kind: &str) -> Option<String> {
        self.0.after.iter().find(|a| a.kind == kind).map(|a| a.means.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::understand::numbers::numbers;
    use auriga_lm::intent::scene::HAZARDS;
    use proptest::prelude::*;

    #[test]
    fn a_lamp_is_known_by_what_drivers_call_it() {
        let lamps = Telltales::new().unwrap();
        for (text, means) in [
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
            let answer = lamps.explain(text, Verbosity::Full).unwrap_or_default();
            assert!(answer.starts_with(means), "{text}: {answer}");
        }
        assert_eq!(lamps.explain("what does this light mean", Verbosity::Full), None);
        assert_eq!(lamps.explain("", Verbosity::Full), None);
    }

    #[test]
    fn what_to_do_is_left_out_when_brief_unless_it_is_urgent() {
        let lamps = Telltales::new().unwrap();
        let brief = |text| lamps.explain(text, Verbosity::Brief).unwrap();
        assert_eq!(brief("tyre pressure lamp"), "A tyre has too little air.");
        assert_eq!(
            brief("oil lamp"),
            "The oil pressure is too low. Stop as soon as it is safe and switch the engine off."
        );
    }

    #[test]
    fn every_lamp_is_found_by_each_of_its_phrases_and_every_hazard_is_explained() {
        let lamps = Telltales::new().unwrap();
        for lamp in &lamps.0.lamp {
            for said in &lamp.said {
                let answer = lamps.explain(&format!("what does the {said} mean"), Verbosity::Full).unwrap();
                assert!(answer.starts_with(&lamp.means), "{said}: {answer}");
                assert_eq!(numbers(&answer), [], "{answer}");
            }
        }
        for kind in HAZARDS {
            assert!(lamps.hazard(kind).is_some(), "{kind}");
        }
        assert_eq!(lamps.hazard("unknown"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in "\\PC{0,80}") {
            Telltales::new().unwrap().explain(&text, Verbosity::Full);
        }
    }
}
