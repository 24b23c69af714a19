//! Renders the image of the camera: the ground by casting the ray of each pixel onto it, the sky behind it, objects as
//! meshes and sprites, in linear light with haze; then exposed to 8-bit BGR. A frame depends only on the script and its
//! time.

mod environment;
mod lens;
mod light;
mod objects;
mod raster;
mod renderer;

pub use lens::Lens;
pub use renderer::{Renderer, Scratch};
