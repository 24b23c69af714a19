//! The lane model with five parameters, its robust least-squares fit to the marks, and the support of a line.

use crate::marking::Mark;
use auriga_msgs::v1::Side;
use nalgebra::{SMatrix, SVector};

/// Left line y = centre + width/2 + (slope + spread) x + bend x^2, right line y = centre - width/2 + (slope - spread) x
/// + bend x^2; metres, vehicle frame. `spread` models the effect of the body's pitch on parallel lines.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lane {
    /// Centre of the lane at the camera, in metres to the left.
    pub centre_m: f64,
    /// Width of the lane at the camera, in metres.
    pub width_m: f64,
    /// Direction of the lane: metres to the left per metre ahead.
    pub slope: f64,
    /// Half of the difference of the lines' directions, in metres per metre.
    pub spread: f64,
    /// Quadratic coefficient: half of the curvature, in 1/m.
    pub bend_per_m: f64,
}

/// +1 for the left line, -1 for the right one, 0 for the centre between them.
fn sign(side: Side) -> f64 {
    match side {
        Side::Left => 1.0,
        Side::Right => -1.0,
        Side::Unspecified => 0.0,
    }
}

type Vec5 = SVector<f64, 5>;
type Mat5 = SMatrix<f64, 5, 5>;

impl Lane {
    /// The coefficients of y = c0 + c1 x + c2 x^2 of one line; of the lane's centre for an unspecified side.
    pub fn line(&self, side: Side) -> [f64; 3] {
        let s = sign(side);
        [self.centre_m + 0.5 * s * self.width_m, self.slope + s * self.spread, self.bend_per_m]
    }

    /// The line's place in metres to the left, `x_m` metres ahead.
    pub fn y_m(&self, side: Side, x_m: f64) -> f64 {
        let [c0, c1, c2] = self.line(side);
        c0 + (c1 + c2 * x_m) * x_m
    }

    fn vector(&self) -> Vec5 {
        Vec5::new(self.centre_m, self.width_m, self.slope, self.spread, self.bend_per_m)
    }

    fn from_vector(v: &Vec5) -> Self {
        Self { centre_m: v[0], width_m: v[1], slope: v[2], spread: v[3], bend_per_m: v[4] }
    }
}

/// The prior of the lane's parameters: mean and standard deviation of each.
#[derive(Debug, Clone, Copy)]
pub struct Prior {
    /// Means.
    pub mean: Lane,
    /// Standard deviations.
    pub sigma: Lane,
}

impl Prior {
    /// Without a previous frame: the place from the votes, and the shape of most roads: nearly along the car, with a
    /// radius mostly above 300 m. Two lines of few dashes do not determine the shape otherwise.
    pub fn from_seed(seed: Lane) -> Self {
        let sigma = Lane { centre_m: 0.5, width_m: 0.4, slope: 0.04, spread: 0.012, bend_per_m: 0.0015 };
        Self { mean: Lane { slope: 0.0, spread: 0.0, bend_per_m: 0.0, ..seed }, sigma }
    }

    /// From the lane of the last frame, `age_s` ago; the standard deviations are a car's changes within 40 ms.
    pub fn from_track(mean: Lane, age_s: f64) -> Self {
        let grow = (age_s / 0.04).clamp(0.25, 25.0).sqrt();
        let sigma = Lane {
            centre_m: 0.12 * grow,
            width_m: 0.06 * grow,
            slope: 0.012 * grow,
            spread: 0.004 * grow,
            bend_per_m: 0.0004 * grow,
        };
        Self { mean, sigma }
    }

    fn information(&self) -> Mat5 {
        Mat5::from_diagonal(&self.sigma.vector().map(|s| 1.0 / (s * s)))
    }
}

/// Standard deviation of a mark across the road: the marking's own width and half a pixel, growing with distance.
pub fn mark_sigma_m(x_m: f64) -> f64 {
    0.04 + 0.003 * x_m
}

/// Marks of neighbouring rows come from the same image rows and the same paint, so they are not independent: the weight
/// of one mark.
const INDEPENDENCE: f64 = 0.2;

