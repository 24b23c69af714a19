//! Fields of a configuration in JSON, each of which must be read by somebody.

use serde_json::{Map, Value};
use std::path::Path;

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {path}: {source}")]
    Read { path: String, source: std::io::Error },
    #[error("{path} is not JSON: {source}")]
    Json { path: String, source: serde_json::Error },
    #[error("{path}: {what}")]
    Field { path: String, what: String },
}

/// Fields that change nothing about inference.
pub(crate) const IGNORED: [&str; 16] = [
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "bos_token_id",
    "chunk_size_feed_forward",
    "dtype",
    "id2label",
    "initializer_range",
    "label2id",
    "output_attentions",
    "output_hidden_states",
    "pad_token_id",
    "problem_type",
    "torch_dtype",
    "transformers_version",
    "use_cache",
];

/// Reads fields and remembers which were read.
pub(crate) struct Fields<'a> {
    pub map: &'a Map<String, Value>,
    pub read: Vec<&'a str>,
}

impl<'a> Fields<'a> {
    pub fn get(&mut self, name: &'a str) -> Option<&'a Value> {
        self.read.push(name);
        self.map.get(name).filter(|v| !v.is_null())
    }

    pub fn int(&mut self, name: &'a str, low: i64, high: i64) -> Result<Option<i64>, String> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_i64() {
            Some(v) if (low..=high).contains(&v) => Ok(Some(v)),
            _ => Err(format!("`{name}` = {value}: expected a whole number from {low} to {high}")),
        }
    }

    pub fn needed(&mut self, name: &'a str, low: i64, high: i64) -> Result<i64, String> {
        self.int(name, low, high)?.ok_or_else(|| format!("`{name}` is missing"))
    }

    pub fn positive(&mut self, name: &'a str) -> Result<Option<f64>, String> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_f64() {
            Some(v) if v.is_finite() && v > 0.0 => Ok(Some(v)),
            _ => Err(format!("`{name}` = {value}: expected a number above 0")),
        }
    }

    pub fn number(&mut self, name: &'a str, low: f64, high: f64) -> Result<Option<f64>, String> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_f64() {
            Some(v) if (low..=high).contains(&v) => Ok(Some(v)),
            _ => Err(format!("`{name}` = {value}: expected a number from {low} to {high}")),
        }
    }

    pub fn flag(&mut self, name: &'a str, default: bool) -> Result<bool, String> {
        match self.get(name) {
            None => Ok(default),
            Some(Value::Bool(v)) => Ok(*v),
            Some(other) => Err(format!("`{name}` = {other}: expected true or false")),
        }
    }

    /// Each of these fields, where it is given, has the value beside it.
    pub fn only(&mut self, supported: &[(&'a str, Value)]) -> Result<(), String> {
        for (name, value) in supported {
            if let Some(found) = self.get(name)
                && found != value
                && !(found.is_number() && found.as_f64() == value.as_f64())
            {
                return Err(format!("`{name}` = {found} is not supported: expected {value}"));
            }
        }
        Ok(())
    }

    /// The first field that nobody read, with its value.
    pub fn unread(&self) -> Option<(&'a String, &'a Value)> {
        self.map.iter().find(|(name, _)| !self.read.contains(&name.as_str()))
    }

    /// An error names the first field that nobody read.
    pub fn all_read(&self) -> Result<(), String> {
        match self.unread() {
            Some((name, value)) => {
                Err(format!("`{name}` = {value} is not known; it may change what the model computes"))
            }
            None => Ok(()),
        }
    }
}

/// A file's text, and its name for messages.
pub(crate) fn read(path: &Path) -> Result<(String, String), ConfigError> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Ok((text, name)),
        Err(source) => Err(ConfigError::Read { path: name, source }),
    }
}

/// The same of a file that need not be there.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<(String, String)>, ConfigError> {
    match read(path) {
        Err(ConfigError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// What `take` makes of the fields of a JSON text; errors get its `name`.
pub(crate) fn with_fields<T>(
    text: &str,
    name: &str,
    take: impl FnOnce(&Map<String, Value>) -> Result<T, String>,
) -> Result<T, ConfigError> {
    let map = serde_json::from_str(text).map_err(|source| ConfigError::Json { path: name.into(), source })?;
    take(&map).map_err(|what| ConfigError::Field { path: name.into(), what })
}
