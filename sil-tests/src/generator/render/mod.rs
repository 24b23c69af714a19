//! The camera's picture of the drive: the ground by casting each pixel's ray onto it, the sky behind it, and the things
//! on it as meshes and sprites, in linear light with haze; then exposed to 8-bit BGR. A frame depends on nothing but
//! the script and its time.

mod environment;
mod lens;
mod light;
mod objects;
mod raster;
mod renderer;

pub use lens::Lens;
pub use renderer::{Renderer, Scratch};