/// Tukey's biweight is 0 beyond this many sigmas (95 % efficiency for a normal distribution); in the first rounds the
/// limit is widened, so that the fit converges from a coarse start.
const TUKEY_SIGMAS: f64 = 4.685;
const WIDEN: [f64; 7] = [3.0, 2.5, 2.0, 1.5, 1.2, 1.0, 1.0];

/// Fits both lines to `marks` and `prior`, from `start` on, by iteratively reweighted least squares (Holland and Welsch
/// 1977). `sides`: the lines to which marks may belong. `None` when the system cannot be solved.
pub fn fit(marks: &[Mark], start: Lane, prior: &Prior, sides: &[Side]) -> Option<Lane> {
    let prior_information = prior.information();
    let prior_vector = prior_information * prior.mean.vector();
    let mut lane = start;
    for widen in WIDEN {
        let (mut a, mut b) = (prior_information, prior_vector);
        for mark in marks {
            let (x, y) = (f64::from(mark.x_m), f64::from(mark.y_m));
            let nearest = sides.iter().map(|&s| (s, y - lane.y_m(s, x))).min_by(|p, q| p.1.abs().total_cmp(&q.1.abs()));
            let Some((side, residual)) = nearest else { continue };
            let sigma = mark_sigma_m(x);
            let r = residual / (TUKEY_SIGMAS * sigma * widen);
            if r.abs() >= 1.0 {
                continue;
            }
            let weight = INDEPENDENCE * f64::from(mark.weight) * (1.0 - r * r).powi(2) / (sigma * sigma);
            let s = sign(side);
            let row = Vec5::new(1.0, 0.5 * s, x, s * x, x * x);
            a += row * row.transpose() * weight;
            b += row * (weight * y);
        }
        lane = Lane::from_vector(&a.cholesky()?.solve(&b));
    }
    lane.vector().iter().all(|v| v.is_finite()).then_some(lane)
}

/// The support of a line by marks, in steps of [`STEP_M`] along the road.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Support {
    /// Length with marks on the line.
    pub length_m: f64,
    /// Mean of the same length for parallel control lines beside it, where only texture gives marks.
    pub chance_m: f64,
    /// Standard deviation of that length.
    pub chance_deviation_m: f64,
    /// Share of the well visible part (up to [`CLEAR_M`]) that has marks, 0 to 1.
    pub coverage: f64,
    /// Longest stretch without a gap in that part, in metres.
    pub longest_m: f64,
    /// First mark, in metres ahead.
    pub x_min_m: f64,
    /// Last mark, in metres ahead.
    pub x_max_m: f64,
    /// Root mean square of the residuals, in sigmas.
    pub rms: f64,
}

/// Step of [`Support`], in metres.
pub const STEP_M: f64 = 0.5;
/// Beyond this distance in metres the gaps between dashes are blurred.
pub const CLEAR_M: f64 = 28.0;
/// Bits of the mask of steps.
const MAX_STEPS: usize = 128;
/// A mark is on a line when it is nearer than this many [`mark_sigma_m`].
const TOLERANCE_SIGMAS: f64 = 2.0;
/// Control lines parallel to the line, to each side: their number, the distance of the first (nearer, the line's own paint
/// would count) and their spacing.
const CHANCE_LINES: usize = 8;
const CHANCE_FIRST_M: f64 = 0.5;
const CHANCE_STEP_M: f64 = 0.2;
/// The longest control lines are left out: a double line, a kerb or a barrier is not texture.
const CHANCE_LEFT_OUT: usize = 3;

