//! The road as a plane: the homography from road points to pixels, and the bird's-eye view.

use auriga_msgs::v1;
use auriga_runtime::camera::{CameraInfoError, camera_matrix};
use nalgebra::{Matrix3, Vector3};
use opencv::{
    core::{BORDER_REPLICATE, CV_16SC2, Mat, Scalar, Vec3b},
    imgproc,
};

/// Why a camera info cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GeometryError {
    /// The camera info is not plausible.
    #[error(transparent)]
    Info(#[from] CameraInfoError),
    /// OpenCV refuses the remapping tables.
    #[error("the tables of the bird's-eye view cannot be made: {0}")]
    Tables(opencv::Error),
    /// The camera does not see the road.
    #[error(
        "camera info: less than a tenth of the road {near_m} to {far_m} m ahead is in the image; check height_m and pitch_rad"
    )]
    RoadNotVisible {
        /// Where the observed road begins, in metres ahead.
        near_m: f64,
        /// Where it ends, in metres ahead.
        far_m: f64,
    },
}

/// Maps road points (x ahead of the camera, y left, 1; metres, vehicle frame with its origin on the road below the
/// camera) to homogeneous pixels of the rectified image: H = K [R | t] without the column of z, as in Hartley and
/// Zisserman, "Multiple View Geometry", 2nd ed., section 8.1. The third component is the depth, positive ahead.
///
/// # Errors
/// When the camera info is not plausible, naming the field.
pub fn ground_homography(info: &v1::CameraInfo) -> Result<Matrix3<f64>, CameraInfoError> {
    let rows = camera_matrix(info)?.map(|[x, y, _, one]| [x, y, one]);
    Ok(Matrix3::from_fn(|row, column| rows[row][column]))
}

/// The observed part of the road.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Region {
    /// Where it begins, in metres ahead of the camera.
    pub near_m: f64,
    /// Where it ends, in metres ahead of the camera.
    pub far_m: f64,
    /// Its width to each side of the camera, in metres.
    pub half_width_m: f64,
}

/// Length of road in one row of the bird's-eye view.
pub const ROW_M: f64 = 0.1;
/// Width of road in one column of the bird's-eye view; a marking is 0.1 to 0.3 m wide.
pub const COL_M: f64 = 0.05;

/// The bird's-eye view: row 0 is the far edge, column 0 the left one.
pub struct BirdsEye {
    region: Region,
    rows: usize,
    cols: usize,
    size: (u32, u32),
    maps: (Mat, Mat),
    /// For each row the columns that the camera sees.
    visible: Vec<(usize, usize)>,
    /// For each row, how many image rows it comes from, at most 1: far rows repeat few image rows.
    weight: Vec<f32>,
    homography: Matrix3<f64>,
}

/// A point is visible only this far inside the image, where interpolation needs no pixel outside.
const EDGE_PX: f64 = 1.0;

impl BirdsEye {
    /// Computes the remapping tables for a camera.
    ///
    /// # Errors
    /// When the camera info is not plausible, or the camera does not see the region.
    pub fn new(info: &v1::CameraInfo, region: Region) -> Result<Self, GeometryError> {
        let (width, height) = (info.width, info.height);
        let homography = ground_homography(info)?;
        let rows = ((region.far_m - region.near_m) / ROW_M).round() as usize;
        let cols = (2.0 * region.half_width_m / COL_M).round() as usize;
        let mut map = vec![[0f32; 2]; rows * cols];
        let mut birds_eye = Self {
            region,
            rows,
            cols,
            size: (width, height),
            maps: Default::default(),
            visible: vec![(0, 0); rows],
            weight: vec![0.0; rows],
            homography,
        };
        let inside = |u: f64, v: f64| {
            u >= EDGE_PX
                && v >= EDGE_PX
                && u <= f64::from(width) - 1.0 - EDGE_PX
                && v <= f64::from(height) - 1.0 - EDGE_PX
        };
        for row in 0..rows {
            let x = birds_eye.x_m(row as f64);
            let mut seen: Option<(usize, usize)> = None;
            for col in 0..cols {
                let (u, v) = birds_eye.to_image(x, birds_eye.y_m(col as f64)).unwrap_or((-1e4, -1e4));
                map[row * cols + col] = [u.clamp(-1e4, 1e4) as f32, v.clamp(-1e4, 1e4) as f32];
                if inside(u, v) {
                    seen = Some((seen.map_or(col, |s| s.0), col + 1));
                }
            }
            birds_eye.visible[row] = seen.unwrap_or((0, 0));
            birds_eye.weight[row] = birds_eye.image_rows_per_row(x);
        }
        let visible: usize = birds_eye.visible.iter().map(|(a, b)| b - a).sum();
        if visible * 10 < rows * cols {
            return Err(GeometryError::RoadNotVisible { near_m: region.near_m, far_m: region.far_m });
        }
        birds_eye.maps = fixed_point(&map, rows, cols).map_err(GeometryError::Tables)?;
        Ok(birds_eye)
    }

    fn image_rows_per_row(&self, x: f64) -> f32 {
        match (self.to_image(x, 0.0), self.to_image(x + ROW_M, 0.0)) {
            (Some((_, v0)), Some((_, v1))) => (v0 - v1).clamp(0.0, 1.0) as f32,
            _ => 0.0,
        }
    }

    /// Rows, along the road.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns, across the road.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The observed part of the road.
    pub fn region(&self) -> Region {
        self.region
    }

    /// Width and height of the camera's images, in pixels.
    pub fn image_size(&self) -> (u32, u32) {
        self.size
    }

