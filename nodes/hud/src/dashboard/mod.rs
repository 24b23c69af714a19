//! The state of the live page.

pub mod compute;
pub mod dialogue;
pub mod health;
mod page_state;

pub use page_state::*;
