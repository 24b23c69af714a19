//! Reads launch files.

use super::{
    description::{Argument, LaunchDescription},
    document::evaluate,
    error::LaunchError,
    host::{Fixed, Surroundings},
};
use std::path::Path;

/// Evaluates the launch file at `path` with `arguments` (name and value, as `name:=value` on a command line).
pub fn load(
    path: &Path,
    arguments: &[(String, String)],
    surroundings: &dyn Surroundings,
) -> Result<LaunchDescription, LaunchError> {
    evaluate::file(path, arguments, surroundings)
}

/// Evaluates `text`, said to be the file `path`, on a machine on which all packages called `auriga` exist, without
/// arguments: for checking and for fuzzing.
pub fn parse_text(text: &str, path: &Path) -> Result<LaunchDescription, LaunchError> {
    let surroundings = Fixed { files: [(path.to_owned(), text.to_owned())].into(), ..Fixed::default() };
    load(path, &[], &surroundings)
}

/// What a launch file declares, for `--show-args`: the arguments of the file itself, not of its includes, without
/// evaluating anything.
pub fn arguments(path: &Path, surroundings: &dyn Surroundings) -> Result<Vec<Argument>, LaunchError> {
    evaluate::declared(path, surroundings)
}
