//! Texts with `$(…)` in them.

mod expression;
mod shell_words;
pub(super) mod template;
