//! Reports for people and machines: on one drive, and on scenarios.

pub mod drive;
mod page;
mod plots;
pub mod scenarios;
mod tables;
