//! The initial lane without a previous frame, by voting (a Hough transform): the lines of one road have a common heading
//! and bend. For each shape the marks' lateral positions with that shape removed make a histogram; the shape with the
//! sharpest histogram is chosen, and its peaks are the lines.

use crate::{marking::Mark, model::Lane};
use auriga_msgs::v1::Side;

/// An initial lane.
#[derive(Debug, Clone, PartialEq)]
pub struct Seed {
    /// Its parameters.
    pub lane: Lane,
    /// The lines that have votes.
    pub sides: Vec<Side>,
}

/// Range of lateral positions at the camera, to each side, and the width of a bin.
const RANGE_M: f64 = 6.0;
const BIN_M: f64 = 0.15;
const BINS: usize = (2.0 * RANGE_M / BIN_M) as usize;

/// Shapes tried: headings up to 9 degrees, bends up to a radius of 160 m; then finer around the best.
const SLOPE_STEP: f64 = 0.016;
const SLOPES: i32 = 10;
const BEND_STEP_PER_M: f64 = 0.0005;
const BENDS: i32 = 6;
const FINER: f64 = 0.25;

/// Widths of lanes.
pub const WIDTHS_M: std::ops::RangeInclusive<f64> = 2.4..=4.6;
/// The usual width of a lane.
pub const USUAL_WIDTH_M: f64 = 3.6;

/// Marks beyond this distance have less weight: there an error of the shape or of the pitch spreads a line most.
const FADE_M: f64 = 22.0;

/// A single line nearer than this to the camera's path is not a line of the lane: upright objects in the bird's-eye view
/// point at the camera.
const NEAREST_M: f64 = 0.5;
/// The camera may be this far beyond a line of its lane while changing lanes.
const OVER_LINE_M: f64 = 0.3;

/// Least votes of a peak: as a share of the highest peak, and absolute.
const MIN_SHARE: f32 = 0.02;
const MIN_VOTES: f32 = 1.0;

type Histogram = [f32; BINS];

/// The initial lane from the marks; `expected`: the lane of the last frame. `None` when there is none.
pub fn seed(marks: &[Mark], expected: Option<&Lane>) -> Option<Seed> {
    let votes: Vec<(f32, f32, f32, f32)> = marks
        .iter()
        .map(|m| (m.x_m, m.x_m * m.x_m, m.y_m, m.weight / (1.0 + (f64::from(m.x_m) / FADE_M).powi(2)) as f32))
        .collect();
    let mut best = (0.0f32, 0.0, 0.0);
    let try_shape = |slope: f64, bend: f64, best: &mut (f32, f64, f64)| {
        let histogram = histogram(&votes, slope, bend);
        let score = histogram.iter().map(|v| v * v).sum::<f32>();
        if score > best.0 {
            *best = (score, slope, bend);
        }
    };
    for i in -SLOPES..=SLOPES {
        for j in -BENDS..=BENDS {
            try_shape(f64::from(i) * SLOPE_STEP, f64::from(j) * BEND_STEP_PER_M, &mut best);
        }
    }
    let (_, slope, bend) = best;
    for i in -3..=3 {
        for j in -3..=3 {
            let fine = (f64::from(i) * FINER * SLOPE_STEP, f64::from(j) * FINER * BEND_STEP_PER_M);
            try_shape(slope + fine.0, bend + fine.1, &mut best);
        }
    }
    let (score, slope, bend) = best;
    if score <= 0.0 {
        return None;
    }
    let peaks = peaks(&histogram(&votes, slope, bend));
    choose(&peaks, slope, bend, expected)
}

fn histogram(votes: &[(f32, f32, f32, f32)], slope: f64, bend: f64) -> Histogram {
    let mut raw: Histogram = [0.0; BINS];
    let (slope, bend) = (slope as f32, bend as f32);
    for &(x, xx, y, weight) in votes {
        let at = (y - slope * x - bend * xx + RANGE_M as f32) / BIN_M as f32;
        if at >= 0.0 && at < BINS as f32 {
            raw[at as usize] += weight;
        }
    }
    let mut smooth = [0.0; BINS];
    for i in 1..BINS - 1 {
        smooth[i] = 0.25 * raw[i - 1] + 0.5 * raw[i] + 0.25 * raw[i + 1];
    }
    smooth
}

/// Position and votes of the histogram's peaks.
fn peaks(histogram: &Histogram) -> Vec<(f64, f32)> {
    let strongest = histogram.iter().copied().fold(0.0, f32::max);
    let enough = MIN_VOTES.max(MIN_SHARE * strongest);
    (1..BINS - 1)
        .filter(|&i| {
            let v = histogram[i];
            v >= enough && v > histogram[i - 1] && v >= histogram[i + 1]
        })
        .map(|i| {
            let (a, b, c) = (histogram[i - 1], histogram[i], histogram[i + 1]);
            let shift = f64::from(0.5 * (a - c) / (a - 2.0 * b + c));
            ((i as f64 + 0.5 + shift) * BIN_M - RANGE_M, b)
        })
        .collect()
}

/// Whether the camera is in the lane, or a little beyond one of its lines.
pub fn around_camera(lane: &Lane) -> bool {
    lane.y_m(Side::Left, 0.0) > -OVER_LINE_M && lane.y_m(Side::Right, 0.0) < OVER_LINE_M
}

/// The two peaks of the most likely lane around the camera, else the most likely single line.
fn choose(peaks: &[(f64, f32)], slope: f64, bend: f64, expected: Option<&Lane>) -> Option<Seed> {
    let width = expected.map_or(USUAL_WIDTH_M, |l| l.width_m);
    let width_tolerance = if expected.is_some() { 0.3 } else { 0.7 };
    let bell = |x: f64| (-0.5 * x * x).exp() as f32;
    // A line near one of the last frame has more weight.
    let familiar = |y: f64| {
        let nearest = expected.map(|l| [Side::Left, Side::Right].map(|s| (y - l.line(s)[0]).abs()));
        1.0 + nearest.map_or(0.0, |[a, b]| 2.0 * bell(a.min(b) / 0.25))
    };
    let mut best: Option<(f32, Seed)> = None;
    let mut offer = |score: f32, centre_m: f64, width_m: f64, sides: &[Side]| {
        if best.as_ref().is_none_or(|(s, _)| score > *s) {
            let lane = Lane { centre_m, width_m, slope, spread: 0.0, bend_per_m: bend };
            best = Some((score, Seed { lane, sides: sides.to_vec() }));
        }
    };
    for &(right, votes_right) in peaks.iter().filter(|p| p.0 < OVER_LINE_M) {
        for &(left, votes_left) in peaks.iter().filter(|p| p.0 > -OVER_LINE_M) {
            if !WIDTHS_M.contains(&(left - right)) {
                continue;
            }
            let (l, r) = (votes_left * familiar(left), votes_right * familiar(right));
            // The weaker line decides: beside one strong line any peak could be the other.
            let score = (0.3 * (l + r) + l.min(r)) * (0.2 + bell((left - right - width) / width_tolerance));
            offer(score, 0.5 * (left + right), left - right, &[Side::Left, Side::Right]);
        }
    }
    for &(y, votes) in peaks.iter().filter(|p| (NEAREST_M..*WIDTHS_M.end()).contains(&p.0.abs())) {
        let side = if y > 0.0 { Side::Left } else { Side::Right };
        let centre = if y > 0.0 { y - 0.5 * width } else { y + 0.5 * width };
        offer(0.25 * votes * familiar(y) * bell(centre / 1.0), centre, width, &[side]);
    }
    best.map(|(_, seed)| seed)
}
