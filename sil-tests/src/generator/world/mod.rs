//! The simulated world: the road, how everything on it moves, and the ground truth that follows.

pub mod motion;
pub mod road;
pub mod truth;
