//! Expectations of hazards, scenes and lanes.

use super::check::{Check, Interval, check, join};
use crate::{
    analysis::{DriveRun, HazardSpan},
    drive::EventKind,
    scenario::enums::{HazardKind, Severity},
};
use serde::{Deserialize, Serialize};

/// A hazard that must be raised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HazardExpected {
    /// Its kind.
    pub kind: HazardKind,
    /// At least this severity.
    pub severity: Option<Severity>,
    /// Start of the interval; of the drive by default.
    pub from_s: Option<f64>,
    /// End of the interval; of the drive by default.
    pub to_s: Option<f64>,
    /// The event of the ground truth that it warns of.
    pub event: Option<EventKind>,
    /// How far from the start of the event it may be raised.
    pub within_ms: Option<f64>,
    /// When it must have ended.
    pub ended_by_s: Option<f64>,
}

/// A hazard that must not be active.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoHazard {
    /// Its kind; any by default.
    pub kind: Option<HazardKind>,
    /// Start of the interval; of the drive by default.
    pub from_s: Option<f64>,
    /// End of the interval; of the drive by default.
    pub to_s: Option<f64>,
}

/// The rate at which scenes must be published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateExpected {
    /// The rate.
    pub at_least_hz: f64,
    /// Start of the interval.
    pub from_s: f64,
    /// End of the interval.
    pub to_s: f64,
}

/// The lane offset compared with the ground truth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OffsetExpected {
    /// The largest error.
    pub at_most_m: f64,
    /// Share of all frames that must have a lane with at most this error.
    #[serde(default = "default_share")]
    pub share: f64,
    /// Start of the interval; of the drive by default.
    pub from_s: Option<f64>,
    /// End of the interval; of the drive by default.
    pub to_s: Option<f64>,
}

fn default_share() -> f64 {
    0.95
}

impl HazardExpected {
    pub(super) fn evaluate(&self, run: &DriveRun) -> Check {
        let mut interval = Interval::new(self.from_s, self.to_s);
        let mut expected = format!("hazard {} raised {}", self.kind.name(), interval.describe());
        if let (Some(event), Some(ms)) = (self.event, self.within_ms) {
            expected = format!("hazard {} raised within {ms} ms of the event {}", self.kind.name(), event.name());
            let Some(event) = run.events.iter().find(|e| e.kind == event) else {
                return check(expected, false, "the drive has no such event".into());
            };
            interval = Interval(interval.0.max(event.start_s - ms * 1e-3), interval.1.min(event.start_s + ms * 1e-3));
        }
        self.severity.into_iter().for_each(|s| expected += &format!(", {} or above", s.name()));
        self.ended_by_s.into_iter().for_each(|s| expected += &format!(", ended by {s} s"));
        let fits = |h: &&HazardSpan| {
            interval.contains(h.published_s)
                && self.severity.is_none_or(|s| h.severity >= s.to_message())
                && self.ended_by_s.is_none_or(|by| h.ended_s.is_some_and(|end| end <= by))
        };
        let of_kind: Vec<&HazardSpan> =
            run.observed.hazards.iter().filter(|h| h.kind == self.kind.to_message()).collect();
        check(expected, of_kind.iter().any(fits), describe(&of_kind))
    }
}

/// Hazards in words.
fn describe(hazards: &[&HazardSpan]) -> String {
    let words = hazards.iter().map(|h| {
        let end = h.ended_s.map_or("did not end".into(), |s| format!("ended at {s:.3} s"));
        let severity = h.severity.as_str_name().trim_start_matches("SEVERITY_").to_lowercase();
        format!("{} at {:.3} s ({severity}), {end}", h.kind.name(), h.published_s)
    });
    join(words, "none was raised")
}

impl NoHazard {
    pub(super) fn evaluate(&self, run: &DriveRun) -> Check {
        let interval = Interval::new(self.from_s, self.to_s);
        let kind = self.kind.map_or("", HazardKind::name);
        let wrong: Vec<&HazardSpan> = run
            .observed
            .hazards
            .iter()
            .filter(|h| self.kind.is_none_or(|k| h.kind == k.to_message()) && h.overlaps(interval.0, interval.1))
            // After the drive, silent sensors raise hazards.
            .filter(|h| h.published_s <= run.to_s)
            .collect();
        check(format!("no hazard {kind} {}", interval.describe()), wrong.is_empty(), describe(&wrong))
    }
}

impl RateExpected {
    pub(super) fn evaluate(&self, run: &DriveRun) -> Check {
        let (from, to) = (self.from_s, self.to_s);
        let count = run.observed.scenes.iter().filter(|t| (from..to).contains(*t)).count();
        let rate = count as f64 / (to - from);
        let expected = format!("at least {} scenes a second between {from} s and {to} s", self.at_least_hz);
        check(expected, rate >= self.at_least_hz, format!("{rate:.1} a second"))
    }
}

impl OffsetExpected {
    pub(super) fn evaluate(&self, run: &DriveRun) -> Check {
        let interval = Interval::new(self.from_s, self.to_s);
        let errors: Vec<Option<f64>> =
            offset_errors(run).into_iter().filter(|(t, _)| interval.contains(*t)).map(|(_, e)| e).collect();
        let good = errors.iter().filter(|e| e.is_some_and(|e| e <= self.at_most_m)).count();
        let share = good as f64 / errors.len().max(1) as f64;
        let expected = format!(
            "lane offset within {} m of the truth in {} % of the frames {}",
            self.at_most_m,
            self.share * 100.0,
            interval.describe()
        );
        let detected = errors.iter().flatten().count();
        let worst = errors.iter().flatten().fold(0.0f64, |a, b| a.max(*b));
        let found = format!(
            "{:.1} % of {} frames (lane detected in {detected}, largest error {worst:.2} m)",
            share * 100.0,
            errors.len()
        );
        check(expected, share >= self.share && !errors.is_empty(), found)
    }
}

/// For each frame of the ground truth that was played: its time, and the error of the detected lane offset where a lane
/// was detected. Between two lanes either is right, so an error of one lane width counts as none.
pub fn offset_errors(run: &DriveRun) -> Vec<(f64, Option<f64>)> {
    let mut lanes = run.observed.lanes.iter().peekable();
    let played = run.truth.iter().filter(|t| t.t_s >= run.from_s && t.t_s < run.to_s);
    played
        .map(|truth| {
            while lanes.next_if(|l| l.t_s < truth.t_s - 1e-3).is_some() {}
            let lane = lanes.peek().filter(|l| l.t_s < truth.t_s + 1e-3);
            let error = lane.and_then(|l| l.offset_m).map(|offset| {
                let shift = |lanes: f64| (offset - truth.lane_offset_m + lanes * truth.lane_width_m).abs();
                shift(0.0).min(shift(1.0)).min(shift(-1.0))
            });
            (truth.t_s, error)
        })
        .collect()
}
