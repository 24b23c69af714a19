//! How a recording is read.

use crate::dbc::Database;
use std::{collections::HashMap, sync::Arc};

/// Identifiers of messages by their names, and whether they have 29 bits: symbolic recordings name messages.
pub type Names = Arc<HashMap<String, (u32, bool)>>;

/// How a recording is read.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The recording's times count from the start of a drive whose other files have the same start. Without it a
    /// recording that begins late is played at once.
    pub aligned: bool,
    /// Names of messages.
    pub names: Names,
}

impl Options {
    /// With the names of a database's messages.
    pub fn with_names(mut self, database: &Database) -> Self {
        let names = database.messages().iter().map(|m| (m.name().to_owned(), (m.id(), m.is_extended())));
        self.names = Arc::new(names.collect());
        self
    }
}
