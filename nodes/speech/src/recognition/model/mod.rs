//! The files of a model, checked.

pub mod check;
pub(crate) mod fst;
