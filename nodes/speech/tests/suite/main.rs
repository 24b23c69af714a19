//! The integration tests, in one executable: each more would be linked with all dependencies once more.

mod attention;
mod cabin;
mod common;
mod files;
mod turns;
mod wav;
