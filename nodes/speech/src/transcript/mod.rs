//! The transcript track and what is published.

pub mod file;
pub mod track;
