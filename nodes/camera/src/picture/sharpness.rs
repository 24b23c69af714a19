//! How wide the edges of a picture are.
//!
//! P. Marziliano et al., "A no-reference perceptual blur metric" (ICIP 2002): an edge is as wide as the distance of the
//! extremes of brightness on both sides of it. Here along rows, of the sharper part of the edges: what moves fast or lies
//! near is blurred in good pictures too.

use super::brightness::luma;

/// Rows looked at, evenly spread.
const ROWS: usize = 60;
/// Brightness rises by at least this across an edge, 0 to 255: more than the steps that coding leaves.
const LEAST_RISE: i32 = 30;
/// Fewer edges say nothing of sharpness.
const LEAST_EDGES: usize = 30;
/// The part of the edges that must be wide.
const SHARP_PART: f64 = 0.2;
/// Width of an edge over that of the picture from which on it is blurred: 9 pixels of 640. A lens out of focus by a
/// standard deviation of 3 pixels makes edges of 10 and more.
const BLURRED: f64 = 9.0 / 640.0;
/// Narrower edges are sharp in a picture of any size: the mean of three pixels and the encoder make them of three to five.
const SHARP_PX: f64 = 7.0;

/// Whether even the sharper edges are wide. `None`: there are too few edges to tell.
pub(super) fn is_blurred(pixels: &[u8], width: usize) -> Option<bool> {
    let height = pixels.len() / (3 * width).max(1);
    let step = (height / ROWS).max(1);
    let mut widths = Vec::new();
    let mut row = Vec::with_capacity(width);
    for pixels in pixels.chunks_exact((3 * width).max(1)).step_by(step) {
        row.clear();
        // Of three pixels: noise makes no extremes.
        row.extend(pixels.windows(9).step_by(3).map(|w| (luma(&w[..3]) + luma(&w[3..6]) + luma(&w[6..])) as i32));
        edges(&row, &mut widths);
    }
    if widths.len() < LEAST_EDGES {
        return None;
    }
    let at = (widths.len() as f64 * SHARP_PART) as usize;
    let (_, edge, _) = widths.select_nth_unstable(at);
    Some(*edge as f64 > (BLURRED * width as f64).max(SHARP_PX))
}

/// Adds the widths of the edges of a row, in pixels: its runs of rising or falling brightness, twelve times the rise.
fn edges(row: &[i32], widths: &mut Vec<usize>) {
    let mut begin = 0;
    for i in 1..row.len() {
        let ends = i + 1 == row.len() || (row[i + 1] - row[i]).signum() != (row[i] - row[i - 1]).signum();
        if ends {
            let rise = (row[i] - row[begin]).abs();
            if rise >= 12 * LEAST_RISE {
                widths.push(i - begin);
            }
            begin = i;
        }
    }
}
