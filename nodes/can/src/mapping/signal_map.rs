//! A compiled mapping.

use super::{
    compile::compile,
    entries::{MessageMapping, SignalMapping},
    error::MappingError,
};
use crate::dbc::Database;
use std::path::Path;

/// A compiled mapping.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// By the message's index in the database.
    messages: Vec<MessageMapping>,
    signals: Vec<SignalMapping>,
}

impl Mapping {
    /// Reads a file and checks it against the database it is for.
    ///
    /// # Errors
    /// When the file cannot be read, or a row is wrong, naming its line.
    pub fn load(path: impl AsRef<Path>, database: &Database) -> Result<Mapping, MappingError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| MappingError::Read { path: name.clone(), source })?;
        Self::parse(&text, &name, database)
    }

    /// Compiles the text of a mapping; `name` is the file's name in errors.
    ///
    /// # Errors
    /// When a row is wrong, naming its line.
    pub fn parse(text: &str, name: &str, database: &Database) -> Result<Mapping, MappingError> {
        let (messages, signals) = compile(text, name, database)?;
        Ok(Mapping { messages, signals })
    }

    /// What is read from each message, by the message's index in the database.
    pub fn messages(&self) -> &[MessageMapping] {
        &self.messages
    }

    /// All mapped signals; those of a message are contiguous.
    pub fn signals(&self) -> &[SignalMapping] {
        &self.signals
    }
}
