//! Candidate marks of paint: narrow ridges in each row of the bird's-eye view, in brightness or in yellowness, that stand
//! out from the road's texture.

use crate::ground::{BirdsEye, COL_M};
use opencv::{
    core::{BORDER_REPLICATE, Mat, Point, Size},
    imgproc,
};

/// The centre of a candidate mark in one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mark {
    /// Row of the bird's-eye view.
    pub row: u16,
    /// Metres ahead of the camera.
    pub x_m: f32,
    /// Metres to the left of the camera.
    pub y_m: f32,
    /// 0 to 1: contrast, times the weight of its row.
    pub weight: f32,
}

/// A marking is compared with the road at this distance to both sides (centre to centre): outside the widest marking
/// (0.3 m), nearer than the second line of a double one.
const SIDE_COLS: usize = (0.30 / COL_M) as usize;
/// Least distance between two marks of a row.
const SEPARATION_COLS: usize = (0.20 / COL_M) as usize;
/// Size of the smoothing window: paint runs along the road, texture does not.
const SMOOTH_ROWS: i32 = 5;
const SMOOTH_COLS: i32 = 3;

/// Least height of a ridge in standard deviations of the texture.
const MIN_SIGMAS: f32 = 4.0;
/// Least height in 8-bit steps, so that sensor noise on a black road is not taken for paint.
const MIN_BRIGHTNESS: f32 = 6.0;
const MIN_YELLOWNESS: f32 = 10.0;
/// Least height as a share of the road's brightness: paint differs in reflectance.
const MIN_CONTRAST: f32 = 0.07;
/// Height in standard deviations at which the weight is 1.
const FULL_SIGMAS: f32 = 12.0;
/// Rows with a common estimate of the texture: 4 m.
const BAND_ROWS: usize = 40;

/// Finds marks; its buffers are reused from frame to frame.
#[derive(Default)]
pub struct MarkFinder {
    brightness: Vec<u8>,
    yellowness: Vec<u8>,
    smooth: [Vec<u8>; 2],
    ridge: Vec<f32>,
}

impl MarkFinder {
    /// Appends the marks of a bird's-eye view (bgr8) to `marks`: far rows first, within a row from left to right.
    ///
    /// # Errors
    /// When OpenCV refuses to smooth the view.
    pub fn find(&mut self, view: &BirdsEye, bgr: &[u8], marks: &mut Vec<Mark>) -> opencv::Result<()> {
        let (rows, cols) = (view.rows(), view.cols());
        self.channels(bgr);
        for (plane, smooth) in [&self.brightness, &self.yellowness].into_iter().zip(&mut self.smooth) {
            blur(plane, smooth, rows, cols)?;
        }
        for top in (0..rows).step_by(BAND_ROWS) {
            let band = top..(top + BAND_ROWS).min(rows);
            let sigma = [0, 1].map(|c| texture(view, &self.smooth[c], band.clone()));
            for row in band {
                self.marks_of_row(view, row, sigma, marks);
            }
        }
        Ok(())
    }

    /// Brightness is (B + 2G + R)/4, yellowness (R + G)/2 - B: zero for grey.
    fn channels(&mut self, bgr: &[u8]) {
        let pixels = bgr.as_chunks::<3>().0;
        let luma = |p: &[u8; 3]| ((u16::from(p[0]) + 2 * u16::from(p[1]) + u16::from(p[2])) / 4) as u8;
        let yellow = |p: &[u8; 3]| ((u16::from(p[1]) + u16::from(p[2])) / 2).saturating_sub(p[0].into()) as u8;
        self.brightness.clear();
        self.brightness.extend(pixels.iter().map(luma));
        self.yellowness.clear();
        self.yellowness.extend(pixels.iter().map(yellow));
    }

