//! The rows of `topics.toml` and their checks. Compiled into the build script (which turns them into types) and into
//! the crate (whose tests and fuzz target feed it bad tables).

use serde::Deserialize;
use std::collections::HashSet;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    #[serde(rename = "node")]
    pub nodes: Vec<Node>,
    #[serde(rename = "topic")]
    pub topics: Vec<Topic>,
    #[serde(rename = "chain", default)]
    pub chains: Vec<Chain>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    pub name: String,
    pub criticality: Criticality,
    pub port: u16,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    pub name: String,
    pub message: String,
    pub publisher: String,
    pub subscribers: Vec<String>,
    pub criticality: Criticality,
    pub rate_hz: f64,
    pub timeout_ms: Option<u64>,
    pub reliability: Reliability,
    pub depth: usize,
    #[serde(default)]
    pub priority: Priority,
    #[serde(default)]
    pub shared_memory: bool,
    #[serde(default)]
    pub private: bool,
    #[serde(default)]
    pub record: Record,
    pub replay_as: Option<String>,
    pub ros: Option<Ros>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ros {
    pub name: String,
    pub r#type: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    pub name: String,
    pub to: String,
    pub from: Option<String>,
    #[serde(default)]
    pub from_edge: Edge,
    pub source: Option<String>,
    pub budget_ms: f64,
    pub criticality: Criticality,
}

/// How bad it is when work of this class is late: safety is outside every bargain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Criticality {
    Infotainment,
    Assist,
    Safety,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reliability {
    Reliable,
    BestEffort,
}

/// Zenoh's priorities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    RealTime,
    InteractiveHigh,
    InteractiveLow,
    #[default]
    Data,
    Background,
}

/// How the recorder writes a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    #[default]
    Proto,
    Jpeg,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edge {
    #[default]
    Published,
    Stamp,
}

impl Table {
    /// Reads and checks a table; the error names the row and what to change.
    pub fn parse(text: &str) -> Result<Table, String> {
        let table: Table = toml::from_str(text).map_err(|e| e.to_string())?;
        table.check()?;
        Ok(table)
    }

    fn check(&self) -> Result<(), String> {
        let mut nodes = HashSet::new();
        let mut ports = HashSet::new();
        for n in &self.nodes {
            check_name("node", &n.name)?;
            if !nodes.insert(n.name.as_str()) || matches!(n.name.as_str(), "any" | "device") {
                return Err(format!("node {}: the name is taken", n.name));
            }
            if n.port == 0 || n.port > 999 || !ports.insert(n.port) {
                return Err(format!("node {}: port {} must be 1..999 and its own", n.name, n.port));
            }
        }
        let mut topics = HashSet::new();
        let mut types = HashSet::new();
        for t in &self.topics {
            check_name("topic", &t.name)?;
            let ty: String = t.name.split(['/', '-', '_']).map(str::to_lowercase).collect();
            if !topics.insert(t.name.as_str()) || !types.insert(ty) {
                return Err(format!("topic {}: the name is taken", t.name));
            }
            t.check(&nodes)?;
        }
        for t in self.topics.iter() {
            if let Some(r) = t.replay_as.as_deref().filter(|r| !r.is_empty()) {
                let to = self.topics.iter().find(|o| o.name == r && o.publisher == "device");
                if to.is_none_or(|o| o.message != t.message) {
                    return Err(format!(
                        "topic {}: replay_as = {r:?} is not a device topic of message {}",
                        t.name, t.message
                    ));
                }
            }
        }
        for c in &self.chains {
            for topic in [Some(&c.to), c.from.as_ref(), c.source.as_ref()].into_iter().flatten() {
                if !topics.contains(topic.as_str()) {
                    return Err(format!("chain {}: topic {topic} is not in the table", c.name));
                }
            }
            if !(c.budget_ms.is_finite() && c.budget_ms > 0.0) {
                return Err(format!("chain {}: budget_ms must be above 0, found {}", c.name, c.budget_ms));
            }
        }
        Ok(())
    }
}

impl Topic {
    fn check(&self, nodes: &HashSet<&str>) -> Result<(), String> {
        let at = format!("topic {}", self.name);
        let device = self.publisher == "device";
        if !device && self.publisher != "any" && !nodes.contains(self.publisher.as_str()) {
            return Err(format!(
                "{at}: publisher {} is not a node of the table, \"any\" or \"device\"",
                self.publisher
            ));
        }
        for s in &self.subscribers {
            if !nodes.contains(s.as_str()) {
                return Err(format!("{at}: subscriber {s} is not a node of the table"));
            }
            if *s == self.publisher {
                return Err(format!("{at}: {s} both publishes and reads it"));
            }
        }
        if device != self.name.starts_with("device/") {
            return Err(format!("{at}: topics named device/… and publisher \"device\" go together"));
        }
        if device && self.subscribers.len() != 1 {
            return Err(format!("{at}: a device topic has exactly one subscriber, the node that owns the device"));
        }
        if !(self.rate_hz.is_finite() && self.rate_hz > 0.0) {
            return Err(format!("{at}: rate_hz must be above 0, found {}", self.rate_hz));
        }
        if self.depth == 0 || self.depth > 65536 {
            return Err(format!("{at}: depth must be 1..65536, found {}", self.depth));
        }
        Ok(())
    }
}

fn check_name(what: &str, name: &str) -> Result<(), String> {
    let ok = name.split(['/', '-', '_']).all(|w| {
        w.starts_with(|c: char| c.is_ascii_lowercase())
            && w.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    });
    if ok { Ok(()) } else { Err(format!("{what} {name:?}: words of a-z and 0-9, joined by / - or _")) }
}
