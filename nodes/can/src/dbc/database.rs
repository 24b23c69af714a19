//! CAN databases (DBC): parsed by `can-dbc`, compiled once into a plan that decodes a frame with two shifts a signal.
//!
//! ```
//! use auriga_can::dbc::Database;
//! let text = "BO_ 416 SPEED: 8 ESC\n SG_ VEHICLE_SPEED : 7|16@0+ (0.01,0) [0|300] \"km/h\" HUD\n";
//! let database = Database::parse(text, "example.dbc")?;
//! let speed = database.message_by_name("SPEED").expect("it is there");
//! let mut data = [0; 8];
//! speed.encode(&[("VEHICLE_SPEED", 90.0)], &mut data)?;
//! assert_eq!(data[..2], [0x23, 0x28]);
//! let values: Vec<f64> = speed.decode(&data)?.map(|(_, value)| value).collect();
//! assert_eq!(values, [90.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::{compile, message::Message};
use std::{collections::HashMap, path::Path};

/// A database that cannot be used. The text names the file and, where one is known, the line.
#[derive(Debug, thiserror::Error)]
pub enum DbcError {
    #[error("{path}: cannot be read: {source}")]
    Read { path: String, source: std::io::Error },
    #[error("{name}:{line}:{column}: this is not DBC: {text}")]
    Syntax { name: String, line: usize, column: usize, text: String },
    /// Found by `can-dbc` after it had read the grammar: it does not say where.
    #[error("{name}: {text}")]
    Content { name: String, text: String },
    #[error("{name}:{line}: message {message}: {text}")]
    Message { name: String, line: usize, message: String, text: String },
    #[error("{name}:{line}: signal {message}.{signal}: {text}")]
    Signal { name: String, line: usize, message: String, signal: String, text: String },
}

/// Standard identifiers have 11 bits: few enough for a table without hashing.
const STANDARD_IDS: usize = 1 << 11;
pub(super) const NONE: u16 = u16::MAX;

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
    oddities: Vec<String>,
}

impl Database {
    /// Reads and compiles a file. Bytes that are not UTF-8 are taken as Windows-1252, which most tools write.
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

    /// Compiles DBC text; `name` stands for the file in errors. A fragment without `VERSION` and `BU_` will do.
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
        let compile::Compiled { messages, oddities } = compiled;
        Ok(Database { name: name.to_owned(), messages, standard, extended, by_name, oddities })
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

    /// The place of the message with this identifier in [`Self::messages`].
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

    /// What was left out or taken in a way that should be known.
    pub fn oddities(&self) -> &[String] {
        &self.oddities
    }
}
