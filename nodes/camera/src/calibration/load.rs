//! Reading a calibration, by the kind of its file.

use super::{
    camera::{Calibration, CalibrationError},
    ros,
};
use std::path::Path;

impl Calibration {
    /// Reads and checks a `camera.toml`, or (`.yaml`, `.yml`) a file of ROS's `camera_calibration`.
    ///
    /// # Errors
    /// A file that cannot be read or parsed; a lens model that is not known; what [`Self::check`] finds.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, CalibrationError> {
        let path = path.as_ref();
        let text =
            std::fs::read_to_string(path).map_err(|source| CalibrationError::Read { path: path.to_owned(), source })?;
        let yaml = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("yaml") || e.eq_ignore_ascii_case("yml"));
        let calibration: Self = if yaml {
            ros::parse(&text, path)?
        } else {
            toml::from_str(&text).map_err(|source| CalibrationError::Parse { path: path.to_owned(), source })?
        };
        calibration.check()?;
        Ok(calibration)
    }
}
