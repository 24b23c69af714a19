//! Tracking of the lane over frames.

use crate::{
    ground::BirdsEye,
    marking::{Mark, MarkFinder},
    model::{self, Lane, Prior, Support},
    vote::{self, WIDTHS_M},
};
use auriga_msgs::v1::{self, Side};
use auriga_runtime::Nanos;

/// Half-life of the confidence of a line that is not seen.
const HALF_LIFE_S: f64 = 0.15;
/// A line with less confidence is dropped.
const MIN_CONFIDENCE: f64 = 0.25;
/// After this time without a frame the track is dropped.
const MAX_TRACK_AGE_S: f64 = 1.0;
/// Time constant of the coverage average that separates solid from dashed: longer than a dash's period at town speed.
const COVERAGE_TIME_S: f64 = 0.6;
/// Hysteresis of solid and dashed: a solid line becomes dashed below the first, a dashed one solid above the second. Of
/// 28 m, a solid line partly hidden by a car has more coverage, dashes of 3 m every 9 or 12 m less.
const COVERAGE_DASHED: f64 = 0.62;
const COVERAGE_SOLID: f64 = 0.75;
/// A new candidate replaces the tracked one when its excess length is greater by this factor.
const SWITCH_GAIN: f64 = 1.25;
/// Greatest spread of a lane: its lines are parallel except for the effect of the body's pitch.
const MAX_SPREAD: f64 = 0.03;

/// The tracked state of one line.
#[derive(Debug, Clone, Copy, Default)]
struct LineTrack {
    confidence: f64,
    coverage: Option<f64>,
    dashed: bool,
    x_min_m: f64,
    x_max_m: f64,
}

#[derive(Debug, Clone, Copy)]
struct Track {
    lane: Lane,
    at: Nanos,
    /// Left, right.
    lines: [LineTrack; 2],
}

/// Finds the lane in frames of one camera, tracking it from frame to frame.
pub struct LaneDetector {
    view: BirdsEye,
    finder: MarkFinder,
    above: Vec<u8>,
    marks: Vec<Mark>,
    track: Option<Track>,
}

/// A fitted lane with the support of the left and the right line; `None`: no support.
struct Candidate {
    lane: Lane,
    support: [Option<Support>; 2],
}

const SIDES: [Side; 2] = [Side::Left, Side::Right];

impl Candidate {
    fn excess_m(&self) -> f64 {
        self.support.iter().flatten().map(Support::excess_m).sum()
    }
}

impl LaneDetector {
    /// A detector without a track.
    pub fn new(view: BirdsEye) -> Self {
        Self { view, finder: MarkFinder::default(), above: Vec::new(), marks: Vec::new(), track: None }
    }

    /// Its bird's-eye view.
    pub fn view(&self) -> &BirdsEye {
        &self.view
    }

    /// The last bird's-eye view (bgr8) and the marks found in it: for a debug drawing.
    pub fn last(&self) -> (&[u8], &[Mark]) {
        (&self.above, &self.marks)
    }

    /// Drops the track.
    pub fn reset(&mut self) {
        self.track = None;
    }

    /// The lane in a packed bgr8 frame exposed at `at`. The header of the result is not set.
    ///
    /// # Errors
    /// When the frame does not have the camera's size.
    pub fn detect(&mut self, pixels: &[u8], at: Nanos) -> opencv::Result<v1::Lanes> {
        self.view.warp(pixels, &mut self.above)?;
        self.marks.clear();
        self.finder.find(&self.view, &self.above, &mut self.marks)?;
        let age_s = self.track.map_or(f64::INFINITY, |t| at.since(t.at).as_secs_f64());
        if age_s > MAX_TRACK_AGE_S {
            self.track = None;
        }
        let candidate = self.best_candidate(age_s);
        self.track = self.updated(candidate, at, age_s);
        Ok(self.track.as_ref().map_or_else(v1::Lanes::default, message))
    }

    /// The better of the tracked candidate and the one from the votes.
    fn best_candidate(&self, age_s: f64) -> Option<Candidate> {
        // A lane that the car has left is not a candidate, however well its lines are seen.
        let tracked = self.track.and_then(|t| self.fitted(t.lane, &Prior::from_track(t.lane, age_s), &SIDES));
        let tracked = tracked.filter(|t| vote::around_camera(&t.lane));
        let seed = vote::seed(&self.marks, self.track.as_ref().map(|t| &t.lane));
        let seeded = seed.and_then(|s| self.fitted(s.lane, &Prior::from_seed(s.lane), &s.sides));
        match (tracked, seeded) {
            (Some(t), Some(s)) if s.excess_m() > SWITCH_GAIN * t.excess_m() => Some(s),
            (Some(t), _) => Some(t),
            (None, s) => s,
        }
    }

