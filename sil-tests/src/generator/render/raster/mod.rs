//! Meshes and sprites, and how they are drawn.

pub mod canvas;
pub mod mesh;
pub mod sprite;