    /// The columns of a row that the camera sees: first, and one after the last.
    pub fn visible(&self, row: usize) -> (usize, usize) {
        self.visible[row]
    }

    /// Weight of a row's marks, 0 to 1.
    pub fn weight(&self, row: usize) -> f32 {
        self.weight[row]
    }

    /// The centre of a row, in metres ahead of the camera.
    pub fn x_m(&self, row: f64) -> f64 {
        self.region.far_m - (row + 0.5) * ROW_M
    }

    /// The centre of a column, in metres to the left of the camera.
    pub fn y_m(&self, col: f64) -> f64 {
        self.region.half_width_m - (col + 0.5) * COL_M
    }

    /// The pixel (column, row) of a road point; `None` behind the camera.
    pub fn to_image(&self, x_m: f64, y_m: f64) -> Option<(f64, f64)> {
        let p = self.homography * Vector3::new(x_m, y_m, 1.0);
        (p.z > 0.1).then(|| (p.x / p.z, p.y / p.z))
    }

    /// Warps a packed bgr8 image of the camera's size into `out` (rows x cols, bgr8).
    ///
    /// # Errors
    /// When the image has another size.
    pub fn warp(&self, pixels: &[u8], out: &mut Vec<u8>) -> opencv::Result<()> {
        let source = Mat::new_rows_cols_with_bytes::<Vec3b>(self.size.1 as i32, self.size.0 as i32, pixels)?;
        out.resize(self.rows * self.cols * 3, 0);
        let mut target = Mat::new_rows_cols_with_bytes_mut::<Vec3b>(self.rows as i32, self.cols as i32, out)?;
        let (map1, map2) = &self.maps;
        // Replicated, not black: a black border beside the road would look like the edge of a marking.
        imgproc::remap(&source, &mut target, map1, map2, imgproc::INTER_LINEAR, BORDER_REPLICATE, Scalar::default())
    }
}

fn fixed_point(map: &[[f32; 2]], rows: usize, cols: usize) -> opencv::Result<(Mat, Mat)> {
    let points: Vec<opencv::core::Vec2f> = map.iter().map(|&p| p.into()).collect();
    let map = Mat::new_rows_cols_with_data(rows as i32, cols as i32, &points)?;
    let (mut map1, mut map2) = (Mat::default(), Mat::default());
    imgproc::convert_maps(&map, &Mat::default(), &mut map1, &mut map2, CV_16SC2, false)?;
    Ok((map1, map2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use auriga_runtime::camera::{Mounting, Pinhole};

    /// With different focal lengths, so that the axes cannot be confused.
    fn info() -> v1::CameraInfo {
        let mounting = Mounting { height_m: 1.3, ..Mounting::default() };
        let camera = Pinhole { focal_px: [870.0, 860.0], ..Pinhole::new(960, 540, 870.0, mounting) };
        camera.info("camera_front", v1::Header::default())
    }

    fn pixel(info: &v1::CameraInfo, x: f64, y: f64) -> (f64, f64) {
        let p = ground_homography(info).unwrap() * Vector3::new(x, y, 1.0);
        (p.x / p.z, p.y / p.z)
    }

    #[test]
    fn road_points_of_a_level_camera_follow_similar_triangles() {
        let (u, v) = pixel(&info(), 20.0, 1.5);
        assert!((u - (480.0 - 870.0 * 1.5 / 20.0)).abs() < 1e-9, "{u}");
        assert!((v - (270.0 + 860.0 * 1.3 / 20.0)).abs() < 1e-9, "{v}");
    }

    #[test]
    fn pitch_moves_the_road_up_and_yaw_moves_it_right_in_the_image() {
        let level = pixel(&info(), 20.0, 0.0);
        let down = pixel(&v1::CameraInfo { pitch_rad: 0.05, ..info() }, 20.0, 0.0);
        let left = pixel(&v1::CameraInfo { yaw_rad: 0.05, ..info() }, 20.0, 0.0);
        assert!(down.1 < level.1 - 30.0, "{level:?} {down:?}");
        assert!((left.0 - level.0 - 870.0 * 0.05f64.tan()).abs() < 1.0, "{level:?} {left:?}");
    }

    #[test]
    fn rows_and_columns_of_the_birds_eye_view_have_their_road_coordinates() {
        let region = Region { near_m: 6.0, far_m: 45.0, half_width_m: 7.0 };
        let b = BirdsEye::new(&v1::CameraInfo { pitch_rad: 0.03, ..info() }, region).unwrap();
        assert_eq!((b.rows(), b.cols()), (390, 280));
        let (row, col) = (100, 40);
        let (x, y) = (b.x_m(row as f64), b.y_m(col as f64));
        assert!((x - 34.95).abs() < 1e-9 && (y - 4.975).abs() < 1e-9, "{x} {y}");
        let (a, z) = b.visible(row);
        assert!(a < col && col < z);
    }

    #[test]
    fn a_camera_that_does_not_see_the_road_is_an_error_that_names_the_reason() {
        let region = Region { near_m: 6.0, far_m: 45.0, half_width_m: 7.0 };
        let up = v1::CameraInfo { pitch_rad: -0.7, ..info() };
        assert!(matches!(BirdsEye::new(&up, region), Err(GeometryError::RoadNotVisible { .. })));
        let flat = v1::CameraInfo { height_m: 0.0, ..info() };
        assert!(matches!(BirdsEye::new(&flat, region), Err(GeometryError::Info(CameraInfoError::Mounting { .. }))));
        let no_k = v1::CameraInfo { k: vec![f64::NAN; 9], ..info() };
        assert!(matches!(BirdsEye::new(&no_k, region), Err(GeometryError::Info(CameraInfoError::Matrix(_)))));
    }
}
