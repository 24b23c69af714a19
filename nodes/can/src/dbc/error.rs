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
    /// The text does not follow the DBC grammar.
    #[error("{name}:{line}:{column}: this is not DBC: {text}")]
    Syntax {
        /// The file.
        name: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What was expected.
        text: String,
    },
    /// An error that `can-dbc` finds after parsing, without a position.
    #[error("{name}: {text}")]
    Content {
        /// The file.
        name: String,
        /// What is wrong.
        text: String,
    },
    /// A message is not valid.
    #[error("{name}:{line}: message {message}: {text}")]
    Message {
        /// The file.
        name: String,
        /// Line, from 1; 0 when unknown.
        line: usize,
        /// Name of the message.
        message: String,
        /// What is wrong.
        text: String,
    },
    /// A signal is not valid.
    #[error("{name}:{line}: signal {message}.{signal}: {text}")]
    Signal {
        /// The file.
        name: String,
        /// Line, from 1; 0 when unknown.
        line: usize,
        /// Name of the message.
        message: String,
        /// Name of the signal.
        signal: String,
        /// What is wrong.
        text: String,
    },
}