    fn marks_of_row(&mut self, view: &BirdsEye, row: usize, sigma: [f32; 2], marks: &mut Vec<Mark>) {
        let (from, to) = view.visible(row);
        let margin = SIDE_COLS + 1;
        let weight = view.weight(row);
        if to < from + 2 * margin + 1 || weight <= 0.0 {
            return;
        }
        let at = row * view.cols();
        let [brightness, yellowness] = [0, 1].map(|c| &self.smooth[c][at + from..at + to]);
        self.ridge.clear();
        self.ridge.resize(to - from, 0.0);
        for i in margin..to - from - margin {
            let (white, side) = ridge(brightness, i);
            let (yellow, _) = ridge(yellowness, i);
            let mut n = 0.0f32;
            if white >= MIN_BRIGHTNESS.max(MIN_CONTRAST * side) {
                n = white / sigma[0];
            }
            if yellow >= MIN_YELLOWNESS {
                n = n.max(yellow / sigma[1]);
            }
            self.ridge[i] = n;
        }
        for i in margin..to - from - margin {
            let n = self.ridge[i];
            if n < MIN_SIGMAS {
                continue;
            }
            let around = &self.ridge[i - SEPARATION_COLS..=i + SEPARATION_COLS];
            // Of equal heights the first is taken.
            if around[..SEPARATION_COLS].iter().any(|&o| o >= n) || around[SEPARATION_COLS + 1..].iter().any(|&o| o > n)
            {
                continue;
            }
            let col = (from + i) as f64 + parabola_peak(self.ridge[i - 1], n, self.ridge[i + 1]);
            marks.push(Mark {
                row: row as u16,
                x_m: view.x_m(row as f64) as f32,
                y_m: view.y_m(col) as f32,
                weight: weight * (n / FULL_SIGMAS).min(1.0),
            });
        }
    }
}

/// Height of `i` above the higher of its two sides, and that side's level. An edge, high on one side, is not a ridge.
fn ridge(values: &[u8], i: usize) -> (f32, f32) {
    let side = |j: usize| u16::from(values[j - 1]) + u16::from(values[j + 1]);
    let level = 0.5 * f32::from(side(i - SIDE_COLS).max(side(i + SIDE_COLS)));
    (f32::from(values[i]) - level, level)
}

/// Standard deviation of the road's texture in a band of rows: of a pixel against the mean of its two sides, so that
/// shading across the road has no effect. It is estimated from the median (0.6745 sigma of a normal distribution), which
/// the little paint does not change.
fn texture(view: &BirdsEye, plane: &[u8], band: std::ops::Range<usize>) -> f32 {
    const FLOOR: f32 = 1.0;
    // In half units: 2 |middle - mean of the sides|.
    let mut counts = [0u32; 512];
    let mut total = 0;
    for row in band {
        let (from, to) = view.visible(row);
        let values = &plane[row * view.cols() + from..row * view.cols() + to];
        for part in values.windows(2 * SIDE_COLS + 1).step_by(2) {
            let sides = u16::from(part[0]) + u16::from(part[2 * SIDE_COLS]);
            counts[(2 * u16::from(part[SIDE_COLS])).abs_diff(sides) as usize] += 1;
            total += 1;
        }
    }
    let mut below = 0;
    let median = counts.iter().position(|&c| {
        below += c;
        2 * below >= total
    });
    (0.5 * median.unwrap_or(0) as f32 / 0.6745).max(FLOOR)
}

/// Offset of a parabola's peak through three neighbours, within half a step.
fn parabola_peak(before: f32, peak: f32, after: f32) -> f64 {
    let curve = before - 2.0 * peak + after;
    if curve >= -1e-6 { 0.0 } else { f64::from((0.5 * (before - after) / curve).clamp(-0.5, 0.5)) }
}

fn blur(plane: &[u8], out: &mut Vec<u8>, rows: usize, cols: usize) -> opencv::Result<()> {
    out.resize(plane.len(), 0);
    let source = Mat::new_rows_cols_with_bytes::<u8>(rows as i32, cols as i32, plane)?;
    let mut target = Mat::new_rows_cols_with_bytes_mut::<u8>(rows as i32, cols as i32, out)?;
    imgproc::blur(&source, &mut target, Size::new(SMOOTH_COLS, SMOOTH_ROWS), Point::new(-1, -1), BORDER_REPLICATE)
}
