//! The pinhole camera on its mounting, checked once for all who look through it.

use auriga_msgs::v1;

/// Why a camera info cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CameraInfoError {
    #[error("camera info: k must hold 9 finite numbers with positive focal lengths, found {0:?}")]
    Matrix(Vec<f64>),
    #[error("camera info: image size {width}x{height} is not 16 to {MAX_SIDE_PX} pixels a side")]
    Size { width: u32, height: u32 },
    #[error(
        "camera info: height_m = {height_m}, pitch_rad = {pitch_rad}, yaw_rad = {yaw_rad} is not the mounting of a forward camera"
    )]
    Mounting { height_m: f64, pitch_rad: f64, yaw_rad: f64 },
    #[error("camera info: bumper_ahead_m = {0}: expected -5 to 10 m")]
    Bumper(f64),
    #[error(
        "camera info: expected rectified images (d all zero), found lens distortion; start the camera node with its calibration"
    )]
    Distorted,
}

/// Largest image side taken; a plain bound on what a broken message can make the nodes allocate.
pub const MAX_SIDE_PX: u32 = 8192;

/// P = K [R | t], which maps points of the vehicle frame (x ahead of the camera, y left, z above the road, 1; metres)
/// to homogeneous pixels of the rectified image, as in Hartley and Zisserman, "Multiple View Geometry", 2nd ed.,
/// section 6.1. The third component is the depth in metres, positive ahead.
pub type CameraMatrix = [[f64; 4]; 3];

/// The matrix of a camera, or what is wrong with its info.
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
    if !(0.1..=10.0).contains(&height_m) || !(-0.8..=0.8).contains(&pitch_rad) || !(-0.8..=0.8).contains(&yaw_rad) {
        return Err(CameraInfoError::Mounting { height_m, pitch_rad, yaw_rad });
    }
    if !(-5.0..=10.0).contains(&info.bumper_ahead_m) {
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
        v1::CameraInfo {
            width: 960,
            height: 540,
            k: vec![870.0, 0.0, 480.0, 0.0, 860.0, 270.0, 0.0, 0.0, 1.0],
            height_m: 1.3,
            ..Default::default()
        }
    }

    fn pixel(info: &v1::CameraInfo, x: f64, y: f64, z: f64) -> (f64, f64) {
        let [u, v, depth] = camera_matrix(info).unwrap().map(|r| r[0] * x + r[1] * y + r[2] * z + r[3]);
        (u / depth, v / depth)
    }

    #[test]
    fn a_level_camera_sees_points_where_similar_triangles_put_them() {
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
    fn a_wrong_info_is_named() {
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
