//! The pinhole camera on its mounting: its message, the check of the message, and the projection that follows from it.

use super::plausibility::{BUMPER_AHEAD_M, CAMERA_ANGLE_RAD, CAMERA_HEIGHT_M};
use auriga_msgs::v1;

/// Why a camera info cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CameraInfoError {
    /// `k` is not a camera matrix.
    #[error("camera info: k must hold 9 finite numbers with positive focal lengths, found {0:?}")]
    Matrix(Vec<f64>),
    /// The image's sides, in pixels.
    #[error("camera info: image size {width}x{height} is not 16 to {MAX_SIDE_PX} pixels a side")]
    Size {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// Height above the road, pitch or yaw; see [`CAMERA_HEIGHT_M`] and [`CAMERA_ANGLE_RAD`].
    #[error(
        "camera info: height_m = {height_m}, pitch_rad = {pitch_rad}, yaw_rad = {yaw_rad} is not the mounting of a forward camera"
    )]
    Mounting {
        /// Optical centre above the road, in metres.
        height_m: f64,
        /// Positive looks down.
        pitch_rad: f64,
        /// Positive looks left.
        yaw_rad: f64,
    },
    /// See [`BUMPER_AHEAD_M`].
    #[error("camera info: bumper_ahead_m = {0}: expected -5 to 10 m")]
    Bumper(f64),
    /// The lens's distortion is still in the images.
    #[error(
        "camera info: expected rectified images (d all zero), found lens distortion; start the camera node with its calibration"
    )]
    Distorted,
}

/// Largest image side taken; a plain bound on what a broken message can make the nodes allocate.
pub const MAX_SIDE_PX: u32 = 8192;

/// Where a forward camera sits on its vehicle.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Mounting {
    /// Optical centre above the road, in metres.
    pub height_m: f64,
    /// Positive looks down.
    pub pitch_rad: f64,
    /// Positive looks left.
    pub yaw_rad: f64,
    /// Front bumper ahead of the optical centre, in metres.
    pub bumper_ahead_m: f64,
}

/// A camera without lens distortion, or one whose images are rectified.
///
/// ```
/// use auriga_msgs::v1;
/// use auriga_runtime::camera::{Mounting, Pinhole, camera_matrix};
///
/// let camera = Pinhole::new(1280, 720, 1160.0, Mounting { height_m: 1.3, ..Mounting::default() });
/// let matrix = camera_matrix(&camera.info("camera_front", v1::Header::default()))?;
/// // A point of the road 30 m ahead: 1160 * 1.3 / 30 pixels below the middle of the image.
/// let [u, v, depth] = matrix.map(|row| row[0] * 30.0 + row[3]);
/// assert_eq!((u / depth, (v / depth).round()), (640.0, 410.0));
/// # Ok::<(), auriga_runtime::camera::CameraInfoError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pinhole {
    /// Image width in pixels.
    pub width: u32,
    /// Image height in pixels.
    pub height: u32,
    /// Focal lengths across and down, in pixels.
    pub focal_px: [f64; 2],
    /// Principal point from the left and from the top, in pixels.
    pub centre_px: [f64; 2],
    /// Where it sits.
    pub mounting: Mounting,
}

impl Pinhole {
    /// A camera with square pixels that looks through the middle of its image.
    pub fn new(width: u32, height: u32, focal_px: f64, mounting: Mounting) -> Self {
        let centre_px = [f64::from(width) / 2.0, f64::from(height) / 2.0];
        Self { width, height, focal_px: [focal_px; 2], centre_px, mounting }
    }

    /// Row-major 3x3 camera matrix.
    pub fn matrix(&self) -> [f64; 9] {
        let ([fx, fy], [cx, cy]) = (self.focal_px, self.centre_px);
        [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]
    }

    /// The message that goes with its images.
    pub fn info(&self, frame_id: &str, header: v1::Header) -> v1::CameraInfo {
        let Mounting { height_m, pitch_rad, yaw_rad, bumper_ahead_m } = self.mounting;
        v1::CameraInfo {
            header: Some(header),
            frame_id: frame_id.to_owned(),
            width: self.width,
            height: self.height,
            d: vec![0.0; 5],
            k: self.matrix().to_vec(),
            height_m,
            pitch_rad,
            yaw_rad,
            bumper_ahead_m,
        }
    }
}

/// P = K [R | t], which maps points of the vehicle frame (x ahead of the camera, y left, z above the road, 1; metres)
/// to homogeneous pixels of the rectified image, as in Hartley and Zisserman, "Multiple View Geometry", 2nd ed.,
/// section 6.1. The third component is the depth in metres, positive ahead.
pub type CameraMatrix = [[f64; 4]; 3];

