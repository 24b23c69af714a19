//! The rows of `topics.toml` and their checks. Compiled into the build script, which turns them into types, and into
//! the crate, whose tests and fuzz target feed it bad tables.

use serde::Deserialize;
use std::collections::HashSet;

/// `topics.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Rows `[[node]]`.
    #[serde(rename = "node")]
    pub nodes: Vec<Node>,
    /// Rows `[[topic]]`.
    #[serde(rename = "topic")]
    pub topics: Vec<Topic>,
    /// Rows `[[chain]]`.
    #[serde(rename = "chain", default)]
    pub chains: Vec<Chain>,
}

/// A row `[[node]]`: an executable.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// In kebab case.
    pub name: String,
    /// The class of its work.
    pub criticality: Criticality,
    /// Offset of its Zenoh listener from the base port, 1 to 999.
    pub port: u16,
    /// Time from its start until it is up, in seconds, 1 to 3600.
    pub start_limit_s: u32,
    /// Also takes messages that are past their validity.
    #[serde(default)]
    pub keeps_stale: bool,
}

/// A row `[[topic]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// Words joined by `/`, `-` or `_`.
    pub name: String,
    /// A message of package `auriga.v1`.
    pub message: String,
    /// A node, `any` or `device`.
    pub publisher: String,
    /// The nodes that read it, besides those that read everything.
    pub subscribers: Vec<String>,
    /// The class of what it carries.
    pub criticality: Criticality,
    /// Usual rate.
    pub rate_hz: f64,
    /// Silence that is a fault; `None`: any silence is normal.
    pub timeout_ms: Option<u64>,
    /// Age from which a message is not handed to its reader, in ms, 1 to 60000; `None`: at any age.
    pub validity_ms: Option<u64>,
    /// What happens when a reader's queue is full.
    pub reliability: Reliability,
    /// Length of a reader's queue, in messages, 1 to 65536.
    pub depth: usize,
    /// Of its messages on the wire.
    #[serde(default)]
    pub priority: Priority,
    /// Large payloads go through shared memory.
    #[serde(default)]
    pub shared_memory: bool,
    /// Holds what is said or heard in the cabin.
    #[serde(default)]
    pub private: bool,
    /// How the recorder writes it.
    #[serde(default)]
    pub record: Record,
    /// In replay of a recording: the device topic it stands for; empty plays it as it is, `None` leaves it out.
    pub replay_as: Option<String>,
    /// Its ROS 2 side.
    pub ros: Option<Ros>,
}

/// The ROS 2 side of a topic.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ros {
    /// The ROS 2 topic.
    pub name: String,
    /// The ROS 2 message type, e.g. `sensor_msgs/msg/Image`.
    pub r#type: String,
}

/// A row `[[chain]]`: an end-to-end budget.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// In kebab case.
    pub name: String,
    /// The topic whose publishing ends it.
    pub to: String,
    /// The topic it starts at, matched by trace id; `None`: at the stamp of `to`.
    pub from: Option<String>,
    /// At which time of the message of `from` it starts.
    #[serde(default)]
    pub from_edge: Edge,
    /// Counts only what was caused by this topic.
    pub source: Option<String>,
    /// What is allowed at the 99.9th percentile.
    pub budget_ms: f64,
    /// The class of its deadline.
    pub criticality: Criticality,
}

/// The class of a node, a topic or a chain, the least critical first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Criticality {
    /// Gets what is left of the machine and can be stopped at any time.
    Infotainment,
    /// Degrades step by step.
    Assist,
    /// Never degraded below the level that admission showed to hold.
    Safety,
}

/// What happens to a message when a reader's queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reliability {
    /// The queue keeps what it holds; the new message is lost and counted as an error.
    Reliable,
    /// The oldest message makes room for the new one.
    BestEffort,
}

/// Zenoh's priorities, the highest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Zenoh's priority 1.
    RealTime,
    /// Zenoh's priority 2.
    InteractiveHigh,
    /// Zenoh's priority 3.
    InteractiveLow,
    /// Zenoh's priority 5.
    #[default]
    Data,
    /// Zenoh's priority 7.
    Background,
}

/// How the recorder writes a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// As it is.
    #[default]
    Proto,
    /// An image, compressed.
    Jpeg,
}

/// A time of a message's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edge {
    /// When it left its node.
    #[default]
    Published,
    /// When its content was measured.
    Stamp,
}

impl Table {
    /// Reads and checks a table.
    ///
    /// # Errors
    /// The first mistake: its row and what to change.
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
            if n.start_limit_s == 0 || n.start_limit_s > 3600 {
                return Err(format!("node {}: start_limit_s must be 1..3600, found {}", n.name, n.start_limit_s));
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
        let longest = self.timeout_ms.map_or(60_000, |timeout| timeout.min(60_000));
        if let Some(validity) = self.validity_ms.filter(|ms| !(1..=longest).contains(ms)) {
            return Err(format!("{at}: validity_ms must be 1..{longest} (its timeout_ms at most), found {validity}"));
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
