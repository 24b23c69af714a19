//! The integration tests, in one executable: each more would be linked with all dependencies once more.

mod common;
mod killed;
mod mcap_file;
mod node;
mod python;
