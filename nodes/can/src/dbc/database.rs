//! A compiled database: messages by identifier and by name.

use super::{compile, error::DbcError, message::Message, syntax::Problem};
use crate::text::encoding;
use std::{collections::HashMap, path::Path};

/// Standard identifiers have 11 bits: they are looked up in a plain table.
const STANDARD_IDS: usize = 1 << 11;
/// In place of an index: there is no message.
const NONE: u16 = compile::MAX_MESSAGES as u16;

/// Source addresses that no sender has: in databases they stand for any.
const ANY_ADDRESS: [u8; 2] = [0xfe, 0xff];

/// In groups from here on, by their second byte, there is no address of a receiver.
const FIRST_BROADCAST: u32 = 240;

/// A compiled database.
#[derive(Debug, Clone)]
pub struct Database {
    name: String,
    messages: Vec<Message>,
    /// Index into `messages` by standard identifier, `NONE` where there is none.
    standard: Box<[u16]>,
    /// Extended identifiers in ascending order, with the index.
    extended: Vec<(u32, u16)>,
    /// Parameter groups of J1939 with the source address and the index, in ascending order.
    groups: Vec<(u32, u8, u16)>,
    by_name: HashMap<String, u16>,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

impl Database {
    /// Reads and compiles a file. Text that is not Unicode is read as Windows-1252, which most tools write.
    ///
    /// # Errors
    /// When the file cannot be read or has no message.
    pub fn load(path: impl AsRef<Path>) -> Result<Database, DbcError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|source| DbcError::Read { path: name.clone(), source })?;
        Self::parse(&encoding::decode(&bytes), &name)
    }

    /// Compiles DBC text; `name` is the file's name in errors. `VERSION` and `BU_` may be missing. What is not valid is
    /// left out, see [`Self::warnings`].
    ///
    /// # Errors
    /// When the text has no message.
    pub fn parse(text: &str, name: &str) -> Result<Database, DbcError> {
        let compile::Compiled { messages, problems } = compile::compile(text, name)?;
        let mut standard = vec![NONE; STANDARD_IDS].into_boxed_slice();
        let (mut extended, mut groups) = (Vec::new(), Vec::new());
        let mut by_name = HashMap::new();
        for (index, message) in (0u16..).zip(&messages) {
            if message.is_extended() {
                extended.push((message.id(), index));
            } else {
                standard[message.id() as usize] = index;
            }
            if message.is_j1939() {
                groups.push((parameter_group(message.id()).0, source_address(message.id()), index));
            }
            by_name.insert(message.name().to_owned(), index);
        }
        extended.sort_unstable();
        groups.sort_unstable();
        let warnings = problems.iter().map(|p| format!("{name}:{}: {}", p.line, p.text)).collect();
        Ok(Database { name: name.to_owned(), messages, standard, extended, groups, by_name, problems, warnings })
    }

    /// A database without messages; `name` is the name of the file that is not there.
    pub fn empty(name: &str) -> Database {
        let standard = vec![NONE; STANDARD_IDS].into_boxed_slice();
        let warnings = vec![format!("{name}: there is no such file: no signal is decoded")];
        Database {
            name: name.to_owned(),
            messages: Vec::new(),
            standard,
            extended: Vec::new(),
            groups: Vec::new(),
            by_name: HashMap::new(),
            problems: Vec::new(),
            warnings,
        }
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

    /// The index in [`Self::messages`] of the message with this identifier: the exact one, or for J1939 that of the same
    /// parameter group, whatever the priority, the source address and the destination.
    #[inline]
    pub fn index(&self, id: u32, extended: bool) -> Option<usize> {
        if !extended {
            let index = *self.standard.get(id as usize)?;
            return (index != NONE).then_some(usize::from(index));
        }
        if let Ok(found) = self.extended.binary_search_by_key(&id, |&(id, _)| id) {
            return Some(usize::from(self.extended[found].1));
        }
        self.index_of_group(id)
    }

    /// By parameter group. Of several messages of one group: that of the source address, else that of any address.
    fn index_of_group(&self, id: u32) -> Option<usize> {
        let (group, source) = (parameter_group(id).0, source_address(id));
        let begin = self.groups.partition_point(|&(other, ..)| other < group);
        let same = self.groups[begin..].iter().take_while(|(other, ..)| *other == group);
        let found = match same.clone().count() {
            1 => same.clone().next(),
            _ => same.clone().find(|(_, own, _)| *own == source).or_else(|| {
                let mut any = same.clone();
                any.find(|(_, own, _)| ANY_ADDRESS.contains(own))
            }),
        };
        found.map(|&(.., index)| usize::from(index))
    }

    /// What was left out, each with the file, the line and the reason.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Why a message or signal (`MESSAGE.SIGNAL`) of the file was left out; `None` when it was not.
    pub(crate) fn reason_left_out(&self, name: &str) -> Option<&str> {
        let of_name = |p: &&Problem| p.text.split(' ').nth(1) == Some(name);
        self.problems.iter().find(of_name).map(|p| p.text.as_str())
    }
}

/// The source address in an identifier of J1939.
pub(crate) fn source_address(id: u32) -> u8 {
    (id & 0xff) as u8
}

/// The number of a J1939 parameter group in an identifier of 29 bits, and the bits that belong to it: in groups that are
/// sent to one receiver the lowest byte is its address.
pub(crate) fn parameter_group(id: u32) -> (u32, u32) {
    let group = id >> 8 & 0x3_ffff;
    let mask = if group >> 8 & 0xff < FIRST_BROADCAST { 0x3_ff00 } else { 0x3_ffff };
    (group & mask, mask)
}
