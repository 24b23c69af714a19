//! The road in the plane. Its reference line is the centre of the right lane; a point is given in Frenet coordinates: s,
//! the length along the line, and d, the distance to its left.

use crate::generator::script::{RoadScript, Surroundings};

/// Spacing of the table. At the smallest radius (50 m) a chord deviates by 0.6 mm.
const STEP_M: f64 = 0.5;
/// Length before the start and after the end that is in view.
const BEFORE_M: f64 = 100.0;
const AFTER_M: f64 = 600.0;
/// Between the centres of the two solid lines in the middle of the road. Below 0.5 m the lane detector rejects them.
pub const MEDIAN_M: f64 = 0.6;

/// A point of the reference line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RoadPoint {
    /// In the plane.
    pub x_m: f64,
    /// In the plane.
    pub y_m: f64,
    /// Of the line, positive to the left.
    pub heading_rad: f64,
    /// Positive curves left.
    pub curvature_per_m: f64,
}

/// The reference line as a table over s.
#[derive(Debug, Clone)]
pub struct Road {
    points: Vec<RoadPoint>,
    /// Sine and cosine of each point's heading.
    tangents: Vec<(f64, f64)>,
    lane_width_m: f64,
    borders: Vec<(f64, Surroundings)>,
}

impl Road {
    /// Integrates the curvature of `script`; straight before its start, and on at the last curvature after its end.
    pub fn new(script: &RoadScript) -> Road {
        let mut ends = Vec::new();
        let mut s = 0.0;
        for segment in &script.segments {
            s += segment.length_m;
            ends.push(s);
        }
        let steps = ((BEFORE_M + s + AFTER_M) / STEP_M).ceil() as usize;
        let mut points = Vec::with_capacity(steps + 1);
        let mut at = RoadPoint { x_m: -BEFORE_M, y_m: 0.0, heading_rad: 0.0, curvature_per_m: 0.0 };
        for i in 0..=steps {
            let s0 = i as f64 * STEP_M - BEFORE_M;
            at.curvature_per_m = curvature(script, &ends, s0);
            points.push(at);
            let turn = curvature(script, &ends, s0 + STEP_M / 2.0) * STEP_M;
            let middle = at.heading_rad + turn / 2.0;
            at.x_m += STEP_M * middle.cos();
            at.y_m += STEP_M * middle.sin();
            at.heading_rad += turn;
        }
        let borders = ends.iter().zip(&script.segments).map(|(end, segment)| (*end, segment.side)).collect();
        let tangents = points.iter().map(|p| p.heading_rad.sin_cos()).collect();
        Road { points, tangents, lane_width_m: script.lane_width_m, borders }
    }

    /// Width of each lane.
    pub fn lane_width_m(&self) -> f64 {
        self.lane_width_m
    }

    /// d of the centre of a lane, counted from the right.
    pub fn lane_centre_m(&self, lane: u8) -> f64 {
        f64::from(lane) * self.lane_width_m + if lane >= 2 { MEDIAN_M } else { 0.0 }
    }

    /// d of the right and the left edge line.
    pub fn edges_m(&self) -> (f64, f64) {
        (-0.5 * self.lane_width_m, 3.5 * self.lane_width_m + MEDIAN_M)
    }

    /// What stands beside the road at s.
    pub fn surroundings(&self, s_m: f64) -> Surroundings {
        let here = self.borders.iter().find(|(end, _)| s_m < *end).or(self.borders.last());
        here.map_or(Surroundings::Rural, |(_, side)| *side)
    }

    /// The reference line at s; straight beyond the ends of the table.
    pub fn at(&self, s_m: f64) -> RoadPoint {
        let position = (s_m + BEFORE_M) / STEP_M;
        let last = self.points.len() - 1;
        let clamped = position.clamp(0.0, last as f64);
        let i = (clamped as usize).min(last.saturating_sub(1));
        let (a, b) = (&self.points[i], &self.points[(i + 1).min(last)]);
        let f = clamped - i as f64;
        let mix = |p: f64, q: f64| p + (q - p) * f;
        let heading_rad = mix(a.heading_rad, b.heading_rad);
        let beyond = (position - clamped) * STEP_M;
        RoadPoint {
            x_m: mix(a.x_m, b.x_m) + beyond * heading_rad.cos(),
            y_m: mix(a.y_m, b.y_m) + beyond * heading_rad.sin(),
            heading_rad,
            curvature_per_m: mix(a.curvature_per_m, b.curvature_per_m),
        }
    }

