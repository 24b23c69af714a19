//! The result of a scenario.

use super::{expect::Check, file::Scenario};
use crate::analysis::{DriveRun, Verdict};
use std::{path::PathBuf, time::Duration};

/// The result of a scenario.
pub struct Outcome {
    /// Its file.
    pub path: PathBuf,
    /// The scenario.
    pub scenario: Scenario,
    /// Its expectations.
    pub checks: Vec<Check>,
    /// Why it could not be run.
    pub error: Option<String>,
    /// Why it was skipped.
    pub skipped: Option<&'static str>,
    /// Wall time of the run, without generating its drive.
    pub wall: Duration,
    /// Seconds of the drive that were played.
    pub played_s: f64,
    /// The run; `None` when it could not be run.
    pub run: Option<DriveRun>,
    /// Whether it held the safety budgets. It decides only where no fault was injected.
    pub verdict: Option<Verdict>,
}

impl Outcome {
    /// Whether it was run, met all expectations, and held the safety budgets where it had to.
    pub fn passed(&self) -> bool {
        self.error.is_none()
            && self.skipped.is_none()
            && self.checks.iter().all(|c| c.passed)
            && self.unheld(false).is_none()
    }

    /// The verdict, if safety budgets were not held although no fault was injected. `strict`: as [`Verdict::fails`].
    pub fn unheld(&self, strict: bool) -> Option<&Verdict> {
        self.verdict.as_ref().filter(|verdict| self.scenario.faults.is_empty() && verdict.fails(strict))
    }

    /// Whether it was run and did not pass.
    pub fn failed(&self) -> bool {
        self.skipped.is_none() && !self.passed()
    }
}
