//! Checks of input that several nodes make.

pub mod camera;
pub mod image;
pub(crate) mod payload;
pub mod plausibility;
pub(crate) mod received;
pub mod sequence;
pub mod suggestion;
pub(crate) mod text;
