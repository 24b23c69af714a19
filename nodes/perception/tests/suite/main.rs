//! The integration tests, in one executable: each more would be linked with all dependencies once more.

mod common;
mod node;
mod real_roads;
mod synthetic;
