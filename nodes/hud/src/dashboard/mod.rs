//! The state of the live page, collected from messages. Every list here is bounded.
//!
//! * [`page_state`]: what the page gets, ten times a second.
//! * [`collector`]: keeps the parts and makes the state of one instant.
//! * [`compute`], [`dialogue`], [`health`]: the parts.

pub mod collector;
pub mod compute;
pub mod dialogue;
pub mod health;
pub mod page_state;
