//! From metres to pixels: the projection of the mounted pinhole camera.

use super::canvas::Px;
use auriga_msgs::v1;
use auriga_runtime::camera::{CameraInfoError, CameraMatrix, camera_matrix};

/// Points nearer to the camera's plane than this are not projected.
const NEAREST_M: f64 = 0.5;

/// Maps points of the vehicle frame (x ahead of the camera, y left, z above the road; metres) to pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    matrix: CameraMatrix,
    size: (u32, u32),
}

impl Projection {
    /// The projection of a camera.
    ///
    /// # Errors
    /// When the camera info is not plausible, naming the field.
    pub fn new(info: &v1::CameraInfo) -> Result<Self, CameraInfoError> {
        Ok(Self { matrix: camera_matrix(info)?, size: (info.width, info.height) })
    }

    /// Width and height of the images it is for, in pixels.
    pub fn size(&self) -> (u32, u32) {
        self.size
    }

    /// The projection for images `factor` times as large. Pixel centres are at integers, so the corner moves by half a pixel.
    pub fn scaled(mut self, factor: u32) -> Self {
        let f = f64::from(factor);
        let half = (f - 1.0) / 2.0;
        for j in 0..4 {
            for i in 0..2 {
                self.matrix[i][j] = f * self.matrix[i][j] + half * self.matrix[2][j];
            }
        }
        self.size = (self.size.0 * factor, self.size.1 * factor);
        self
    }

    /// The pixel of a point; `None` beside or behind the camera.
    pub fn pixel(&self, x_m: f64, y_m: f64, z_m: f64) -> Option<Px> {
        let [u, v, depth] = self.matrix.map(|r| r[0] * x_m + r[1] * y_m + r[2] * z_m + r[3]);
        (depth > NEAREST_M).then(|| Px { x: (u / depth) as f32, y: (v / depth) as f32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use auriga_runtime::camera::{Mounting, Pinhole};

    fn info() -> v1::CameraInfo {
        let mounting = Mounting { height_m: 1.3, ..Mounting::default() };
        Pinhole::new(960, 540, 870.0, mounting).info("camera_front", v1::Header::default())
    }

    #[test]
    fn a_scaled_projection_puts_a_point_at_the_same_place_in_the_larger_picture() {
        let one = Projection::new(&v1::CameraInfo { pitch_rad: 0.03, ..info() }).unwrap();
        let two = one.clone().scaled(2);
        let (a, b) = (one.pixel(12.0, -2.0, 0.0).unwrap(), two.pixel(12.0, -2.0, 0.0).unwrap());
        assert!((b.x - (2.0 * a.x + 0.5)).abs() < 1e-3 && (b.y - (2.0 * a.y + 0.5)).abs() < 1e-3);
        assert_eq!(two.size(), (1920, 1080));
    }

    #[test]
    fn points_behind_the_camera_have_no_pixel() {
        assert_eq!(Projection::new(&info()).unwrap().pixel(-3.0, 0.0, 0.0), None);
        assert_eq!(Projection::new(&info()).unwrap().pixel(f64::NAN, 0.0, 0.0), None);
    }
}
