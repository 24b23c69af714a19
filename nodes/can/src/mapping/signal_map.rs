//! A compiled mapping.

use super::{
    combine::Combined,
    compile::{Compiled, compile},
    entries::{MessageMapping, SignalMapping},
    error::MappingError,
};
use crate::{dbc::Database, text::encoding};
use std::{collections::BTreeMap, path::Path};

/// A compiled mapping.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// By the message's index in the database.
    messages: Vec<MessageMapping>,
    signals: Vec<SignalMapping>,
    combined: Vec<Combined>,
}

impl Mapping {
    /// Reads a file and checks it against the database it is for.
    ///
    /// # Errors
    /// When the file cannot be read, or rows are wrong, naming all with their lines.
    pub fn load(path: impl AsRef<Path>, database: &Database) -> Result<Mapping, MappingError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|source| MappingError::Read { path: name.clone(), source })?;
        Self::parse(&encoding::decode(&bytes), &name, database)
    }

    /// Compiles the text of a mapping; `name` is the file's name in errors.
    ///
    /// # Errors
    /// When rows are wrong, naming all with their lines.
    pub fn parse(text: &str, name: &str, database: &Database) -> Result<Mapping, MappingError> {
        let Compiled { messages, signals, combined } = compile(text, name, database)?;
        Ok(Mapping { messages, signals, combined })
    }

    /// A mapping without rows.
    pub fn empty() -> Mapping {
        Mapping { messages: Vec::new(), signals: Vec::new(), combined: Vec::new() }
    }

    /// What is read from each message, by the message's index in the database.
    pub fn messages(&self) -> &[MessageMapping] {
        &self.messages
    }

    /// All mapped signals; those of a message are contiguous.
    pub fn signals(&self) -> &[SignalMapping] {
        &self.signals
    }

    /// The signals (`MESSAGE.SIGNAL`) of each target, by its name.
    pub fn sources(&self, database: &Database) -> BTreeMap<String, Vec<String>> {
        let mut sources: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (message, mapped) in database.messages().iter().zip(&self.messages) {
            for row in &self.signals[mapped.signals.clone()] {
                let signal = format!("{}.{}", message.name(), message.signals()[row.signal].name());
                sources.entry(row.target.name().to_owned()).or_default().push(signal);
            }
        }
        sources
    }

    /// The targets with several signals.
    pub fn combined(&self) -> &[Combined] {
        &self.combined
    }
}
