//! Drawing one picture: the [`overlay`] draws its layers onto a [`canvas`], text in the [`typeface`], road
//! points through the [`projection`] of the camera.

pub mod canvas;
pub mod content;
mod layers;
pub mod overlay;
pub mod palette;
pub mod projection;
mod surface;
pub mod typeface;
