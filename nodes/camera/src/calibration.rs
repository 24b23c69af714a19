//! A camera's calibration: `calibration/<vehicle>/camera.toml`.

use auriga_msgs::v1;
use auriga_runtime::{
    camera::{MAX_SIDE_PX, Mounting, Pinhole},
    plausibility::{BUMPER_AHEAD_M, CAMERA_ANGLE_RAD, CAMERA_HEIGHT_M},
};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Intrinsics, lens distortion and mounting of one camera. All fields are required, so that a forgotten one is an
/// error rather than a zero.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Name of the optical frame, e.g. `camera_front`.
    pub frame_id: String,
    /// Pixels across of the images the intrinsics belong to.
    pub width: u32,
    /// Pixels down of the images the intrinsics belong to.
    pub height: u32,
    /// Focal length across, in pixels.
    pub fx: f64,
    /// Focal length down, in pixels.
    pub fy: f64,
    /// Principal point from the left, in pixels; pixel centres at whole numbers, as in OpenCV.
    pub cx: f64,
    /// Principal point from the top, in pixels.
    pub cy: f64,
    /// First radial coefficient of the Brown-Conrady model, as OpenCV and ROS ("plumb_bob") use it.
    pub k1: f64,
    /// Second radial coefficient.
    pub k2: f64,
    /// First tangential coefficient.
    pub p1: f64,
    /// Second tangential coefficient.
    pub p2: f64,
    /// Third radial coefficient.
    pub k3: f64,
    /// Optical centre above the road, in metres.
    pub height_m: f64,
    /// Positive looks down.
    pub pitch_rad: f64,
    /// Positive looks left.
    pub yaw_rad: f64,
    /// Front bumper, where radar objects are measured from, ahead of the optical centre, in metres.
    pub bumper_ahead_m: f64,
}

/// Why a calibration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// A file that cannot be read.
    #[error("camera calibration {path}: {source}; give `calibration` the path of a camera.toml")]
    Read {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// Not TOML, a missing or an unknown field.
    #[error("camera calibration {path}: {source}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: toml::de::Error,
    },
    /// A number that cannot belong to a forward camera on a vehicle.
    #[error("camera calibration: {field} = {found}, expected {expected}")]
    Value {
        /// Name of the field.
        field: &'static str,
        /// What it is.
        found: f64,
        /// What it may be.
        expected: &'static str,
    },
    /// Frames of another shape.
    #[error(
        "camera calibration is for {cal_width}x{cal_height} images, found {width}x{height}, another aspect ratio; \
         set the camera to a size of that ratio or calibrate it at this one"
    )]
    AspectRatio {
        /// Pixels across of the calibration's images.
        cal_width: u32,
        /// Pixels down of the calibration's images.
        cal_height: u32,
        /// Pixels across of the frames.
        width: u32,
        /// Pixels down of the frames.
        height: u32,
    },
}

/// Two aspect ratios closer than this are the same: sensor modes round to multiples of 8 or 16 pixels.
const ASPECT_TOLERANCE: f64 = 0.01;

