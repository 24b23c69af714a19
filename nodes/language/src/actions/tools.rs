//! Which intent needs which tool, what the node asks back, and what it refuses because it distracts (`tools.toml`).

use auriga_lm::intent::{
    catalogue::{Catalogue, Kind},
    output::IntentOutput,
    prompt::clean_utterance,
};
use serde::Deserialize;
use std::collections::BTreeMap;

const SHIPPED: &str = include_str!("../../tools.toml");

/// The table is the project's own: what is wrong with it is found by a test and told at start.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    #[error("tools.toml: {0}")]
    Toml(#[from] toml::de::Error),
    #[error("tools.toml: {entry}: {what}")]
    Entry { entry: String, what: String },
    #[error("connected = {found:?}: expected tools of tools.toml that the vehicle carries out: {known}")]
    Connected { found: String, known: String },
}

/// Who carries a tool out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Executor {
    /// The node, from what it knows.
    Node,
    /// Whoever answers on `cabin/outcome`.
    Vehicle,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    pub name: String,
    pub by: Executor,
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
    said: Vec<String>,
    max_speed_mps: f64,
    refusal: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    tool: Vec<Tool>,
    confirm: Vec<Confirm>,
    distraction: Vec<Distraction>,
}

/// The table, checked.
#[derive(Debug)]
pub struct Tools {
    file: File,
    connected: Vec<String>,
}

impl Tools {
    /// `connected`: tools that somebody in this vehicle carries out.
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

    /// The tool that an intent needs.
    pub fn of(&self, intent: &str) -> Option<&Tool> {
        self.file.tool.iter().find(|tool| tool.intents.iter().any(|i| i == intent))
    }

    pub fn named(&self, tool: &str) -> Option<&Tool> {
        self.file.tool.iter().find(|t| t.name == tool)
    }

    /// Whether somebody is there to carry it out.
    pub fn is_connected(&self, tool: &Tool) -> bool {
        self.connected.contains(&tool.name)
    }

    /// What is asked back after an intent, and what a "yes" means.
    pub fn confirm(&self, intent: &str) -> Option<(&str, IntentOutput)> {
        let confirm = self.file.confirm.iter().find(|c| c.after == intent)?;
        Some((&confirm.ask, confirm.then.output()))
    }

    /// Why this is not done now, if it takes the eyes off the road. A speed that is not known is too fast.
    pub fn distraction(&self, text: &str, speed_mps: Option<f64>) -> Option<&str> {
        let said = format!(" {} ", clean_utterance(text));
        let names = |d: &&Distraction| d.said.iter().any(|phrase| said.contains(&format!(" {phrase} ")));
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
                return Err(fail(&tool.name, "needs `spoken_name`: it is said when it does not answer".into()));
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
        for d in &self.distraction {
            let sane = d.max_speed_mps >= 0.0 && !d.refusal.is_empty();
            if !sane || d.said.iter().any(|s| s.is_empty() || clean_utterance(s) != *s) {
                return Err(fail(&d.refusal, "expected phrases in lower-case words and a speed".into()));
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
    fn every_query_and_action_has_its_tool() {
        let tools = tools(&["telephone"]).unwrap();
        let call = tools.of("call").unwrap();
        assert_eq!((call.name.as_str(), call.by, tools.is_connected(call)), ("telephone", Executor::Vehicle, true));
        assert!(!tools.is_connected(tools.of("navigate_to").unwrap()));
        assert_eq!(tools.of("range_query").unwrap().by, Executor::Node);
        assert!(tools.of("greeting").is_none());
    }

    #[test]
    fn a_tool_that_is_not_there_cannot_be_connected() {
        for name in ["fridge", "signals"] {
            let e = tools(&[name]).unwrap_err().to_string();
            assert!(e.contains(name) && e.contains("navigation"), "{e}");
        }
    }

    #[test]
    fn what_distracts_is_refused_above_its_speed_and_where_that_is_not_known() {
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
    fn a_question_back_leads_to_an_intent_of_the_catalogue() {
        let tools = tools(&[]).unwrap();
        let (ask, then) = tools.confirm("driver_unwell").unwrap();
        assert_eq!((ask, then.to_string().as_str()), ("Shall I call for help?", "call who=the emergency services;"));
        assert!(tools.confirm("call").is_none());
    }
}
