//! What comes in: validated, and aligned in time.

pub mod align;
pub mod validate;
