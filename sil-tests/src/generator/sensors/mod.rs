//! What the sensors record of the simulated world: the camera's video, the CAN log, the cabin's sound.

pub mod bus;
pub mod camera;
pub mod speech;
