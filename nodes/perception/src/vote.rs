//! Where a lane begins without knowing anything: lines of one road share heading and bend, so all marks vote for a
//! shape by how sharply they pile up once it is taken out; the piles are then the lines.

use crate::{
    marking::Mark,
    model::{Lane, Side},
};

/// A lane that the votes suggest, and which of its lines were seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Seed {
    pub lane: Lane,
    pub sides: Vec<Side>,
}

/// Lateral positions at the camera that are looked at, to either side, and their step.
const RANGE_M: f64 = 6.0;
const BIN_M: f64 = 0.15;
const BINS: usize = (2.0 * RANGE_M / BIN_M) as usize;

/// Shapes tried: headings to 9 degrees, bends to a radius of 160 m; then finer around the best.
const SLOPE_STEP: f64 = 0.016;
const SLOPES: i32 = 10;
const BEND_STEP_PER_M: f64 = 0.0005;
const BENDS: i32 = 6;
const FINER: f64 = 0.25;

/// Lane widths that roads have, and what is usual.
pub const WIDTHS_M: std::ops::RangeInclusive<f64> = 2.4..=4.6;
pub const USUAL_WIDTH_M: f64 = 3.6;

/// Votes of marks beyond this count less: there an error of the shape or of the pitch spreads a line most.
const FADE_M: f64 = 22.0;

/// A line nearer to the camera's path than this is not its lane's: things that stand upright, seen from above, point
/// at the camera.
const NEAREST_M: f64 = 0.5;
/// The camera is in its lane, or a little beyond a line while changing lanes.
const OVER_LINE_M: f64 = 0.3;

/// A pile must have this part of the strongest one's votes, and at least this many.
const MIN_SHARE: f32 = 0.02;
const MIN_VOTES: f32 = 1.0;

type Histogram = [f32; BINS];

/// The lane that the marks suggest; `expected` is where the last frame had it.
pub fn seed(marks: &[Mark], expected: Option<&Lane>) -> Option<Seed> {
    let votes: Vec<(f32, f32, f32, f32)> = marks
        .iter()
        .map(|m| (m.x_m, m.x_m * m.x_m, m.y_m, m.weight / (1.0 + (f64::from(m.x_m) / FADE_M).powi(2)) as f32))
        .collect();
    let mut best = (0.0f32, 0.0, 0.0);
    let try_shape = |slope: f64, bend: f64, best: &mut (f32, f64, f64)| {
        let histogram = pile_up(&votes, slope, bend);
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
    let piles = piles(&pile_up(&votes, slope, bend));
    choose(&piles, slope, bend, expected)
}

fn pile_up(votes: &[(f32, f32, f32, f32)], slope: f64, bend: f64) -> Histogram {
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

/// (position, votes) of the histogram's peaks.
fn piles(histogram: &Histogram) -> Vec<(f64, f32)> {
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

/// Whether the camera is in a lane, or a little beyond one of its lines.
pub fn around_camera(lane: &Lane) -> bool {
    lane.y_m(Side::Left, 0.0) > -OVER_LINE_M && lane.y_m(Side::Right, 0.0) < OVER_LINE_M
}

/// The two piles that make the likeliest lane around the camera, else the likeliest single one.
fn choose(piles: &[(f64, f32)], slope: f64, bend: f64, expected: Option<&Lane>) -> Option<Seed> {
    let width = expected.map_or(USUAL_WIDTH_M, |l| l.width_m);
    let width_tolerance = if expected.is_some() { 0.3 } else { 0.7 };
    let bell = |x: f64| (-0.5 * x * x).exp() as f32;
    // A line where the last frame had one counts for more.
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
    for &(right, votes_right) in piles.iter().filter(|p| p.0 < OVER_LINE_M) {
        for &(left, votes_left) in piles.iter().filter(|p| p.0 > -OVER_LINE_M) {
            if !WIDTHS_M.contains(&(left - right)) {
                continue;
            }
            let (l, r) = (votes_left * familiar(left), votes_right * familiar(right));
            // The weaker line decides: next to one strong line anything could be the other.
            let score = (0.3 * (l + r) + l.min(r)) * (0.2 + bell((left - right - width) / width_tolerance));
            offer(score, 0.5 * (left + right), left - right, &[Side::Left, Side::Right]);
        }
    }
    for &(y, votes) in piles.iter().filter(|p| (NEAREST_M..*WIDTHS_M.end()).contains(&p.0.abs())) {
        let side = if y > 0.0 { Side::Left } else { Side::Right };
        let centre = if y > 0.0 { y - 0.5 * width } else { y + 0.5 * width };
        offer(0.25 * votes * familiar(y) * bell(centre / 1.0), centre, width, &[side]);
    }
    best.map(|(_, seed)| seed)
}
