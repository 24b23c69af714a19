//! From what was said to an intent: facts, numbers, hypotheses, references to earlier turns and the rules.

pub mod dialogue_history;
pub mod facts;
pub(crate) mod hypotheses;
pub mod numbers;
pub(crate) mod rules;
