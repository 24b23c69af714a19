//! What is said to the driver: drafts of the model, canned responses, telltales, and how much may be said now.

pub mod canned;
pub mod draft;
pub mod telltales;
pub(crate) mod turns;
pub mod verbosity;