impl Calibration {
    /// Reads and checks a `camera.toml`.
    ///
    /// # Errors
    /// A file that cannot be read or parsed; what [`Self::check`] finds.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, CalibrationError> {
        let path = path.as_ref();
        let text =
            std::fs::read_to_string(path).map_err(|source| CalibrationError::Read { path: path.to_owned(), source })?;
        let calibration: Self =
            toml::from_str(&text).map_err(|source| CalibrationError::Parse { path: path.to_owned(), source })?;
        calibration.check()?;
        Ok(calibration)
    }

    /// Checks that the numbers can belong to a forward camera on a vehicle.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn check(&self) -> Result<(), CalibrationError> {
        let rules: [(&'static str, f64, bool, &'static str); 15] = [
            ("width", self.width.into(), (1..=MAX_SIDE_PX).contains(&self.width), "1 to 8192 pixels"),
            ("height", self.height.into(), (1..=MAX_SIDE_PX).contains(&self.height), "1 to 8192 pixels"),
            ("fx", self.fx, self.fx > 1.0, "a focal length in pixels"),
            ("fy", self.fy, self.fy > 1.0, "a focal length in pixels"),
            ("cx", self.cx, inside(self.cx, self.width), "a point within the image"),
            ("cy", self.cy, inside(self.cy, self.height), "a point within the image"),
            ("k1", self.k1, self.k1.abs() < 10.0, "a distortion coefficient"),
            ("k2", self.k2, self.k2.abs() < 100.0, "a distortion coefficient"),
            ("p1", self.p1, self.p1.abs() < 1.0, "a distortion coefficient"),
            ("p2", self.p2, self.p2.abs() < 1.0, "a distortion coefficient"),
            ("k3", self.k3, self.k3.abs() < 1000.0, "a distortion coefficient"),
            ("height_m", self.height_m, CAMERA_HEIGHT_M.contains(&self.height_m), "0.1 to 10 m above the road"),
            ("pitch_rad", self.pitch_rad, CAMERA_ANGLE_RAD.contains(&self.pitch_rad), "-0.8 to 0.8 rad"),
            ("yaw_rad", self.yaw_rad, CAMERA_ANGLE_RAD.contains(&self.yaw_rad), "-0.8 to 0.8 rad"),
            ("bumper_ahead_m", self.bumper_ahead_m, BUMPER_AHEAD_M.contains(&self.bumper_ahead_m), "-5 to 10 m"),
        ];
        // Not-a-number fails every comparison and so is caught by each rule.
        if let Some(&(field, found, _, expected)) = rules.iter().find(|r| !r.2 || !r.1.is_finite()) {
            return Err(CalibrationError::Value { field, found, expected });
        }
        Ok(())
    }

    /// The calibration for images of another size of the same aspect ratio.
    ///
    /// # Errors
    /// Another aspect ratio (by more than 1 %).
    pub fn scaled_to(&self, width: u32, height: u32) -> Result<Self, CalibrationError> {
        if (width, height) == (self.width, self.height) {
            return Ok(self.clone());
        }
        let sx = f64::from(width) / f64::from(self.width);
        let sy = f64::from(height) / f64::from(self.height);
        if !(1.0 - ASPECT_TOLERANCE..=1.0 + ASPECT_TOLERANCE).contains(&(sx / sy)) {
            let (cal_width, cal_height) = (self.width, self.height);
            return Err(CalibrationError::AspectRatio { cal_width, cal_height, width, height });
        }
        Ok(Self {
            width,
            height,
            fx: self.fx * sx,
            fy: self.fy * sy,
            // The image's edge, not the centre of its first pixel, is what stays in place.
            cx: (self.cx + 0.5) * sx - 0.5,
            cy: (self.cy + 0.5) * sy - 0.5,
            ..self.clone()
        })
    }

    /// k1 k2 p1 p2 k3.
    pub fn distortion(&self) -> [f64; 5] {
        [self.k1, self.k2, self.p1, self.p2, self.k3]
    }

    /// What the images are of once they are rectified: the same camera, its lens without distortion.
    pub fn rectified(&self) -> Pinhole {
        Pinhole {
            width: self.width,
            height: self.height,
            focal_px: [self.fx, self.fy],
            centre_px: [self.cx, self.cy],
            mounting: Mounting {
                height_m: self.height_m,
                pitch_rad: self.pitch_rad,
                yaw_rad: self.yaw_rad,
                bumper_ahead_m: self.bumper_ahead_m,
            },
        }
    }

    /// Row-major 3x3 camera matrix, of the images as they come and of the rectified ones.
    pub fn matrix(&self) -> [f64; 9] {
        self.rectified().matrix()
    }

    /// The message that goes with rectified images.
    pub fn rectified_info(&self, header: v1::Header) -> v1::CameraInfo {
        self.rectified().info(&self.frame_id, header)
    }
}

fn inside(centre: f64, side: u32) -> bool {
    centre > 0.0 && centre < f64::from(side)
}
