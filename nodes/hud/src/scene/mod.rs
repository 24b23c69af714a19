//! The newest scene and hazards, and what of them is to be drawn at one instant.

pub mod ego_motion;
pub mod warnings;
pub mod world;