/// The matrix of a camera.
///
/// # Errors
/// What is wrong with its info.
pub fn camera_matrix(info: &v1::CameraInfo) -> Result<CameraMatrix, CameraInfoError> {
    let k = match <[f64; 9]>::try_from(info.k.as_slice()) {
        Ok(k) if k.iter().all(|v| v.is_finite()) && k[0] > 0.0 && k[4] > 0.0 => k,
        _ => return Err(CameraInfoError::Matrix(info.k.clone())),
    };
    let (width, height) = (info.width, info.height);
    if width.min(height) < 16 || width.max(height) > MAX_SIDE_PX {
        return Err(CameraInfoError::Size { width, height });
    }
    let (height_m, pitch_rad, yaw_rad) = (info.height_m, info.pitch_rad, info.yaw_rad);
    // Not-a-number is in no range.
    let ahead = CAMERA_ANGLE_RAD.contains(&pitch_rad) && CAMERA_ANGLE_RAD.contains(&yaw_rad);
    if !CAMERA_HEIGHT_M.contains(&height_m) || !ahead {
        return Err(CameraInfoError::Mounting { height_m, pitch_rad, yaw_rad });
    }
    if !BUMPER_AHEAD_M.contains(&info.bumper_ahead_m) {
        return Err(CameraInfoError::Bumper(info.bumper_ahead_m));
    }
    if info.d.iter().any(|&d| d != 0.0) {
        return Err(CameraInfoError::Distorted);
    }
    let (sp, cp) = pitch_rad.sin_cos();
    let (sy, cy) = yaw_rad.sin_cos();
    // The camera's axes in the vehicle frame: right, down, ahead.
    let axes = [[sy, -cy, 0.0], [-sp * cy, -sp * sy, -cp], [cp * cy, cp * sy, -sp]];
    Ok(std::array::from_fn(|i| {
        let row: [f64; 3] = std::array::from_fn(|j| (0..3).map(|m| k[3 * i + m] * axes[m][j]).sum());
        [row[0], row[1], row[2], -height_m * row[2]]
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> v1::CameraInfo {
        let mounting = Mounting { height_m: 1.3, ..Mounting::default() };
        let camera = Pinhole { focal_px: [870.0, 860.0], ..Pinhole::new(960, 540, 870.0, mounting) };
        camera.info("camera_front", v1::Header::default())
    }

    fn pixel(info: &v1::CameraInfo, x: f64, y: f64, z: f64) -> (f64, f64) {
        let [u, v, depth] = camera_matrix(info).unwrap().map(|r| r[0] * x + r[1] * y + r[2] * z + r[3]);
        (u / depth, v / depth)
    }

    #[test]
    fn a_level_camera_projects_points_by_similar_triangles() {
        let (u, v) = pixel(&info(), 20.0, 1.5, 0.4);
        assert!((u - (480.0 - 870.0 * 1.5 / 20.0)).abs() < 1e-9, "{u}");
        assert!((v - (270.0 + 860.0 * 0.9 / 20.0)).abs() < 1e-9, "{v}");
    }

    #[test]
    fn pitch_and_yaw_turn_the_view_by_their_angle() {
        let turned = v1::CameraInfo { pitch_rad: 0.04, yaw_rad: 0.06, ..info() };
        // A far point straight ahead at the camera's height lies yaw to the right of and pitch above the middle.
        let (u, v) = pixel(&turned, 1e6, 0.0, 1.3);
        // Seen along a pitched axis the depth is cos(pitch) of the distance.
        assert!((u - (480.0 + 870.0 * 0.06f64.tan() / 0.04f64.cos())).abs() < 1e-3, "{u}");
        assert!((v - (270.0 - 860.0 * 0.04f64.tan())).abs() < 1e-3, "{v}");
    }

    #[test]
    fn wrong_camera_infos_are_rejected() {
        let error = |wrong: v1::CameraInfo| camera_matrix(&wrong).unwrap_err();
        assert!(matches!(error(v1::CameraInfo { k: vec![f64::NAN; 9], ..info() }), CameraInfoError::Matrix(_)));
        assert!(matches!(error(v1::CameraInfo { k: vec![], ..info() }), CameraInfoError::Matrix(_)));
        assert!(matches!(error(v1::CameraInfo { width: 8193, ..info() }), CameraInfoError::Size { .. }));
        for height_m in [0.0, f64::NAN] {
            assert!(matches!(error(v1::CameraInfo { height_m, ..info() }), CameraInfoError::Mounting { .. }));
        }
        let far = v1::CameraInfo { bumper_ahead_m: f64::INFINITY, ..info() };
        assert!(matches!(error(far), CameraInfoError::Bumper(_)));
        assert!(matches!(error(v1::CameraInfo { d: vec![0.1], ..info() }), CameraInfoError::Distorted));
    }
}
