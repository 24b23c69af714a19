//! A camera's calibration: `calibration/<vehicle>/camera.toml`, or a YAML file of ROS's `camera_calibration`.

mod camera;
mod load;
mod ros;

pub use camera::{Calibration, CalibrationError, LensModel};
