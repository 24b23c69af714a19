//! Which tool carries out an intent, which question follows an intent, and which requests are refused because they would
//! distract the driver (`tools.toml`).

use crate::understand::rules::CheckedIntent;
use auriga_lm::intent::{
    catalogue::{Catalogue, Kind},
    output::IntentOutput,
    prompt::clean_utterance,
};
use serde::Deserialize;
use std::collections::BTreeMap;

const SHIPPED: &str = include_str!("../../tools.toml");

/// An error in `tools.toml`, which is part of the program and checked by a test, or in the key `connected_tools`.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    #[error("tools.toml: {0}")]
    Toml(#[from] toml::de::Error),
    #[error("tools.toml: {entry}: {what}")]
    Entry { entry: String, what: String },
    #[error("connected_tools contains {found:?}: expected tools of tools.toml with by = \"vehicle\": {known}")]
    Connected { found: String, known: String },
}

/// Who carries out the intents of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Executor {
    /// The node itself.
    Node,
    /// A program of the vehicle that answers on `cabin/outcome`.
    Vehicle,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    pub name: String,
    pub by: Executor,
    /// Its name in a sentence; empty for tools of the node.
    #[serde(default)]
    pub spoken_name: String,
    intents: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirm {
    after: String,
    ask: String,
    then: Then,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Then {
    intent: String,
    #[serde(default)]
    slots: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Distraction {
    phrases: Vec<String>,
    max_speed_mps: f64,
    refusal: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Beyond {
    phrases: Vec<String>,
    answer: String,
    intent: Option<String>,
    #[serde(default)]
    unless: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    beyond: Vec<Beyond>,
    tool: Vec<Tool>,
    confirm: Vec<Confirm>,
    distraction: Vec<Distraction>,
}

/// The checked table.
#[derive(Debug)]
pub struct Tools {
    file: File,
    connected: Vec<String>,
}

impl Tools {
    /// The shipped table. `connected`: names of the tools that are present in this vehicle.
    ///
    /// # Errors
    /// When `connected` has a name that is no tool of the vehicle, or the table does not fit the catalogue.
    pub fn new(catalogue: &Catalogue, connected: &[String]) -> Result<Self, ToolError> {
        let file: File = toml::from_str(SHIPPED)?;
        let known: Vec<&str> =
            file.tool.iter().filter(|t| t.by == Executor::Vehicle).map(|t| t.name.as_str()).collect();
        if let Some(found) = connected.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(ToolError::Connected { found: found.clone(), known: known.join(", ") });
        }
        file.check(catalogue)?;
        Ok(Self { file, connected: connected.to_vec() })
    }

    /// The tool that carries out an intent; `None` if the intent needs none.
    pub fn for_intent(&self, intent: &str) -> Option<&Tool> {
        self.file.tool.iter().find(|tool| tool.intents.iter().any(|i| i == intent))
    }

    /// Whether the tool is present in this vehicle.
    pub fn is_connected(&self, tool: &Tool) -> bool {
        self.connected.contains(&tool.name)
    }

    /// The question that follows an intent, and the intent that "yes" stands for.
    pub fn follow_up_question(&self, intent: &str) -> Option<(&str, IntentOutput)> {
        let confirm = self.file.confirm.iter().find(|c| c.after == intent)?;
        Some((&confirm.ask, confirm.then.output()))
    }

    /// Refuses what this car cannot carry out, and what would distract the driver at this speed.
    pub fn restrict(&self, checked: &mut CheckedIntent, catalogue: &Catalogue, text: &str, speed_mps: Option<f64>) {
        // Whoever is in trouble is not told what the car cannot do.
        if let Some(b) = self.beyond(text, &checked.output.name).filter(|_| !checked.is_safety(catalogue)) {
            *checked = CheckedIntent::beyond(b.intent.as_deref(), checked.output.confidence, &b.answer);
        }
        if let Some(refusal) = self.distraction(text, speed_mps) {
            checked.refusal = Some(refusal.to_owned());
        }
    }

    /// The row for a request that this car cannot carry out, whatever intent the model took it for.
    fn beyond(&self, text: &str, intent: &str) -> Option<&Beyond> {
        let said = format!(" {} ", clean_utterance(text));
        let names = |b: &&Beyond| b.phrases.iter().any(|phrase| said.contains(&format!(" {phrase} ")));
        let applies = |b: &&Beyond| names(b) && !b.unless.iter().any(|name| name == intent);
        self.file.beyond.iter().find(applies)
    }

    /// The refusal of a request that would distract the driver at this speed. An unknown speed counts as too fast.
    fn distraction(&self, text: &str, speed_mps: Option<f64>) -> Option<&str> {
        let said = format!(" {} ", clean_utterance(text));
        let names = |d: &&Distraction| d.phrases.iter().any(|phrase| said.contains(&format!(" {phrase} ")));
        let allowed = |d: &Distraction| speed_mps.is_some_and(|v| v.abs() <= d.max_speed_mps);
        self.file.distraction.iter().find(|d| names(d) && !allowed(d)).map(|d| d.refusal.as_str())
    }
}

impl Then {
    fn output(&self) -> IntentOutput {
        let slots: Vec<(&str, &str)> = self.slots.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        IntentOutput::new(&self.intent, &slots)
    }
}

impl File {
    fn check(&self, catalogue: &Catalogue) -> Result<(), ToolError> {
        let fail = |entry: &str, what: String| ToolError::Entry { entry: entry.into(), what };
        for tool in &self.tool {
            if let Some(name) = tool.intents.iter().find(|name| catalogue.get(name).is_none()) {
                return Err(fail(&tool.name, format!("the catalogue has no {name}")));
            }
            if tool.by == Executor::Vehicle && tool.spoken_name.is_empty() {
                return Err(fail(&tool.name, "needs spoken_name, which is said when the tool does not answer".into()));
            }
        }
        for intent in catalogue.intents().iter().filter(|i| matches!(i.kind, Kind::Action | Kind::Query)) {
            let tools = self.tool.iter().filter(|t| t.intents.contains(&intent.name)).count();
            if tools != 1 {
                return Err(fail(&intent.name, format!("needs one tool, has {tools}")));
            }
        }
        for confirm in &self.confirm {
            let then = catalogue.check(&confirm.then.output());
            then.map_err(|what| fail(&confirm.after, what))?;
            if catalogue.get(&confirm.after).is_none() || !confirm.ask.ends_with('?') {
                return Err(fail(&confirm.after, "expected an intent of the catalogue and a question".into()));
            }
        }
        for b in &self.beyond {
            let mut named = b.unless.iter().chain(&b.intent);
            let is_valid = !b.answer.is_empty() && named.all(|name| catalogue.get(name).is_some());
            if !is_valid || b.phrases.iter().any(|s| s.is_empty() || clean_utterance(s) != *s) {
                return Err(fail(&b.answer, "expected phrases in lower-case words, an answer and intents".into()));
            }
        }
        for d in &self.distraction {
            let is_valid = d.max_speed_mps >= 0.0 && !d.refusal.is_empty();
            if !is_valid || d.phrases.iter().any(|s| s.is_empty() || clean_utterance(s) != *s) {
                return Err(fail(&d.refusal, "expected phrases in lower-case words, a speed and a refusal".into()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue() -> Catalogue {
        Catalogue::load(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/language/intents.toml")).unwrap()
    }

    fn tools(connected: &[&str]) -> Result<Tools, ToolError> {
        Tools::new(&catalogue(), &connected.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn every_query_and_action_has_a_tool() {
        let tools = tools(&["telephone"]).unwrap();
        let call = tools.for_intent("call").unwrap();
        assert_eq!((call.name.as_str(), call.by, tools.is_connected(call)), ("telephone", Executor::Vehicle, true));
        assert!(!tools.is_connected(tools.for_intent("navigate_to").unwrap()));
        assert_eq!(tools.for_intent("range_query").unwrap().by, Executor::Node);
        assert!(tools.for_intent("greeting").is_none());
    }

    #[test]
    fn only_tools_of_the_vehicle_can_be_connected() {
        for name in ["fridge", "signals"] {
            let e = tools(&[name]).unwrap_err().to_string();
            assert!(e.contains(name) && e.contains("navigation"), "{e}");
        }
    }

    #[test]
    fn distracting_requests_are_refused_above_their_speed_limit_and_at_unknown_speed() {
        let tools = tools(&[]).unwrap();
        let refused = |text, speed| tools.distraction(text, speed).is_some();
        for text in ["Play a video!", "please write a message to tom"] {
            assert!(refused(text, Some(0.31)) && refused(text, Some(-0.31)) && refused(text, None), "{text}");
            assert!(refused(text, Some(f64::NAN)) && !refused(text, Some(0.3)), "{text}");
        }
        assert!(!refused("read me the news", Some(13.9)) && refused("read me the news", Some(14.0)));
        for text in ["play some jazz", "did you see that video", "play a videogame song", ""] {
            assert!(!refused(text, Some(30.0)), "{text}");
        }
    }

    #[test]
    fn what_the_car_cannot_do_is_said() {
        let tools = tools(&[]).unwrap();
        for (text, intent, expected) in [
            ("tell her i'll be late", "out_of_scope", Some("messages")),
            ("How long will it take?", "speed_query", Some("arrive")),
            ("forecast for the next seven days", "out_of_scope", Some("forecast")),
            ("how do i open the sunroof", "explain_car", None),
            ("open the sunroof", "window_open", Some("operate")),
            ("tell me the range", "range_query", None),
            ("how far can i still go", "range_query", None),
        ] {
            let found = tools.beyond(text, intent).map(|b| b.answer.as_str());
            assert_eq!(found.is_some(), expected.is_some(), "{text}: {found:?}");
            assert!(expected.is_none_or(|part| found.unwrap().contains(part)), "{text}: {found:?}");
        }
    }

    #[test]
    fn a_follow_up_question_leads_to_an_intent_of_the_catalogue() {
        let tools = tools(&[]).unwrap();
        let (ask, then) = tools.follow_up_question("driver_unwell").unwrap();
        assert_eq!((ask, then.to_string().as_str()), ("Shall I call for help?", "call who=the emergency services;"));
        assert!(tools.follow_up_question("call").is_none());
    }
}
