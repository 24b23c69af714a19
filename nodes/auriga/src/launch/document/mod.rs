//! The XML document: its tags, checked and evaluated.

mod element;
pub(super) mod evaluate;
mod namespace;
mod process;
