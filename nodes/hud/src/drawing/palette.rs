//! The colours: calm where nothing is wrong, amber for a warning, red for a collision.

use super::canvas::Paint;

/// Text and lane lines.
pub const INK: Paint = Paint::rgb(0xf2f6f8);
/// Text of less importance.
pub const DIM: Paint = Paint::rgb(0xa9b7c2);
/// The ground under text, and the picture without camera.
pub const NIGHT: Paint = Paint::rgb(0x070b10);
/// The surface of the own lane.
pub const LANE: Paint = Paint::rgb(0x2fc4d6);
/// Nothing is wrong.
pub const CALM: Paint = Paint::rgb(0x5fd8a0);
/// Warnings.
pub const AMBER: Paint = Paint::rgb(0xffb638);
/// Collisions.
pub const RED: Paint = Paint::rgb(0xff3b38);