    /// The point at (s, d) in the plane.
    pub fn place(&self, s_m: f64, d_m: f64) -> (f64, f64) {
        let p = self.at(s_m);
        (p.x_m - d_m * p.heading_rad.sin(), p.y_m + d_m * p.heading_rad.cos())
    }

    /// One step of [`Road::frenet`] from a guess that is within a metre: (s, d) and the road's direction there (sine and
    /// cosine). d is then off by less than a centimetre at the tightest curve.
    #[inline]
    pub fn frenet_step(&self, x_m: f64, y_m: f64, guess_s_m: f64) -> (f64, f64, (f64, f64)) {
        let position = ((guess_s_m + BEFORE_M) / STEP_M).clamp(0.0, (self.points.len() - 2) as f64);
        let i = position as usize;
        let f = position - i as f64;
        let (a, b, t0, t1) = (&self.points[i], &self.points[i + 1], self.tangents[i], self.tangents[i + 1]);
        let mix = |p: f64, q: f64| p + (q - p) * f;
        let (sin, cos) = (mix(t0.0, t1.0), mix(t0.1, t1.1));
        let (dx, dy) = (x_m - mix(a.x_m, b.x_m), y_m - mix(a.y_m, b.y_m));
        let left = dy * cos - dx * sin;
        let along = (dx * cos + dy * sin) / (1.0 - a.curvature_per_m * left).max(0.2);
        (position * STEP_M - BEFORE_M + along, left, (sin, cos))
    }

    /// (s, d) of a point near `guess_s_m`, by Newton's method on the tangential distance.
    pub fn frenet(&self, x_m: f64, y_m: f64, guess_s_m: f64, rounds: u32) -> (f64, f64) {
        let mut s = guess_s_m;
        for _ in 0..rounds {
            let p = self.at(s);
            let (sin, cos) = p.heading_rad.sin_cos();
            let (dx, dy) = (x_m - p.x_m, y_m - p.y_m);
            let left = dy * cos - dx * sin;
            // Beyond the curve's centre there is no nearest point; the bound keeps the step finite there.
            s += (dx * cos + dy * sin) / (1.0 - p.curvature_per_m * left).max(0.2);
        }
        let p = self.at(s);
        let (sin, cos) = p.heading_rad.sin_cos();
        (s, (y_m - p.y_m) * cos - (x_m - p.x_m) * sin)
    }
}

/// The segments' curvature with linear ramps across their borders.
fn curvature(script: &RoadScript, ends: &[f64], s: f64) -> f64 {
    let segments = &script.segments;
    if s <= 0.0 {
        return segments[0].curvature_per_m * (1.0 + s / script.transition_m).clamp(0.0, 1.0);
    }
    let i = ends.iter().position(|end| s < *end).unwrap_or(segments.len() - 1);
    let here = segments[i];
    let half = |other: usize| script.transition_m.min(here.length_m).min(segments[other].length_m) / 2.0;
    if i + 1 < segments.len() && ends[i] - s < half(i + 1) {
        let f = 0.5 - (ends[i] - s) / (2.0 * half(i + 1));
        return here.curvature_per_m + (segments[i + 1].curvature_per_m - here.curvature_per_m) * f;
    }
    if i > 0 && s - ends[i - 1] < half(i - 1) {
        let f = 0.5 - (s - ends[i - 1]) / (2.0 * half(i - 1));
        return here.curvature_per_m + (segments[i - 1].curvature_per_m - here.curvature_per_m) * f;
    }
    here.curvature_per_m
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::script::Segment;
    use proptest::prelude::*;

    fn road(curvature_per_m: f64) -> Road {
        let side = Surroundings::Rural;
        Road::new(&RoadScript {
            lane_width_m: 3.5,
            transition_m: 20.0,
            segments: vec![
                Segment { length_m: 50.0, curvature_per_m: 0.0, side },
                Segment { length_m: 300.0, curvature_per_m, side },
            ],
            bridges_m: vec![],
        })
    }

    #[test]
    fn heading_changes_by_length_over_radius() {
        let road = road(0.01);
        let turned = road.at(200.0).heading_rad - road.at(100.0).heading_rad;
        assert!((turned - 1.0).abs() < 1e-9, "{turned}");
    }

    proptest! {
        #[test]
        fn frenet_inverts_place(s in 0.0f64..340.0, d in -10.0f64..15.0, k in -0.01f64..0.01) {
            let road = road(k);
            let (x, y) = road.place(s, d);
            let (s2, d2) = road.frenet(x, y, s + 5.0, 6);
            prop_assert!((s - s2).abs() < 0.01 && (d - d2).abs() < 0.01, "{s} {d} became {s2} {d2}");
        }
    }
}
