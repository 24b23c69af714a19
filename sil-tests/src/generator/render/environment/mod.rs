//! Ground, sky and shadows.

pub mod ground;
pub mod shadow;
pub mod sky;
