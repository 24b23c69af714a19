//! The road as a plane: where its points lie in the image, and the image seen from above.

use auriga_msgs::v1;
use nalgebra::{Matrix3, Vector3};
use opencv::{
    core::{BORDER_REPLICATE, CV_16SC2, Mat, Scalar, Vec3b},
    imgproc,
};

/// Why a camera info cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GeometryError {
    #[error("camera info: k must hold 9 finite numbers with positive focal lengths, found {0:?}")]
    Matrix(Vec<f64>),
    #[error("camera info: image size {width}x{height} is not 1 to 8192 pixels a side")]
    Size { width: u32, height: u32 },
    #[error(
        "camera info: mounting height {height_m} m, pitch {pitch_rad} rad, yaw {yaw_rad} rad is not that of a forward camera"
    )]
    Mounting { height_m: f64, pitch_rad: f64, yaw_rad: f64 },
    #[error(
        "camera info: less than a tenth of the road {near_m} to {far_m} m ahead is in the image; check height_m and pitch_rad"
    )]
    RoadNotVisible { near_m: f64, far_m: f64 },
}

/// Maps road points (x ahead of the camera, y left, 1; metres, vehicle frame with its origin on the road below the
/// camera) to homogeneous pixels of the rectified image: H = K [R | t] without the column of z, as in Hartley and
/// Zisserman, "Multiple View Geometry", 2nd ed., section 8.1. The third component is the depth, positive ahead.
pub fn ground_homography(info: &v1::CameraInfo) -> Result<Matrix3<f64>, GeometryError> {
    let k = match <[f64; 9]>::try_from(info.k.as_slice()) {
        Ok(k) if k.iter().all(|v| v.is_finite()) && k[0] > 0.0 && k[4] > 0.0 => Matrix3::from_row_slice(&k),
        _ => return Err(GeometryError::Matrix(info.k.clone())),
    };
    let (height_m, pitch_rad, yaw_rad) = (info.height_m, info.pitch_rad, info.yaw_rad);
    // Not-a-number is in no range.
    if !(0.1..=10.0).contains(&height_m) || !(-0.8..=0.8).contains(&pitch_rad) || !(-0.8..=0.8).contains(&yaw_rad) {
        return Err(GeometryError::Mounting { height_m, pitch_rad, yaw_rad });
    }
    let (sp, cp) = pitch_rad.sin_cos();
    let (sy, cy) = yaw_rad.sin_cos();
    // The camera's axes in the vehicle frame (x ahead, y left, z up).
    let right = Vector3::new(sy, -cy, 0.0);
    let down = Vector3::new(-sp * cy, -sp * sy, -cp);
    let ahead = Vector3::new(cp * cy, cp * sy, -sp);
    let axis = |a: Vector3<f64>| [a.x, a.y, -height_m * a.z];
    let [r, d, a] = [axis(right), axis(down), axis(ahead)];
    Ok(k * Matrix3::from_row_slice(&[r[0], r[1], r[2], d[0], d[1], d[2], a[0], a[1], a[2]]))
}

/// The part of the road looked at and how finely.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Region {
    pub near_m: f64,
    pub far_m: f64,
    /// To either side.
    pub half_width_m: f64,
}

/// Size of a pixel seen from above: along the road, and across it (a marking is 0.1 to 0.3 m wide).
pub const ROW_M: f64 = 0.1;
pub const COL_M: f64 = 0.05;

/// The image seen from above: row 0 is the far edge, column 0 the left one.
pub struct BirdsEye {
    region: Region,
    rows: usize,
    cols: usize,
    size: (u32, u32),
    maps: (Mat, Mat),
    /// For each row the columns that the camera sees.
    visible: Vec<(usize, usize)>,
    /// For each row, how many image rows it is made of, at most 1: far rows repeat what few image rows saw.
    weight: Vec<f32>,
    homography: Matrix3<f64>,
}

/// An image counts as seeing a point only this far inside its edge, where interpolation needs no outside pixel.
const EDGE_PX: f64 = 1.0;

impl BirdsEye {
    /// Computes the tables for a camera.
    pub fn new(info: &v1::CameraInfo, region: Region) -> Result<Self, GeometryError> {
        let (width, height) = (info.width, info.height);
        if !(1..=8192).contains(&width) || !(1..=8192).contains(&height) {
            return Err(GeometryError::Size { width, height });
        }
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
        birds_eye.maps = fixed_point(&map, rows, cols).map_err(|_| GeometryError::Size { width, height })?;
        Ok(birds_eye)
    }

