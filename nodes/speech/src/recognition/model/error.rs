//! Errors of a model folder.

use std::{
    fs::File,
    io::ErrorKind,
    path::{Path, PathBuf},
};

/// What is wrong with a model folder, and in which file.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The path is not a folder.
    #[error("model {}: not a folder; give the folder that holds am/, conf/ and graph/", .0.display())]
    NotAFolder(PathBuf),
    /// A file cannot be read, or is empty.
    #[error("model file {}: {source}; is the model unpacked completely?", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file does not exist.
    #[error("model {}: {what} is missing; is the model unpacked completely?", folder.display())]
    Missing {
        /// The model's folder.
        folder: PathBuf,
        /// The file.
        what: &'static str,
    },
    /// A file has an unexpected content.
    #[error("model file {}: expected {expected}, found {found}", path.display())]
    Unexpected {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
        /// What it holds.
        found: String,
    },
    /// libvosk does not load the model.
    #[error("model {}: libvosk does not load it: {reason}", folder.display())]
    Refused {
        /// The model's folder.
        folder: PathBuf,
        /// Why, as far as libvosk says so.
        reason: String,
    },
}

/// The error for a file that begins with these bytes.
pub(super) fn unexpected(path: &Path, expected: &'static str, head: &[u8]) -> ModelError {
    let found = if head.is_empty() { "an empty file".into() } else { format!("{:?}", excerpt(head)) };
    ModelError::Unexpected { path: path.into(), expected, found }
}

/// The first 32 bytes as text.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(32)]).into_owned()
}

/// Opens a file that must not be empty.
pub(super) fn open(path: &Path) -> Result<File, ModelError> {
    let unreadable = |source| ModelError::Unreadable { path: path.into(), source };
    let file = File::open(path).map_err(unreadable)?;
    let meta = file.metadata().map_err(unreadable)?;
    if !meta.is_file() || meta.len() == 0 {
        return Err(unreadable(std::io::Error::new(ErrorKind::InvalidData, "empty or not a file")));
    }
    Ok(file)
}
