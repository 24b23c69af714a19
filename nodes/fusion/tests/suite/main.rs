//! The integration tests, in one executable: each more would be linked with all dependencies once more.

mod node;
mod radar;
