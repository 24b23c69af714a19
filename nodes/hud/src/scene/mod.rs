//! The newest scene and the active hazards, and what of them is to be drawn at one instant.
//!
//! * [`latest`]: keeps the newest scene and makes the [`view`] of it for one instant.
//! * [`view`]: the lines, objects, warnings and values of one picture.
//! * [`ego_motion`]: moves what was measured at the scene's instant to the picture's instant.
//! * [`warnings`]: the active hazards as the warnings that are shown.

pub mod ego_motion;
pub mod latest;
pub mod view;
pub mod warnings;
