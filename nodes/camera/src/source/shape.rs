//! A decoded picture as it is meant to be seen: square pixels, upright.

use auriga_runtime::camera::MAX_SIDE_PX;
use opencv::{
    core::{self, Mat, Size},
    imgproc,
    prelude::*,
};

/// How a picture is turned for display: transposed first, then mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Orientation {
    /// Rows become columns.
    pub transpose: bool,
    /// Left becomes right.
    pub mirror_x: bool,
    /// Up becomes down.
    pub mirror_y: bool,
}

impl Orientation {
    /// From a b c d of a display matrix, which shows a point (x, y) at (ax + cy, bx + dy). `None`: no turn by quarters.
    pub fn from_matrix([a, b, c, d]: [i32; 4]) -> Option<Self> {
        match (a, b, c, d) {
            (a, 0, 0, d) if a != 0 && d != 0 => Some(Self { transpose: false, mirror_x: a < 0, mirror_y: d < 0 }),
            (0, b, c, 0) if b != 0 && c != 0 => Some(Self { transpose: true, mirror_x: c < 0, mirror_y: b < 0 }),
            _ => None,
        }
    }
}

/// Width of a pixel over its height; what is beyond is a broken number.
const ASPECTS: std::ops::RangeInclusive<f64> = 0.2..=5.0;
/// Aspects nearer to 1 than this are square: less than a pixel over 500.
const SQUARE: f64 = 0.002;

/// What is done to each picture of a source.
#[derive(Debug, Default)]
pub(super) struct Shape {
    orientation: Orientation,
    buffer: Mat,
}

impl Shape {
    /// `orientation`: as the container states it.
    pub fn new(orientation: Orientation) -> Self {
        Self { orientation, buffer: Mat::default() }
    }

    /// Gives `frame` square pixels and turns it upright. `aspect`: width of a stored pixel over its height.
    pub fn apply(&mut self, frame: &mut Mat, aspect: f64) -> opencv::Result<()> {
        if ASPECTS.contains(&aspect) && (aspect - 1.0).abs() > SQUARE {
            let width = (f64::from(frame.cols()) * aspect).round().clamp(1.0, MAX_SIDE_PX.into()) as i32;
            let size = Size::new(width, frame.rows());
            let how = if aspect > 1.0 { imgproc::INTER_LINEAR } else { imgproc::INTER_AREA };
            imgproc::resize(frame, &mut self.buffer, size, 0.0, 0.0, how)?;
            std::mem::swap(frame, &mut self.buffer);
        }
        if self.orientation.transpose {
            core::transpose(frame, &mut self.buffer)?;
            std::mem::swap(frame, &mut self.buffer);
        }
        let code = match (self.orientation.mirror_x, self.orientation.mirror_y) {
            (false, false) => return Ok(()),
            (false, true) => 0,
            (true, false) => 1,
            (true, true) => -1,
        };
        core::flip(frame, &mut self.buffer, code)?;
        std::mem::swap(frame, &mut self.buffer);
        Ok(())
    }
}