impl Support {
    /// The support of the line y = c0 + c1 x + c2 x^2 by the marks between `near_m` and `far_m`.
    pub fn of(line: [f64; 3], marks: &[Mark], near_m: f64, far_m: f64) -> Support {
        let steps = (((far_m - near_m) / STEP_M) as usize).min(MAX_STEPS);
        let mut hit = 0u128;
        let mut chance = [0u128; 2 * CHANCE_LINES];
        let (mut squares, mut weights) = (0.0, 0.0);
        for mark in marks {
            let x = f64::from(mark.x_m);
            let step = ((x - near_m) / STEP_M) as usize;
            let residual = f64::from(mark.y_m) - (line[0] + (line[1] + line[2] * x) * x);
            if x < near_m || step >= steps {
                continue;
            }
            let tolerance = TOLERANCE_SIGMAS * mark_sigma_m(x);
            if residual.abs() < tolerance {
                hit |= 1 << step;
                let w = f64::from(mark.weight);
                squares += w * (residual / mark_sigma_m(x)).powi(2);
                weights += w;
            }
            // The control lines of this mark, computed without testing all of them.
            let (half, beside) = if residual < 0.0 { (0, -residual) } else { (CHANCE_LINES, residual) };
            let first = ((beside - tolerance - CHANCE_FIRST_M) / CHANCE_STEP_M).ceil().max(0.0) as usize;
            let end = ((beside + tolerance - CHANCE_FIRST_M) / CHANCE_STEP_M).floor() + 1.0;
            for mask in chance[half..half + CHANCE_LINES].iter_mut().take(end.max(0.0) as usize).skip(first) {
                *mask |= 1 << step;
            }
        }
        if hit == 0 {
            return Support::default();
        }
        let clear = (((CLEAR_M - near_m) / STEP_M) as usize).clamp(1, steps.max(1)).min(127);
        let first = hit.trailing_zeros();
        let last = 127 - hit.leading_zeros();
        let (chance_m, chance_deviation_m) = chance_lengths(chance.map(|m| f64::from(m.count_ones()) * STEP_M));
        Support {
            length_m: f64::from(hit.count_ones()) * STEP_M,
            chance_m,
            chance_deviation_m,
            coverage: f64::from((hit & ((1 << clear) - 1)).count_ones()) / clear as f64,
            longest_m: f64::from(longest_run(hit & ((1 << clear) - 1))) * STEP_M,
            x_min_m: near_m + f64::from(first) * STEP_M,
            x_max_m: near_m + f64::from(last + 1) * STEP_M,
            rms: (squares / f64::max(weights, 1e-9)).sqrt(),
        }
    }

    /// Length with marks in excess of the control lines, in metres.
    pub fn excess_m(&self) -> f64 {
        self.length_m - self.chance_m
    }

    /// Whether this is a line and not texture: longer than the control lines by a factor and by several standard
    /// deviations (it is the longest of hundreds of candidates), along the middle of its band (random marks have an rms of
    /// 2 / sqrt 3 sigmas, paint on real roads 0.05 to 0.4), and with a stretch as long as the shortest dash.
    pub fn is_line(&self) -> bool {
        const MIN_EXCESS_M: f64 = 2.0;
        const DEVIATIONS: f64 = 5.0;
        const TIMES: f64 = 3.5;
        const MAX_RMS: f64 = 0.65;
        const MIN_STRETCH_M: f64 = 2.5;
        self.excess_m() >= MIN_EXCESS_M.max(DEVIATIONS * self.chance_deviation_m)
            && self.length_m >= TIMES * self.chance_m
            && self.rms <= MAX_RMS
            && self.longest_m >= MIN_STRETCH_M
    }

    /// The confidence of the line, 0 to 1.
    pub fn confidence(&self) -> f64 {
        const LENGTH_M: f64 = 8.0;
        if self.is_line() { 1.0 - (-self.excess_m() / LENGTH_M).exp() } else { 0.0 }
    }
}

/// Mean and standard deviation of the control lines' lengths, without the longest.
fn chance_lengths(mut lengths: [f64; 2 * CHANCE_LINES]) -> (f64, f64) {
    lengths.sort_by(f64::total_cmp);
    let kept = &lengths[..lengths.len() - CHANCE_LEFT_OUT];
    let mean = kept.iter().sum::<f64>() / kept.len() as f64;
    let variance = kept.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / (kept.len() - 1) as f64;
    (mean, variance.sqrt())
}

fn longest_run(mut mask: u128) -> u32 {
    let mut run = 0;
    while mask != 0 {
        mask &= mask << 1;
        run += 1;
    }
    run
}
