//! From metres to pixels: the pinhole camera on its mounting.

use crate::canvas::Px;
use auriga_msgs::v1;

/// Why a camera info cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ProjectionError {
    #[error("camera info: k must hold 9 finite numbers with positive focal lengths, found {0:?}")]
    Matrix(Vec<f64>),
    #[error("camera info: image size {width}x{height} is not 16 to 8192 pixels a side")]
    Size { width: u32, height: u32 },
    #[error(
        "camera info: height {height_m} m, pitch {pitch_rad} rad, yaw {yaw_rad} rad is not that of a forward camera"
    )]
    Mounting { height_m: f64, pitch_rad: f64, yaw_rad: f64 },
    #[error("camera info: bumper_ahead_m = {0}: expected -5 to 10 m")]
    Bumper(f64),
    #[error("camera info: expected rectified images (d all zero), found lens distortion")]
    Distorted,
}

/// Nearer to the camera's plane than this nothing is projected, in metres.
const NEAREST_M: f64 = 0.5;

/// Maps points of the vehicle frame (x ahead of the camera, y left, z above the road; metres) to pixels:
/// K [R | t] as in Hartley and Zisserman, "Multiple View Geometry", 2nd ed., section 6.1.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    rows: [[f64; 4]; 3],
    size: (u32, u32),
}

impl Projection {
    pub fn new(info: &v1::CameraInfo) -> Result<Self, ProjectionError> {
        let k = match <[f64; 9]>::try_from(info.k.as_slice()) {
            Ok(k) if k.iter().all(|v| v.is_finite()) && k[0] > 0.0 && k[4] > 0.0 => k,
            _ => return Err(ProjectionError::Matrix(info.k.clone())),
        };
        let (width, height) = (info.width, info.height);
        if width.min(height) < 16 || width.max(height) > crate::image::MAX_SIDE_PX {
            return Err(ProjectionError::Size { width, height });
        }
        let (height_m, pitch_rad, yaw_rad) = (info.height_m, info.pitch_rad, info.yaw_rad);
        // Not-a-number is in no range.
        if !(0.1..=10.0).contains(&height_m) || !(-0.8..=0.8).contains(&pitch_rad) || !(-0.8..=0.8).contains(&yaw_rad) {
            return Err(ProjectionError::Mounting { height_m, pitch_rad, yaw_rad });
        }
        if !(-5.0..=10.0).contains(&info.bumper_ahead_m) {
            return Err(ProjectionError::Bumper(info.bumper_ahead_m));
        }
        if info.d.iter().any(|&d| d != 0.0) {
            return Err(ProjectionError::Distorted);
        }
        let (sp, cp) = pitch_rad.sin_cos();
        let (sy, cy) = yaw_rad.sin_cos();
        // The camera's axes in the vehicle frame: right, down, ahead.
        let axes = [[sy, -cy, 0.0], [-sp * cy, -sp * sy, -cp], [cp * cy, cp * sy, -sp]];
        let rows = std::array::from_fn(|i| {
            let row: [f64; 3] = std::array::from_fn(|j| (0..3).map(|m| k[3 * i + m] * axes[m][j]).sum());
            [row[0], row[1], row[2], -height_m * row[2]]
        });
        Ok(Self { rows, size: (width, height) })
    }

    /// Width and height of the images it is for.
    pub fn size(&self) -> (u32, u32) {
        self.size
    }

    /// For images `factor` times as large. Pixel centres are at whole numbers, so the corner moves by half a pixel.
    pub fn scaled(mut self, factor: u32) -> Self {
        let f = f64::from(factor);
        let half = (f - 1.0) / 2.0;
        for j in 0..4 {
            for i in 0..2 {
                self.rows[i][j] = f * self.rows[i][j] + half * self.rows[2][j];
            }
        }
        self.size = (self.size.0 * factor, self.size.1 * factor);
        self
    }

    /// The pixel of a point; `None` beside or behind the camera.
    pub fn pixel(&self, x_m: f64, y_m: f64, z_m: f64) -> Option<Px> {
        let [u, v, depth] = self.rows.map(|r| r[0] * x_m + r[1] * y_m + r[2] * z_m + r[3]);
        (depth > NEAREST_M).then(|| Px { x: (u / depth) as f32, y: (v / depth) as f32 })
    }
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

    #[test]
    fn a_level_camera_sees_points_where_similar_triangles_put_them() {
        let p = Projection::new(&info()).unwrap().pixel(20.0, 1.5, 0.4).unwrap();
        assert!((f64::from(p.x) - (480.0 - 870.0 * 1.5 / 20.0)).abs() < 1e-3, "{p:?}");
        assert!((f64::from(p.y) - (270.0 + 860.0 * 0.9 / 20.0)).abs() < 1e-3, "{p:?}");
    }

    #[test]
    fn pitch_and_yaw_turn_the_view_by_their_angle() {
        let turned = v1::CameraInfo { pitch_rad: 0.04, yaw_rad: 0.06, ..info() };
        let projection = Projection::new(&turned).unwrap();
        // A far point straight ahead at the camera's height lies yaw to the right of and pitch above the middle.
        let p = projection.pixel(1e6, 0.0, 1.3).unwrap();
        let (x, y) = (480.0 + 870.0 * 0.06f64.tan(), 270.0 - 860.0 * 0.04f64.tan() / 0.06f64.cos());
        // Seen along a yawed axis the depth is cos(yaw) of the distance.
        assert!((f64::from(p.x) - (480.0 + (x - 480.0) / 0.04f64.cos())).abs() < 1.0, "{p:?}");
        assert!((f64::from(p.y) - y).abs() < 1.0, "{p:?} {y}");
    }

    #[test]
    fn a_scaled_projection_puts_a_point_at_the_same_place_of_the_larger_picture() {
        let one = Projection::new(&v1::CameraInfo { pitch_rad: 0.03, ..info() }).unwrap();
        let two = one.clone().scaled(2);
        let (a, b) = (one.pixel(12.0, -2.0, 0.0).unwrap(), two.pixel(12.0, -2.0, 0.0).unwrap());
        assert!((b.x - (2.0 * a.x + 0.5)).abs() < 1e-3 && (b.y - (2.0 * a.y + 0.5)).abs() < 1e-3);
        assert_eq!(two.size(), (1920, 1080));
    }

    #[test]
    fn what_is_behind_has_no_pixel_and_a_wrong_info_is_named() {
        assert_eq!(Projection::new(&info()).unwrap().pixel(-3.0, 0.0, 0.0), None);
        assert_eq!(Projection::new(&info()).unwrap().pixel(f64::NAN, 0.0, 0.0), None);
        let flat = v1::CameraInfo { height_m: f64::NAN, ..info() };
        assert!(matches!(Projection::new(&flat), Err(ProjectionError::Mounting { .. })));
        let far = v1::CameraInfo { bumper_ahead_m: f64::INFINITY, ..info() };
        assert!(matches!(Projection::new(&far), Err(ProjectionError::Bumper(_))));
        let no_k = v1::CameraInfo { k: vec![], ..info() };
        assert!(matches!(Projection::new(&no_k), Err(ProjectionError::Matrix(_))));
        let bent = v1::CameraInfo { d: vec![0.1], ..info() };
        assert!(matches!(Projection::new(&bent), Err(ProjectionError::Distorted)));
    }
}
