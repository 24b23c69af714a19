//! What is expected of the machine: modes, grants, faults, deadlines, losses.

use super::check::{Check, Seen, check, join, window};
use crate::{
    analysis::{Verdict, is_safety_chain, mode_name},
    scenario::enums::{HazardKind, PlanMode, Severity},
};
use serde::{Deserialize, Serialize};

/// A mode that must be in force at some time of the interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModeExpected {
    pub mode: PlanMode,
    #[serde(default)]
    pub from_s: Option<f64>,
    #[serde(default)]
    pub to_s: Option<f64>,
}

/// A grant that must be in force soon after a hazard was published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantExpected {
    pub workload: String,
    #[serde(default)]
    pub level: Option<u32>,
    #[serde(default)]
    pub run: Option<bool>,
    pub after: HazardKind,
    pub within_ms: f64,
}

/// A fault that must be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultExpected {
    pub code: String,
    #[serde(default)]
    pub node: Option<String>,
    #[serde(default)]
    pub subject: Option<String>,
    #[serde(default)]
    pub from_s: Option<f64>,
    #[serde(default)]
    pub to_s: Option<f64>,
}

/// Faults of this severity or worse must not be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoFault {
    pub severity: Severity,
    #[serde(default)]
    pub from_s: Option<f64>,
    #[serde(default)]
    pub to_s: Option<f64>,
}

/// A node that must come back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestartExpected {
    pub node: String,
    pub by_s: f64,
}

impl ModeExpected {
    pub(super) fn evaluate(&self, seen: &Seen<'_>) -> Check {
        let window = window(self.from_s, self.to_s);
        let spans = seen.observed.modes(seen.to_s);
        let passed = spans
            .iter()
            .any(|(from, to, mode)| *mode == self.mode.of_message() && *from <= window.1 && *to >= window.0);
        let found = spans.iter().map(|s| format!("{} from {:.3} s", mode_name(s.2), s.0));
        check(format!("mode {} {}", self.mode.name(), window.words()), passed, join(found, "no mode was told"))
    }
}

impl GrantExpected {
    pub(super) fn evaluate(&self, seen: &Seen<'_>) -> Check {
        let level = self.level.map_or(String::new(), |l| format!(" level {l}"));
        let run = self.run.map_or("", |r| if r { " may run" } else { " leaves the processor" });
        let (kind, ms) = (self.after.name(), self.within_ms);
        let expected = format!("{}{level}{run} within {ms} ms of hazard {kind}", self.workload);
        let Some(hazard) = seen.observed.hazards.iter().find(|h| h.kind == self.after.of_message()) else {
            return check(expected, false, "no such hazard".into());
        };
        let spans = seen.observed.grants(&self.workload, seen.to_s);
        let fits =
            |s: &&(f64, f64, u32, bool)| self.level.is_none_or(|l| s.2 == l) && self.run.is_none_or(|r| s.3 == r);
        // In force already, or from some time after the hazard on.
        let at = spans.iter().filter(fits).find(|s| s.1 > hazard.published_s).map(|s| s.0.max(hazard.published_s));
        match at.map(|at| (at - hazard.published_s) * 1e3) {
            None => check(expected, false, "never granted so".into()),
            Some(after) => check(expected, after <= ms, format!("after {after:.2} ms")),
        }
    }
}

impl FaultExpected {
    pub(super) fn evaluate(&self, seen: &Seen<'_>) -> Check {
        let window = window(self.from_s, self.to_s);
        let node = self.node.as_ref().map_or(String::new(), |n| format!(" of {n}"));
        let found: Vec<_> = seen
            .observed
            .faults
            .iter()
            .filter(|f| f.code == self.code && self.node.as_ref().is_none_or(|n| *n == f.node))
            .filter(|f| self.subject.as_ref().is_none_or(|s| *s == f.subject))
            .collect();
        let words = found.iter().map(|f| format!("at {:.3} s: {}", f.t_s, f.text)).take(3);
        let passed = found.iter().any(|f| window.has(f.t_s));
        check(format!("fault {}{node} {}", self.code, window.words()), passed, join(words, "not told"))
    }
}

impl NoFault {
    pub(super) fn evaluate(&self, seen: &Seen<'_>) -> Check {
        let window = window(self.from_s, self.to_s);
        let wrong = seen.observed.faults.iter().filter(|f| f.severity >= self.severity.of_message());
        let wrong: Vec<String> = wrong
            .filter(|f| window.has(f.t_s) && f.t_s <= seen.to_s)
            .map(|f| format!("{} of {} at {:.3} s: {}", f.code, f.node, f.t_s, f.text))
            .collect();
        let expected = format!("no fault of severity {} or worse {}", self.severity.name(), window.words());
        check(expected, wrong.is_empty(), join(wrong.into_iter().take(5), "none"))
    }
}

impl RestartExpected {
    pub(super) fn evaluate(&self, seen: &Seen<'_>) -> Check {
        let back = seen.observed.restarts.iter().filter(|r| r.node == self.node);
        let times: Vec<f64> = back.map(|r| r.t_s).collect();
        let found = join(times.iter().map(|t| format!("at {t:.3} s")), "it never came back");
        let passed = times.iter().any(|t| *t <= self.by_s);
        check(format!("node {} back by {} s", self.node, self.by_s), passed, found)
    }
}

pub(super) fn deadlines(seen: &Seen<'_>) -> Check {
    let stats: Vec<_> = seen.observed.chains().into_iter().filter(|s| is_safety_chain(&s.chain)).collect();
    let missed = stats.iter().filter(|s| Verdict::of(s) == Verdict::NotHeld);
    let missed: Vec<String> =
        missed.map(|s| format!("{}: p99.9 {:.2} ms of {} ms", s.chain, s.p999_ms, s.budget_ms)).collect();
    let exercised = stats.iter().filter(|s| s.count > 0).count();
    let found = join(missed.iter().cloned(), &format!("{exercised} chains exercised, all held"));
    check("every safety chain within its budget".into(), missed.is_empty() && exercised > 0, found)
}

pub(super) fn losses(seen: &Seen<'_>) -> Check {
    let lost = seen.observed.lost_reliable();
    check("no message lost on a reliable topic".into(), lost == 0, format!("{lost} of {}", seen.observed.messages))
}
