//! A reader of JSON configurations: fields that are read, fields that are known to change nothing, fields that would change
//! what is computed and are not supported, and the rest, which is reported.

use serde_json::{Map, Value};
use std::path::Path;

/// An error of reading a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The file is not JSON.
    #[error("{path} is not JSON: {source}")]
    Json {
        /// The file.
        path: String,
        /// The cause.
        source: serde_json::Error,
    },
    /// A field is missing, wrong or not supported.
    #[error("{path}: {what}")]
    Field {
        /// The file.
        path: String,
        /// The field, what was expected and what was found.
        what: String,
    },
}

/// Fields that have no influence on inference.
pub(crate) const IGNORED: [&str; 18] = [
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
    "pretraining_tp",
    "problem_type",
    "return_dict",
    "torch_dtype",
    "transformers_version",
    "use_cache",
];

/// A field that would change what is computed, with the values that stand for its absence.
pub(crate) type Unsupported = (&'static str, &'static [Neutral]);

/// A value that stands for the absence of a field. Null always does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Neutral {
    /// True or false.
    Flag(bool),
    /// A number.
    Number(f64),
    /// This text.
    Text(&'static str),
    /// A list or an object without entries.
    Empty,
}

impl Neutral {
    fn is(self, value: &Value) -> bool {
        match self {
            Self::Flag(flag) => value.as_bool() == Some(flag),
            Self::Number(number) => value.as_f64() == Some(number),
            Self::Text(text) => value.as_str() == Some(text),
            Self::Empty => value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty),
        }
    }
}

impl std::fmt::Display for Neutral {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Empty => f.write_str("[]"),
        }
    }
}

/// The fields of a JSON object, and which of them were read.
pub(crate) struct Fields<'a> {
    /// The object.
    pub map: &'a Map<String, Value>,
    /// Names of the fields that were read.
    pub read: Vec<&'a str>,
}

impl<'a> Fields<'a> {
    /// A field; `None` if it is missing or null.
    pub fn get(&mut self, name: &'a str) -> Option<&'a Value> {
        self.read.push(name);
        self.map.get(name).filter(|v| !v.is_null())
    }

    /// An integer within bounds.
    pub fn int(&mut self, name: &'a str, low: i64, high: i64) -> Result<Option<i64>, String> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_i64() {
            Some(v) if (low..=high).contains(&v) => Ok(Some(v)),
            _ => Err(format!("`{name}` = {value}: expected an integer from {low} to {high}")),
        }
    }

    /// An integer within bounds that must be given.
    pub fn required_int(&mut self, name: &'a str, low: i64, high: i64) -> Result<i64, String> {
        self.int(name, low, high)?.ok_or_else(|| format!("`{name}` is missing"))
    }

    /// A finite number above 0.
    pub fn positive(&mut self, name: &'a str) -> Result<Option<f64>, String> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_f64() {
            Some(v) if v.is_finite() && v > 0.0 => Ok(Some(v)),
            _ => Err(format!("`{name}` = {value}: expected a number above 0")),
        }
    }

    /// A number within bounds.
    pub fn number(&mut self, name: &'a str, low: f64, high: f64) -> Result<Option<f64>, String> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_f64() {
            Some(v) if (low..=high).contains(&v) => Ok(Some(v)),
            _ => Err(format!("`{name}` = {value}: expected a number from {low} to {high}")),
        }
    }

    /// A boolean.
    pub fn flag(&mut self, name: &'a str, default: bool) -> Result<bool, String> {
        match self.get(name) {
            None => Ok(default),
            Some(Value::Bool(v)) => Ok(*v),
            Some(other) => Err(format!("`{name}` = {other}: expected true or false")),
        }
    }

    /// Refuses each of these fields that is given and not neutral.
    pub fn refuse(&mut self, unsupported: &[Unsupported]) -> Result<(), String> {
        for (name, neutral) in unsupported {
            if let Some(found) = self.get(name)
                && !neutral.iter().any(|n| n.is(found))
            {
                let expected: Vec<String> = neutral.iter().map(ToString::to_string).collect();
                let expected = if expected.is_empty() { "null".into() } else { expected.join(" or ") };
                return Err(format!("`{name}` = {found} is not supported: expected {expected}"));
            }
        }
        Ok(())
    }

    /// Whether a field is missing; one that is null is given.
    pub fn is_missing(&self, name: &str) -> bool {
        !self.map.contains_key(name)
    }

    /// The fields that were not read and are not null, each with its value.
    pub fn unread(&self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.map.iter().filter(|(name, value)| !value.is_null() && !self.read.contains(&name.as_str()))
    }

    /// An error for the first field that was not read.
    pub fn check_all_read(&self) -> Result<(), String> {
        match self.unread().next() {
            Some((name, value)) => {
                Err(format!("`{name}` = {value} is not known; it may change what the model computes"))
            }
            None => Ok(()),
        }
    }

    /// The fields that were not read, as they are reported.
    pub fn notes(&self) -> Vec<String> {
        self.unread().map(|(name, value)| format!("`{name}` = {value} is not known and not used")).collect()
    }
}

/// The text of a file, and its name for error messages.
pub(crate) fn read(path: &Path) -> Result<(String, String), ConfigError> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Ok((text, name)),
        Err(source) => Err(ConfigError::Read { path: name, source }),
    }
}

/// As [`read`]; `None` if there is no such file.
pub(crate) fn read_optional(path: &Path) -> Result<Option<(String, String)>, ConfigError> {
    match read(path) {
        Err(ConfigError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// Parses a JSON object with `take`; `name` is named in error messages.
pub(crate) fn with_fields<T>(
    text: &str,
    name: &str,
    take: impl FnOnce(&Map<String, Value>) -> Result<T, String>,
) -> Result<T, ConfigError> {
    let map = serde_json::from_str(text).map_err(|source| ConfigError::Json { path: name.into(), source })?;
    take(&map).map_err(|what| ConfigError::Field { path: name.into(), what })
}
