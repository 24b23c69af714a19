//! Drawing: the canvas, text, the projection of road points to pixels, and the overlay made of layers.

pub mod canvas;
mod layers;
pub mod overlay;
pub mod projection;
pub mod text;
