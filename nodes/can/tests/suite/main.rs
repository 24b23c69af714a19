//! The integration tests, in one executable: each more would be linked with all dependencies once more.

mod cantools;
mod cases;
mod common;
mod dbc;
mod log;
mod mapping;
mod node;
mod vcan;
mod vehicle;
