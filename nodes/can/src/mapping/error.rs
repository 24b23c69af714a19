//! Why a mapping cannot be used.

/// Why a mapping cannot be used. The text names the file and the line.
#[derive(Debug, thiserror::Error)]
pub enum MappingError {
    /// The file cannot be read.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the operating system reported.
        source: std::io::Error,
    },
    /// The text is not TOML, or a key is unknown or has the wrong type.
    #[error("{name}:{line}: {text}")]
    Toml {
        /// The file.
        name: String,
        /// Line, from 1; 0 when unknown.
        line: usize,
        /// What is wrong.
        text: String,
    },
    /// A value is wrong.
    #[error("{name}:{line}: {field}: {text}")]
    Row {
        /// The file.
        name: String,
        /// Line, from 1.
        line: usize,
        /// The key.
        field: &'static str,
        /// What was expected and found.
        text: String,
    },
    /// Several of these.
    #[error("{}", lines(.errors))]
    Several {
        /// Each of them.
        errors: Vec<MappingError>,
    },
}

fn lines(errors: &[MappingError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl MappingError {
    /// One error of all, in the order of their lines; `None` for none.
    pub(super) fn of_all(mut errors: Vec<MappingError>) -> Option<MappingError> {
        errors.sort_by_key(MappingError::line);
        match errors.len() {
            0 | 1 => errors.pop(),
            _ => Some(MappingError::Several { errors }),
        }
    }

    fn line(&self) -> usize {
        match self {
            MappingError::Toml { line, .. } | MappingError::Row { line, .. } => *line,
            MappingError::Read { .. } | MappingError::Several { .. } => 0,
        }
    }
}
