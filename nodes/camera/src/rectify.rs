//! Removal of lens distortion from frames, with tables that are computed once.

use crate::calibration::{Calibration, LensModel};
use opencv::{
    calib3d,
    core::{BORDER_CONSTANT, CV_16SC2, Mat, Scalar, Size, Vec3b},
    imgproc,
};

/// Remaps frames of one size to what a pinhole camera with the same matrix would have seen.
pub struct Rectifier {
    calibration: Calibration,
    /// OpenCV's fixed-point maps; `None` when the calibration has no distortion and frames pass as they are.
    maps: Option<(Mat, Mat)>,
}

impl Rectifier {
    /// Computes the tables for frames of the calibration's size.
    ///
    /// # Errors
    /// OpenCV's.
    pub fn new(calibration: Calibration) -> opencv::Result<Self> {
        let maps = if calibration.is_pinhole() { None } else { Some(maps(&calibration)?) };
        Ok(Self { calibration, maps })
    }

    /// The calibration of the frames it takes.
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// Whether frames pass unchanged.
    pub fn is_identity(&self) -> bool {
        self.maps.is_none()
    }

    /// Rectifies packed bgr8 rows (height x 3*width bytes, see [`auriga_runtime::image::packed_bgr8`]). What the lens did
    /// not see becomes black.
    ///
    /// # Errors
    /// OpenCV's, also when `pixels` are of another size.
    pub fn rectify(&self, pixels: &[u8]) -> opencv::Result<Vec<u8>> {
        let (rows, cols) = (self.calibration.height as i32, self.calibration.width as i32);
        let Some((map1, map2)) = &self.maps else { return Ok(pixels.to_vec()) };
        let source = Mat::new_rows_cols_with_bytes::<Vec3b>(rows, cols, pixels)?;
        let mut out = vec![0; pixels.len()];
        let mut target = Mat::new_rows_cols_with_bytes_mut::<Vec3b>(rows, cols, &mut out)?;
        imgproc::remap(&source, &mut target, map1, map2, imgproc::INTER_LINEAR, BORDER_CONSTANT, Scalar::default())?;
        drop(target);
        Ok(out)
    }
}

fn maps(calibration: &Calibration) -> opencv::Result<(Mat, Mat)> {
    let matrix = calibration.matrix();
    let matrix = Mat::new_rows_cols_with_data(3, 3, &matrix)?;
    let distortion = calibration.distortion();
    let distortion = Mat::from_slice(&distortion)?;
    let size = Size::new(calibration.width as i32, calibration.height as i32);
    let (mut map1, mut map2) = (Mat::default(), Mat::default());
    let no_rotation = Mat::default();
    let kind = CV_16SC2;
    if calibration.model == LensModel::Equidistant {
        calib3d::fisheye_init_undistort_rectify_map(
            &matrix,
            &distortion,
            &no_rotation,
            &matrix,
            size,
            kind,
            &mut map1,
            &mut map2,
        )?;
    } else {
        calib3d::init_undistort_rectify_map(
            &matrix,
            &distortion,
            &no_rotation,
            &matrix,
            size,
            kind,
            &mut map1,
            &mut map2,
        )?;
    }
    Ok((map1, map2))
}
