//! Expectations of modes, grants, faults, deadlines and losses.

use super::check::{Check, Interval, check, join};
use crate::{
    analysis::{DriveRun, Standing, mode_name},
    scenario::enums::{HazardKind, PlanMode, Severity},
};
use serde::{Deserialize, Serialize};

/// A mode that must be in force at some time of the interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModeExpected {
    /// The mode.
    pub mode: PlanMode,
    /// Start of the interval; of the drive by default.
    pub from_s: Option<f64>,
    /// End of the interval; of the drive by default.
    pub to_s: Option<f64>,
}

/// A grant that must be in force soon after a hazard was published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantExpected {
    /// The workload.
    pub workload: String,
    /// Its level.
    pub level: Option<u32>,
    /// Whether it may run.
    pub run: Option<bool>,
    /// Kind of the hazard.
    pub after: HazardKind,
    /// From the publishing of the hazard.
    pub within_ms: f64,
}

/// A fault that must be published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultExpected {
    /// Its code.
    pub code: String,
    /// The node that reports it.
    pub node: Option<String>,
    /// What it is about.
    pub subject: Option<String>,
    /// Start of the interval; of the drive by default.
    pub from_s: Option<f64>,
    /// End of the interval; of the drive by default.
    pub to_s: Option<f64>,
}

/// Faults of this severity or above must not be published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoFault {
    /// The severity.
    pub severity: Severity,
    /// Start of the interval; of the drive by default.
    pub from_s: Option<f64>,
    /// End of the interval; of the drive by default.
    pub to_s: Option<f64>,
}

/// A node that must restart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestartExpected {
    /// The node.
    pub node: String,
    /// When it must be back.
    pub by_s: f64,
}

impl ModeExpected {
    pub(super) fn evaluate(&self, run: &DriveRun) -> Check {
        let interval = Interval::new(self.from_s, self.to_s);
        let spans = run.observed.modes(run.to_s);
        let passed = spans
            .iter()
            .any(|(from, to, mode)| *mode == self.mode.to_message() && *from <= interval.1 && *to >= interval.0);
        let found = spans.iter().map(|s| format!("{} from {:.3} s", mode_name(s.2), s.0));
        check(
            format!("mode {} {}", self.mode.name(), interval.describe()),
            passed,
            join(found, "no mode was published"),
        )
    }
}

impl GrantExpected {
    pub(super) fn evaluate(&self, run: &DriveRun) -> Check {
        let level = self.level.map_or(String::new(), |l| format!(" level {l}"));
        let permission = self.run.map_or("", |r| if r { " may run" } else { " may not run" });
        let (kind, ms) = (self.after.name(), self.within_ms);
        let expected = format!("{}{level}{permission} within {ms} ms of hazard {kind}", self.workload);
        let Some(hazard) = run.observed.hazards.iter().find(|h| h.kind == self.after.to_message()) else {
            return check(expected, false, "no such hazard".into());
        };
        let spans = run.observed.grants(&self.workload, run.to_s);
        let fits =
            |s: &&(f64, f64, u32, bool)| self.level.is_none_or(|l| s.2 == l) && self.run.is_none_or(|r| s.3 == r);
        // In force at the hazard, or from some time after it.
        let at = spans.iter().filter(fits).find(|s| s.1 > hazard.published_s).map(|s| s.0.max(hazard.published_s));
        match at.map(|at| (at - hazard.published_s) * 1e3) {
            None => check(expected, false, "never granted".into()),
            Some(after) => check(expected, after <= ms, format!("after {after:.2} ms")),
        }
    }
}

impl FaultExpected {
    pub(super) fn evaluate(&self, run: &DriveRun) -> Check {
        let interval = Interval::new(self.from_s, self.to_s);
        let node = self.node.as_ref().map_or(String::new(), |n| format!(" of {n}"));
        let found: Vec<_> = run
            .observed
            .faults
            .iter()
            .filter(|f| f.code == self.code && self.node.as_ref().is_none_or(|n| *n == f.node))
            .filter(|f| self.subject.as_ref().is_none_or(|s| *s == f.subject))
            .collect();
        let words = found.iter().map(|f| format!("at {:.3} s: {}", f.t_s, f.text)).take(3);
        let passed = found.iter().any(|f| interval.contains(f.t_s));
        check(format!("fault {}{node} {}", self.code, interval.describe()), passed, join(words, "not published"))
    }
}

impl NoFault {
    pub(super) fn evaluate(&self, run: &DriveRun) -> Check {
        let interval = Interval::new(self.from_s, self.to_s);
        let wrong = run.observed.faults.iter().filter(|f| f.severity >= self.severity.to_message());
        let wrong: Vec<String> = wrong
            .filter(|f| interval.contains(f.t_s) && f.t_s <= run.to_s)
            .map(|f| format!("{} of {} at {:.3} s: {}", f.code, f.node, f.t_s, f.text))
            .collect();
        let expected = format!("no fault of severity {} or above {}", self.severity.name(), interval.describe());
        check(expected, wrong.is_empty(), join(wrong.into_iter().take(5), "none"))
    }
}

impl RestartExpected {
    pub(super) fn evaluate(&self, run: &DriveRun) -> Check {
        let back = run.observed.restarts.iter().filter(|r| r.node == self.node);
        let times: Vec<f64> = back.map(|r| r.t_s).collect();
        let found = join(times.iter().map(|t| format!("at {t:.3} s")), "it did not restart");
        let passed = times.iter().any(|t| *t <= self.by_s);
        check(format!("node {} back by {} s", self.node, self.by_s), passed, found)
    }
}

pub(super) fn deadlines(run: &DriveRun) -> Check {
    let verdict = run.verdict();
    let exercised = verdict.chains.iter().filter(|c| c.safety && c.standing != Standing::NotExercised).count();
    let found = format!("{} ({exercised} chains exercised)", verdict.summary());
    check("every safety chain within its budget".into(), !verdict.fails(false) && exercised > 0, found)
}

pub(super) fn losses(run: &DriveRun) -> Check {
    let lost = run.observed.lost_reliable();
    check("no message lost on a reliable topic".into(), lost == 0, format!("{lost} of {}", run.observed.messages))
}
