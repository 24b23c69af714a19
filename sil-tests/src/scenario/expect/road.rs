//! What is expected of the road: hazards, scenes, the lane.

use super::check::{Check, Seen, Window, check, join, window};
use crate::{
    analysis::{HazardSpan, kind_name},
    drive::EventKind,
    scenario::enums::{HazardKind, Severity},
};
use serde::{Deserialize, Serialize};

/// A hazard that must be raised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HazardExpected {
    pub kind: HazardKind,
    /// At least.
    #[serde(default)]
    pub severity: Option<Severity>,
    #[serde(default)]
    pub from_s: Option<f64>,
    #[serde(default)]
    pub to_s: Option<f64>,
    /// The event of the truth that it warns of, and how far from its start it may be raised.
    #[serde(default)]
    pub event: Option<EventKind>,
    #[serde(default)]
    pub within_ms: Option<f64>,
    #[serde(default)]
    pub ended_by_s: Option<f64>,
}

/// A hazard (any, unless told which) that must not be on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoHazard {
    #[serde(default)]
    pub kind: Option<HazardKind>,
    #[serde(default)]
    pub from_s: Option<f64>,
    #[serde(default)]
    pub to_s: Option<f64>,
}

/// Scenes must go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateExpected {
    pub at_least_hz: f64,
    pub from_s: f64,
    pub to_s: f64,
}

/// The lane's offset against the truth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OffsetExpected {
    pub at_most_m: f64,
    /// Of all frames, this share must have a lane with an offset this good.
    #[serde(default = "most")]
    pub share: f64,
    #[serde(default)]
    pub from_s: Option<f64>,
    #[serde(default)]
    pub to_s: Option<f64>,
}

fn most() -> f64 {
    0.95
}

impl HazardExpected {
    pub(super) fn evaluate(&self, seen: &Seen<'_>) -> Check {
        let mut window = window(self.from_s, self.to_s);
        let mut expected = format!("hazard {} raised {}", self.kind.name(), window.words());
        if let (Some(event), Some(ms)) = (self.event, self.within_ms) {
            expected = format!("hazard {} raised within {ms} ms of the event {}", self.kind.name(), event.name());
            let Some(event) = seen.events.iter().find(|e| e.kind == event) else {
                return check(expected, false, "the drive has no such event".into());
            };
            window = Window(window.0.max(event.start_s - ms * 1e-3), window.1.min(event.start_s + ms * 1e-3));
        }
        self.severity.into_iter().for_each(|s| expected += &format!(", {} or worse", s.name()));
        self.ended_by_s.into_iter().for_each(|s| expected += &format!(", over by {s} s"));
        let fits = |h: &&HazardSpan| {
            window.has(h.published_s)
                && self.severity.is_none_or(|s| h.severity >= s.of_message())
                && self.ended_by_s.is_none_or(|by| h.ended_s.is_some_and(|end| end <= by))
        };
        let of_kind: Vec<&HazardSpan> =
            seen.observed.hazards.iter().filter(|h| h.kind == self.kind.of_message()).collect();
        check(expected, of_kind.iter().any(fits), told(&of_kind))
    }
}

/// The hazards that were, in words.
fn told(hazards: &[&HazardSpan]) -> String {
    let words = hazards.iter().map(|h| {
        let end = h.ended_s.map_or("never over".into(), |s| format!("over at {s:.3} s"));
        let severity = h.severity.as_str_name().trim_start_matches("SEVERITY_").to_lowercase();
        format!("{} at {:.3} s ({severity}), {end}", kind_name(h.kind), h.published_s)
    });
    join(words, "none was raised")
}

impl NoHazard {
    pub(super) fn evaluate(&self, seen: &Seen<'_>) -> Check {
        let window = window(self.from_s, self.to_s);
        let kind = self.kind.map_or("", HazardKind::name);
        let wrong: Vec<&HazardSpan> = seen
            .observed
            .hazards
            .iter()
            .filter(|h| self.kind.is_none_or(|k| h.kind == k.of_message()) && h.overlaps(window.0, window.1))
            // What begins after the drive is the sensors' silence.
            .filter(|h| h.published_s <= seen.to_s)
            .collect();
        check(format!("no hazard {kind} {}", window.words()), wrong.is_empty(), told(&wrong))
    }
}

impl RateExpected {
    pub(super) fn evaluate(&self, seen: &Seen<'_>) -> Check {
        let (from, to) = (self.from_s, self.to_s);
        let count = seen.observed.scenes.iter().filter(|t| (from..to).contains(*t)).count();
        let rate = count as f64 / (to - from);
        let expected = format!("at least {} scenes a second between {from} s and {to} s", self.at_least_hz);
        check(expected, rate >= self.at_least_hz, format!("{rate:.1} a second"))
    }
}

impl OffsetExpected {
    pub(super) fn evaluate(&self, seen: &Seen<'_>) -> Check {
        let window = window(self.from_s, self.to_s);
        let errors: Vec<Option<f64>> =
            offset_errors(seen).into_iter().filter(|(t, _)| window.has(*t)).map(|(_, e)| e).collect();
        let good = errors.iter().filter(|e| e.is_some_and(|e| e <= self.at_most_m)).count();
        let share = good as f64 / errors.len().max(1) as f64;
        let expected = format!(
            "lane offset within {} m of the truth in {} % of the frames {}",
            self.at_most_m,
            self.share * 100.0,
            window.words()
        );
        let seen_in = errors.iter().flatten().count();
        let worst = errors.iter().flatten().fold(0.0f64, |a, b| a.max(*b));
        let found =
            format!("{:.1} % of {} frames (seen in {seen_in}, worst {worst:.2} m)", share * 100.0, errors.len());
        check(expected, share >= self.share && !errors.is_empty(), found)
    }
}

/// For each frame of the truth that was played: the detected offset's error, where there was a lane. Which of two
/// lanes a car between them is in is a matter of taste, so a difference of a whole lane counts as none.
pub fn offset_errors(seen: &Seen<'_>) -> Vec<(f64, Option<f64>)> {
    let mut lanes = seen.observed.lanes.iter().peekable();
    let played = seen.truth.iter().filter(|t| t.t_s >= seen.from_s && t.t_s < seen.to_s);
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
