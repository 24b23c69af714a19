//! Why a recording cannot be read.

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file cannot be read.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the operating system reported.
        source: std::io::Error,
    },
    /// The file has a format that is not read.
    #[error("{path}: {format} is not read; {remedy}")]
    Unsupported {
        /// The file.
        path: String,
        /// The format.
        format: &'static str,
        /// How to get a recording that is read.
        remedy: &'static str,
    },
    /// There is no frame in the file.
    #[error(
        "{path}: there is no frame in it; expected a recording of candump, Vector ASC, PEAK TRC or CSV (SavvyCAN, python-can, Cabana)"
    )]
    Empty {
        /// The file.
        path: String,
    },
}
