//! Why a database cannot be used.

/// Why a database cannot be used. The text names the file and, where one is known, the line.
#[derive(Debug, thiserror::Error)]
pub enum DbcError {
    /// The file cannot be read.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the operating system reported.
        source: std::io::Error,
    },
    /// No message could be read; the first reason.
    #[error("{name}:{line}: this is not a CAN database (DBC): {text}")]
    Syntax {
        /// The file.
        name: String,
        /// Line, from 1.
        line: usize,
        /// What was expected.
        text: String,
    },
    /// There is nothing in it.
    #[error("{name}: this is not a CAN database (DBC): there is no message (BO_) in it")]
    Empty {
        /// The file.
        name: String,
    },
}
