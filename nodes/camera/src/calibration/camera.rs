//! What is known of one camera: its matrix, its lens and where it sits.

use auriga_msgs::v1;
use auriga_runtime::{
    camera::{MAX_SIDE_PX, Mounting, Pinhole},
    plausibility::{BUMPER_AHEAD_M, CAMERA_ANGLE_RAD, CAMERA_HEIGHT_M},
};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How a lens bends what it sees, by the names that ROS gives OpenCV's models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LensModel {
    /// Brown-Conrady: k1 k2 p1 p2 k3.
    #[default]
    PlumbBob,
    /// Brown-Conrady over a second radial polynomial: k1 k2 p1 p2 k3 k4 k5 k6.
    RationalPolynomial,
    /// A fisheye lens (Kannala-Brandt): k1 k2 k3 k4.
    Equidistant,
}

/// Intrinsics, lens distortion and mounting of one camera. All fields but the lens's model and its further coefficients
/// are required, so that a forgotten one is an error rather than a zero.
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
    /// What the coefficients are of.
    #[serde(default)]
    pub model: LensModel,
    /// First radial coefficient.
    pub k1: f64,
    /// Second radial coefficient.
    pub k2: f64,
    /// First tangential coefficient; 0 for an equidistant lens.
    pub p1: f64,
    /// Second tangential coefficient; 0 for an equidistant lens.
    pub p2: f64,
    /// Third radial coefficient.
    pub k3: f64,
    /// Fourth radial coefficient; not of `plumb_bob`.
    #[serde(default)]
    pub k4: f64,
    /// Fifth radial coefficient; of `rational_polynomial` alone.
    #[serde(default)]
    pub k5: f64,
    /// Sixth radial coefficient; of `rational_polynomial` alone.
    #[serde(default)]
    pub k6: f64,
    /// Optical centre above the road, in metres.
    pub height_m: f64,
    /// Positive looks down.
    pub pitch_rad: f64,
    /// Positive looks left.
    pub yaw_rad: f64,
    /// Front bumper, where radar objects are measured from, ahead of the optical centre, in metres.
    pub bumper_ahead_m: f64,
    /// The file had no mounting (ROS's has none): that of a usual car was taken.
    #[serde(skip)]
    pub mounting_assumed: bool,
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
    /// Not YAML, or without what ROS's `camera_calibration` writes.
    #[error("camera calibration {path}: {source}; expected what ROS's camera_calibration writes")]
    Yaml {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: serde_yaml_ng::Error,
    },
    /// A lens model that is not known here.
    #[error(
        "camera calibration {path}: distortion_model {model:?} is not known; expected plumb_bob, rational_polynomial or \
         equidistant: calibrate with one of these"
    )]
    Model {
        /// The file.
        path: PathBuf,
        /// As the file names it.
        model: String,
    },
    /// A matrix that cannot be.
    #[error("camera calibration {path}: {field}: expected {expected}, found {found:?}")]
    Matrix {
        /// The file.
        path: PathBuf,
        /// Name of the matrix.
        field: &'static str,
        /// What it may hold.
        expected: &'static str,
        /// What it holds.
        found: Vec<f64>,
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
    /// Checks that the numbers can belong to a forward camera on a vehicle.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn check(&self) -> Result<(), CalibrationError> {
        // The two polynomials of the rational model nearly cancel: its coefficients are larger.
        let large = if self.model == LensModel::RationalPolynomial { 1e4 } else { 1.0 };
        let unused = |wanted: bool, k: f64| if wanted { k.abs() < 1000.0 * large } else { k == 0.0 };
        let (tangential, fourth) = (self.model != LensModel::Equidistant, self.model != LensModel::PlumbBob);
        let last = self.model == LensModel::RationalPolynomial;
        let rules: [(&'static str, f64, bool, &'static str); 18] = [
            ("width", self.width.into(), (1..=MAX_SIDE_PX).contains(&self.width), "1 to 8192 pixels"),
            ("height", self.height.into(), (1..=MAX_SIDE_PX).contains(&self.height), "1 to 8192 pixels"),
            ("fx", self.fx, self.fx > 1.0, "a focal length in pixels"),
            ("fy", self.fy, self.fy > 1.0, "a focal length in pixels"),
            ("cx", self.cx, inside(self.cx, self.width), "a point within the image"),
            ("cy", self.cy, inside(self.cy, self.height), "a point within the image"),
            ("k1", self.k1, self.k1.abs() < 10.0 * large, "a distortion coefficient"),
            ("k2", self.k2, self.k2.abs() < 100.0 * large, "a distortion coefficient"),
            (
                "p1",
                self.p1,
                tangential && self.p1.abs() < 1.0 || self.p1 == 0.0,
                "a distortion coefficient of this model",
            ),
            (
                "p2",
                self.p2,
                tangential && self.p2.abs() < 1.0 || self.p2 == 0.0,
                "a distortion coefficient of this model",
            ),
            ("k3", self.k3, self.k3.abs() < 1000.0 * large, "a distortion coefficient"),
            ("k4", self.k4, unused(fourth, self.k4), "a distortion coefficient of this model"),
            ("k5", self.k5, unused(last, self.k5), "a distortion coefficient of this model"),
            ("k6", self.k6, unused(last, self.k6), "a distortion coefficient of this model"),
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

    /// The model's coefficients in OpenCV's order.
    pub fn distortion(&self) -> Vec<f64> {
        let Self { k1, k2, p1, p2, k3, k4, k5, k6, .. } = *self;
        match self.model {
            LensModel::PlumbBob => vec![k1, k2, p1, p2, k3],
            LensModel::RationalPolynomial => vec![k1, k2, p1, p2, k3, k4, k5, k6],
            LensModel::Equidistant => vec![k1, k2, k3, k4],
        }
    }

    /// Whether the images are those of a pinhole already.
    pub fn is_pinhole(&self) -> bool {
        // A fisheye lens bends also where all coefficients are zero.
        self.model != LensModel::Equidistant && self.distortion().iter().all(|&d| d == 0.0)
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