    fn image_rows_per_row(&self, x: f64) -> f32 {
        match (self.to_image(x, 0.0), self.to_image(x + ROW_M, 0.0)) {
            (Some((_, v0)), Some((_, v1))) => (v0 - v1).clamp(0.0, 1.0) as f32,
            _ => 0.0,
        }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }
    pub fn cols(&self) -> usize {
        self.cols
    }
    pub fn region(&self) -> Region {
        self.region
    }
    /// Width and height of the images it takes.
    pub fn image_size(&self) -> (u32, u32) {
        self.size
    }
    /// The columns of a row that the camera sees.
    pub fn visible(&self, row: usize) -> (usize, usize) {
        self.visible[row]
    }
    /// How much a row's evidence counts, 0..1.
    pub fn weight(&self, row: usize) -> f32 {
        self.weight[row]
    }
    /// Metres ahead of a row's centre.
    pub fn x_m(&self, row: f64) -> f64 {
        self.region.far_m - (row + 0.5) * ROW_M
    }
    /// Metres left of a column's centre.
    pub fn y_m(&self, col: f64) -> f64 {
        self.region.half_width_m - (col + 0.5) * COL_M
    }
    /// The pixel of a road point; `None` behind the camera.
    pub fn to_image(&self, x_m: f64, y_m: f64) -> Option<(f64, f64)> {
        let p = self.homography * Vector3::new(x_m, y_m, 1.0);
        (p.z > 0.1).then(|| (p.x / p.z, p.y / p.z))
    }

    /// Warps packed bgr8 rows of the camera's size into `out` (rows x cols bgr8).
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

    fn info() -> v1::CameraInfo {
        v1::CameraInfo {
            width: 960,
            height: 540,
            k: vec![870.0, 0.0, 480.0, 0.0, 860.0, 270.0, 0.0, 0.0, 1.0],
            height_m: 1.3,
            ..Default::default()
        }
    }

    fn pixel(info: &v1::CameraInfo, x: f64, y: f64) -> (f64, f64) {
        let p = ground_homography(info).unwrap() * Vector3::new(x, y, 1.0);
        (p.x / p.z, p.y / p.z)
    }

    #[test]
    fn a_level_camera_sees_road_points_where_similar_triangles_put_them() {
        let (u, v) = pixel(&info(), 20.0, 1.5);
        assert!((u - (480.0 - 870.0 * 1.5 / 20.0)).abs() < 1e-9, "{u}");
        assert!((v - (270.0 + 860.0 * 1.3 / 20.0)).abs() < 1e-9, "{v}");
    }

    #[test]
    fn looking_down_raises_the_road_in_the_image_and_looking_left_moves_it_right() {
        let level = pixel(&info(), 20.0, 0.0);
        let down = pixel(&v1::CameraInfo { pitch_rad: 0.05, ..info() }, 20.0, 0.0);
        let left = pixel(&v1::CameraInfo { yaw_rad: 0.05, ..info() }, 20.0, 0.0);
        assert!(down.1 < level.1 - 30.0, "{level:?} {down:?}");
        assert!((left.0 - level.0 - 870.0 * 0.05f64.tan()).abs() < 1.0, "{level:?} {left:?}");
    }

    #[test]
    fn a_point_goes_to_the_birds_eye_view_and_back() {
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
    fn a_camera_that_cannot_see_the_road_is_refused_by_name() {
        let region = Region { near_m: 6.0, far_m: 45.0, half_width_m: 7.0 };
        let up = v1::CameraInfo { pitch_rad: -0.7, ..info() };
        assert!(matches!(BirdsEye::new(&up, region), Err(GeometryError::RoadNotVisible { .. })));
        let flat = v1::CameraInfo { height_m: 0.0, ..info() };
        assert!(matches!(BirdsEye::new(&flat, region), Err(GeometryError::Mounting { .. })));
        let no_k = v1::CameraInfo { k: vec![f64::NAN; 9], ..info() };
        assert!(matches!(BirdsEye::new(&no_k, region), Err(GeometryError::Matrix(_))));
    }
}
