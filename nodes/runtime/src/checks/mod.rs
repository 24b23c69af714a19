//! Checks of input that several nodes make.

pub mod camera;
pub mod image;
pub mod plausibility;
