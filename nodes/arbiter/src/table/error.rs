//! Why a workload table is refused.

use auriga_runtime::{config::RenamedKey, suggestion::suggestion};
use std::path::PathBuf;

/// Why a table is refused.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file cannot be read.
    #[error("workload table {path}: {source}; give its place with -p workloads=FILE")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not TOML, or a field is missing, unknown or of another type.
    #[error("workload table: {error}{}", nearest_of(.error.message()))]
    Parse {
        /// What is wrong, with its line.
        error: Box<toml::de::Error>,
    },
    /// A key has another name now.
    #[error(transparent)]
    Renamed(#[from] RenamedKey),
    /// A value is not allowed.
    #[error("workload table: {place}: {field}: {problem}")]
    Invalid {
        /// "workload camera", "capacity", …
        place: String,
        /// The field.
        field: String,
        /// What was found and what is expected.
        problem: String,
    },
    /// The lowest levels of all workloads together exceed what a mode may plan with.
    #[error(
        "workload table: mode {mode}: the lowest levels alone need {needed:.3} {resource}, the mode may plan with {available:.3}"
    )]
    FloorsDoNotFit {
        /// The mode.
        mode: &'static str,
        /// Which resource, in which unit.
        resource: &'static str,
        /// The sum of all floors.
        needed: f64,
        /// What the mode may plan with.
        available: f64,
    },
}

impl From<toml::de::Error> for TableError {
    fn from(error: toml::de::Error) -> Self {
        TableError::Parse { error: Box::new(error) }
    }
}

/// A value that is not allowed.
pub(super) fn invalid(place: impl Into<String>, field: impl Into<String>, problem: impl Into<String>) -> TableError {
    TableError::Invalid { place: place.into(), field: field.into(), problem: problem.into() }
}

/// Of "unknown field `a`, expected one of `b`, `c`": which of the expected ones is nearest.
fn nearest_of(message: &str) -> String {
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match names.split_first() {
        Some((unknown, expected)) if message.starts_with("unknown") => suggestion(unknown, expected.iter().copied()),
        _ => String::new(),
    }
}
