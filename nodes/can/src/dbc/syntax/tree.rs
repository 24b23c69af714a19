//! What the statements of a database say.

use std::collections::HashMap;

/// The parts of a database that are used, in the order of the file.
#[derive(Debug, Default)]
pub struct Tree<'a> {
    /// `BO_`, each with its `SG_`.
    pub messages: Vec<MessageStatement<'a>>,
    /// `SIG_VALTYPE_`: the number of the type.
    pub types: HashMap<(u64, &'a str), u64>,
    /// `SG_MUL_VAL_`: the multiplexer, and the values that select the signal.
    pub selectors: HashMap<(u64, &'a str), Selector<'a>>,
    /// `VAL_`.
    pub labels: HashMap<(u64, &'a str), Vec<(i64, String)>>,
    /// `CM_ SG_`.
    pub signal_comments: HashMap<(u64, &'a str), String>,
    /// `CM_ BO_`.
    pub message_comments: HashMap<u64, String>,
    /// `BA_`, `BA_DEF_`, `BA_DEF_DEF_`.
    pub attributes: Attributes,
    /// What could not be read.
    pub problems: Vec<Problem>,
}

/// A multiplexer, and the ranges of its values that select a signal.
pub type Selector<'a> = (&'a str, Vec<(u64, u64)>);

/// A part that is left out, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its line, from 1.
    pub line: usize,
    /// What it is, and the reason.
    pub text: String,
}

/// A message.
#[derive(Debug)]
pub struct MessageStatement<'a> {
    pub line: usize,
    /// As written, with bit 31 as the flag of 29-bit identifiers.
    pub id: u64,
    pub name: &'a str,
    /// In bytes.
    pub size: u64,
    pub signals: Vec<SignalStatement<'a>>,
}

/// A signal.
#[derive(Debug)]
pub struct SignalStatement<'a> {
    pub line: usize,
    pub name: &'a str,
    pub multiplexing: Multiplexing,
    pub start: u64,
    pub bits: u64,
    pub little_endian: bool,
    pub signed: bool,
    pub factor: f64,
    pub offset: f64,
    pub minimum: f64,
    pub maximum: f64,
    pub unit: String,
}

/// The part of a signal in multiplexing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Multiplexing {
    /// `M`: it selects others.
    pub selects: bool,
    /// `m3`: it is there for this value of its multiplexer.
    pub selected_by: Option<u64>,
}

/// Attributes of messages and of the whole database.
#[derive(Debug, Default)]
pub struct Attributes {
    /// The words of enumerations, by attribute.
    pub words: HashMap<String, Vec<String>>,
    /// Defaults, by attribute.
    pub defaults: HashMap<String, String>,
    /// Of the whole database.
    pub network: HashMap<String, String>,
    /// Of one message.
    pub messages: HashMap<(u64, String), String>,
}

impl Attributes {
    /// The value of a message's attribute; of an enumeration its word.
    pub fn of_message(&self, id: u64, name: &str) -> Option<&str> {
        self.value(name, self.messages.get(&(id, name.to_owned())))
    }

    /// The value of an attribute of the whole database; of an enumeration its word.
    pub fn of_network(&self, name: &str) -> Option<&str> {
        self.value(name, self.network.get(name))
    }

    fn value<'a>(&'a self, name: &str, own: Option<&'a String>) -> Option<&'a str> {
        let value = own.or_else(|| self.defaults.get(name))?;
        // Values are written by their index, defaults by their word.
        let word = self.words.get(name).and_then(|words| words.get(value.parse::<usize>().ok()?));
        Some(word.unwrap_or(value))
    }
}