    /// Fits from a start, drops lines without support or a pair that is not a lane, and fits again to the lines kept.
    fn fitted(&self, start: Lane, prior: &Prior, sides: &[Side]) -> Option<Candidate> {
        let region = self.view.region();
        let support = |lane: &Lane, side| Support::of(lane.line(side), &self.marks, region.near_m, region.far_m);
        let first = model::fit(&self.marks, start, prior, sides)?;
        let mut kept: Vec<Side> = sides.iter().copied().filter(|&s| support(&first, s).is_line()).collect();
        let lane = if kept.len() == sides.len() { first } else { model::fit(&self.marks, start, prior, &kept)? };
        if kept.len() == 2 && !(WIDTHS_M.contains(&lane.width_m) && lane.spread.abs() <= MAX_SPREAD) {
            let weaker =
                if support(&lane, Side::Left).excess_m() < support(&lane, Side::Right).excess_m() { 0 } else { 1 };
            kept.remove(weaker);
        }
        let lane = if kept.len() == 1 { model::fit(&self.marks, start, prior, &kept)? } else { lane };
        let found = SIDES.map(|s| kept.contains(&s).then(|| support(&lane, s)).filter(Support::is_line));
        found.iter().any(Option::is_some).then_some(Candidate { lane, support: found })
    }

    fn updated(&self, candidate: Option<Candidate>, at: Nanos, age_s: f64) -> Option<Track> {
        let old = self.track;
        let (lane, support) = match candidate {
            Some(c) => (c.lane, c.support),
            None => (old?.lane, [None, None]),
        };
        let mut lines = old.map_or_else(Default::default, |t| t.lines);
        // After a jump to another lane the lines start anew.
        let jumped = old.is_some_and(|t| (t.lane.centre_m - lane.centre_m).abs() > 1.0);
        for (line, support) in lines.iter_mut().zip(support) {
            let old = if jumped { LineTrack::default() } else { *line };
            *line = match support {
                Some(support) => old.seen(&support, age_s),
                None => old.unseen(age_s),
            };
        }
        lines.iter().any(|l| l.confidence > 0.0).then_some(Track { lane, at, lines })
    }
}

impl LineTrack {
    fn seen(self, support: &Support, age_s: f64) -> Self {
        let blend = (age_s / COVERAGE_TIME_S).clamp(0.0, 1.0);
        let coverage = self.coverage.map_or(support.coverage, |c| c + blend * (support.coverage - c));
        let dashed = match self.coverage {
            None => coverage < 0.5 * (COVERAGE_DASHED + COVERAGE_SOLID),
            Some(_) if self.dashed => coverage < COVERAGE_SOLID,
            Some(_) => coverage < COVERAGE_DASHED,
        };
        Self {
            confidence: support.confidence(),
            coverage: Some(coverage),
            dashed,
            x_min_m: support.x_min_m,
            x_max_m: support.x_max_m,
        }
    }

    fn unseen(self, age_s: f64) -> Self {
        let confidence = self.confidence * 0.5f64.powf(age_s / HALF_LIFE_S);
        if confidence < MIN_CONFIDENCE { Self::default() } else { Self { confidence, ..self } }
    }
}

fn message(track: &Track) -> v1::Lanes {
    let lane = &track.lane;
    let line = |side: Side, t: &LineTrack| {
        let [c0, c1, c2] = lane.line(side);
        (t.confidence > 0.0).then_some(v1::LaneLine {
            c0_m: c0,
            c1,
            c2_per_m: c2,
            confidence: t.confidence as f32,
            x_min_m: t.x_min_m,
            x_max_m: t.x_max_m,
            dashed: t.dashed,
        })
    };
    let left = line(Side::Left, &track.lines[0]);
    let right = line(Side::Right, &track.lines[1]);
    let both = left.is_some() && right.is_some();
    let either = left.is_some() || right.is_some();
    v1::Lanes {
        header: None,
        left,
        right,
        // Measured at right angles to the lines, not to the car.
        offset_m: both.then(|| -lane.centre_m * lane.slope.atan().cos()),
        width_m: both.then(|| lane.width_m * lane.slope.atan().cos()),
        // Of y(x) at x = 0: y'' / (1 + y'^2)^(3/2).
        curvature_per_m: either.then(|| 2.0 * lane.bend_per_m / (1.0 + lane.slope * lane.slope).powf(1.5)),
        heading_rad: either.then(|| -lane.slope.atan()),
        picture: v1::PictureCondition::Unspecified.into(),
    }
}
