//! The integration tests, in one executable: each more would be linked with all dependencies once more.

mod common;
mod corpus;
mod dialogue;
mod held_out;
mod node;
mod phrasing;
mod real_model;
