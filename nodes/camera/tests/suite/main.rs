//! The integration tests, in one executable: each more would be linked with all dependencies once more.

mod calibration;
mod common;
mod node;
mod picture;
mod source;
mod world;
