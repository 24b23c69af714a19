//! What surrounds the road: ground, sky, shadows.

pub mod ground;
pub mod shadow;
pub mod sky;
