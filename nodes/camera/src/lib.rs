//! The camera node: frames from V4L2, a file or GStreamer ([`source`]), checked, freed of lens distortion ([`rectify`])
//! by the vehicle's calibration ([`calibration`]) and published with the time of their exposure.
//!
//! A frame that is late or out of order is dropped and counted, never queued: a queue here would age everything that
//! is computed from the camera.

pub mod calibration;
mod config;
mod node;
pub mod rectify;
pub mod source;

pub use config::{Config, DEFAULTS};
pub use node::CameraNode;
