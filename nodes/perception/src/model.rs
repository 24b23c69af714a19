//! A lane as five numbers, found among the marks: first by voting for the shape that lines of one road share, then by
//! a robust least-squares fit of both lines at once.

use crate::marking::Mark;
use nalgebra::{SMatrix, SVector};

/// Left line y = centre + width/2 + (slope + spread) x + bend x^2, right line y = centre - width/2 + (slope - spread) x
/// + bend x^2; metres, vehicle frame. `spread` takes up what a pitch of the body does to parallel lines.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lane {
    pub centre_m: f64,
    pub width_m: f64,
    pub slope: f64,
    pub spread: f64,
    pub bend_per_m: f64,
}

/// Which line of the lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

impl Side {
    /// +1 left, -1 right.
    fn sign(self) -> f64 {
        if self == Side::Left { 1.0 } else { -1.0 }
    }
}

type Vec5 = SVector<f64, 5>;
type Mat5 = SMatrix<f64, 5, 5>;

impl Lane {
    /// y = c0 + c1 x + c2 x^2 of one line.
    pub fn line(&self, side: Side) -> [f64; 3] {
        let s = side.sign();
        [self.centre_m + 0.5 * s * self.width_m, self.slope + s * self.spread, self.bend_per_m]
    }

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

/// What is believed of the lane before looking: a mean and a standard deviation for each number.
#[derive(Debug, Clone, Copy)]
pub struct Prior {
    pub mean: Lane,
    pub sigma: Lane,
}

impl Prior {
    /// Without a previous frame: where the votes put it, and a shape that most roads have: nearly along the car,
    /// mostly with a radius above 300 m. Two lines of few dashes leave much of the shape open otherwise.
    pub fn from_seed(seed: Lane) -> Self {
        let sigma = Lane { centre_m: 0.5, width_m: 0.4, slope: 0.04, spread: 0.012, bend_per_m: 0.0015 };
        Self { mean: Lane { slope: 0.0, spread: 0.0, bend_per_m: 0.0, ..seed }, sigma }
    }

    /// From the last frame's lane `age_s` ago; the sigmas are what a car changes of each in a frame of 40 ms.
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

/// Marks of neighbouring rows come from the same image rows and the same paint: a mark counts as this part of an
/// independent measurement.
const INDEPENDENCE: f64 = 0.2;

/// Tukey's biweight gives no weight beyond this many sigmas (95 % efficiency for a normal distribution); the first
/// rounds look further so that a coarse start can be drawn in.
const TUKEY_SIGMAS: f64 = 4.685;
const WIDEN: [f64; 7] = [3.0, 2.5, 2.0, 1.5, 1.2, 1.0, 1.0];

/// Fits both lines to `marks`, beginning at `start`, with `prior` as further evidence, by iteratively reweighted least squares (Holland and Welsch 1977). `sides`
/// says which lines the marks may belong to.
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
            let s = side.sign();
            let row = Vec5::new(1.0, 0.5 * s, x, s * x, x * x);
            a += row * row.transpose() * weight;
            b += row * (weight * y);
        }
        lane = Lane::from_vector(&a.cholesky()?.solve(&b));
    }
    lane.vector().iter().all(|v| v.is_finite()).then_some(lane)
}

/// How well a line is backed by marks, in steps of [`STEP_M`] along the road.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Support {
    /// Length with marks on the line.
    pub length_m: f64,
    /// The same for lines of the same shape beside it, which chance and texture give: mean and standard deviation.
    pub chance_m: f64,
    pub chance_deviation_m: f64,
    /// Of the part seen well ([`CLEAR_M`]), how much has marks, 0..1.
    pub coverage: f64,
    /// Longest stretch without a gap in that part.
    pub longest_m: f64,
    pub x_min_m: f64,
    pub x_max_m: f64,
    /// Root mean square of the residuals, in sigmas.
    pub rms: f64,
}

/// Step of [`Support`].
pub const STEP_M: f64 = 0.5;
/// Beyond this a dash's gap blurs away.
pub const CLEAR_M: f64 = 28.0;
/// Steps up to [`CLEAR_M`] decide; at most this many fit a bit mask.
const MAX_STEPS: usize = 128;
/// A mark is on a line when within this many of [`mark_sigma_m`].
const TOLERANCE_SIGMAS: f64 = 2.0;
/// Lines of the same shape beside the line tell what chance gives: so many to either side, from the first distance
/// (nearer, the line's own paint would count) in such steps.
const CHANCE_LINES: usize = 8;
const CHANCE_FIRST_M: f64 = 0.5;
const CHANCE_STEP_M: f64 = 0.2;
/// The best of them are left out: a double line, a kerb or a barrier is not chance.
const CHANCE_LEFT_OUT: usize = 3;

impl Support {
    /// Of the line y = c0 + c1 x + c2 x^2 among marks between `near_m` and `far_m`.
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
            // The control lines this mark lies on, without trying all of them.
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

    /// Length beyond what chance explains.
    pub fn excess_m(&self) -> f64 {
        self.length_m - self.chance_m
    }

    /// Whether this is a line and not texture: several times as long as what lies beside it and by several standard
    /// deviations (of the hundreds of lines that were in the running the longest was taken), straight along the middle of its band
    /// (what is strewn over the band at random has an rms of 2 / sqrt 3 sigmas, paint on real roads 0.05 to 0.4), and
    /// with a stretch as long as the shortest dash.
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

    /// 0..1.
    pub fn confidence(&self) -> f64 {
        const LENGTH_M: f64 = 8.0;
        if self.is_line() { 1.0 - (-self.excess_m() / LENGTH_M).exp() } else { 0.0 }
    }
}

/// Mean and standard deviation of the control lines' lengths, without the longest few.
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
