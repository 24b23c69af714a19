//! What comes in, checked and placed in time.

pub mod align;
pub mod checked;
