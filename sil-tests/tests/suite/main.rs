//! The integration tests, in one executable: each more would be linked with all dependencies once more.

mod analysis;
mod common;
mod configuration;
mod generator;
mod lanes;
mod replay;
mod scenarios;
mod trust;
