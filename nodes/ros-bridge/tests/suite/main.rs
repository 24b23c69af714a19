//! The integration tests, in one executable: each more would be linked with all dependencies once more.

mod cdr;
mod common;
mod cyclone;
mod node;
