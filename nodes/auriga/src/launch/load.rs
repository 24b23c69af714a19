//! Reads launch files.

use super::{
    description::{Argument, LaunchDescription},
    document::evaluate,
    error::LaunchError,
    host::{FakeHost, Host},
};
use std::path::Path;

/// Evaluates the launch file at `path` with `arguments` (name and value, as `name:=value` on a command line).
///
/// # Errors
/// What is wrong with the file, with file, line and column.
pub fn load(path: &Path, arguments: &[(String, String)], host: &dyn Host) -> Result<LaunchDescription, LaunchError> {
    evaluate::file(path, arguments, host)
}

/// Evaluates `text` as the file `path`, on a [`FakeHost`] and without arguments: for checking and for fuzzing.
///
/// # Errors
/// As [`load`].
pub fn parse_text(text: &str, path: &Path) -> Result<LaunchDescription, LaunchError> {
    let host = FakeHost { files: [(path.to_owned(), text.to_owned())].into(), ..FakeHost::default() };
    load(path, &[], &host)
}

/// The arguments that a launch file declares, for `--show-args`: those of the file itself, not of its includes. Nothing
/// is evaluated.
///
/// # Errors
/// What is wrong with the file, with file, line and column.
pub fn arguments(path: &Path, host: &dyn Host) -> Result<Vec<Argument>, LaunchError> {
    evaluate::declared(path, host)
}
