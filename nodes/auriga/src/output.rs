//! What the commands print.

use std::io::Write;

/// Prints a line. A closed pipe (`| head`) is no error.
pub(crate) fn print(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
