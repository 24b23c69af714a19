//! A compiled database: messages by identifier and by name.

use super::{compile, error::DbcError, message::Message};
use std::{collections::HashMap, path::Path};

/// Standard identifiers have 11 bits: they are looked up in a plain table.
const STANDARD_IDS: usize = 1 << 11;
/// In place of an index: there is no message.
const NONE: u16 = compile::MAX_MESSAGES as u16;

/// A compiled database.
#[derive(Debug, Clone)]
pub struct Database {
    name: String,
    messages: Vec<Message>,
    /// Index into `messages` by standard identifier, `NONE` where there is none.
    standard: Box<[u16]>,
    /// Extended identifiers in ascending order, with the index.
    extended: Vec<(u32, u16)>,
    by_name: HashMap<String, u16>,
    warnings: Vec<String>,
}

impl Database {
    /// Reads and compiles a file. Text that is not UTF-8 is read as Windows-1252, which most tools write.
    ///
    /// # Errors
    /// When the file cannot be read or is not a valid database.
    pub fn load(path: impl AsRef<Path>) -> Result<Database, DbcError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|source| DbcError::Read { path: name.clone(), source })?;
        match String::from_utf8(bytes) {
            Ok(text) => Self::parse(&text, &name),
            Err(e) => {
                let bytes = e.into_bytes();
                let text = can_dbc::decode_cp1252(&bytes)
                    .map_or_else(|| String::from_utf8_lossy(&bytes).into_owned(), |text| text.into_owned());
                Self::parse(&text, &name)
            }
        }
    }

    /// Compiles DBC text; `name` is the file's name in errors. `VERSION` and `BU_` may be missing.
    ///
    /// # Errors
    /// When the text is not a valid database.
    pub fn parse(text: &str, name: &str) -> Result<Database, DbcError> {
        let compiled = compile::compile(text, name)?;
        let mut standard = vec![NONE; STANDARD_IDS].into_boxed_slice();
        let mut extended = Vec::new();
        let mut by_name = HashMap::new();
        for (index, message) in (0u16..).zip(&compiled.messages) {
            if message.is_extended() {
                extended.push((message.id(), index));
            } else {
                standard[message.id() as usize] = index;
            }
            by_name.insert(message.name().to_owned(), index);
        }
        extended.sort_unstable();
        let compile::Compiled { messages, warnings } = compiled;
        Ok(Database { name: name.to_owned(), messages, standard, extended, by_name, warnings })
    }

    /// The file's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All messages, in the order of the file.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// The message with this name.
    pub fn message_by_name(&self, name: &str) -> Option<&Message> {
        self.by_name.get(name).map(|&index| &self.messages[index as usize])
    }

    /// The message with this identifier.
    pub fn message(&self, id: u32, extended: bool) -> Option<&Message> {
        self.index(id, extended).map(|index| &self.messages[index])
    }

    /// The index in [`Self::messages`] of the message with this identifier.
    #[inline]
    pub fn index(&self, id: u32, extended: bool) -> Option<usize> {
        let index = if extended {
            let found = self.extended.binary_search_by_key(&id, |&(id, _)| id).ok()?;
            self.extended[found].1
        } else {
            *self.standard.get(id as usize)?
        };
        (index != NONE).then_some(usize::from(index))
    }

    /// Messages that were left out, and why.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}
