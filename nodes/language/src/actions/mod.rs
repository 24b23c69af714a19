//! What is to be done besides talking.

pub(crate) mod pending;
pub mod tools;
