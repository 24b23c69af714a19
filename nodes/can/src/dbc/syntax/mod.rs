//! The syntax of DBC, read so that a fault costs its statement alone: what cannot be read is left out with its line and
//! the reason, and reading goes on at the next line that begins with a keyword.
//!
//! * [`cursor`]: words, numbers and texts, with the line.
//! * [`tree`]: what the statements say.
//! * [`statements`]: reads them.

mod cursor;
mod statements;
mod tree;

pub use statements::read;
pub use tree::{MessageStatement, Multiplexing, Problem, SignalStatement, Tree};
