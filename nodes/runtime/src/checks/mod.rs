//! Checks that every node makes of what it is given.

pub mod camera;
pub mod image;
pub mod plausibility;
