//! What the commands print.

use std::io::Write;

/// Prints a line. A reader that has closed the pipe (`| head`) wants no more, which is no error.
pub(crate) fn print(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
