//! What became of a scenario.

use super::{expect::Check, file::Scenario};
use crate::analysis::View;
use std::{path::PathBuf, time::Duration};

/// What became of a scenario.
pub struct Outcome {
    pub path: PathBuf,
    pub scenario: Scenario,
    pub checks: Vec<Check>,
    /// Why it could not be played.
    pub error: Option<String>,
    /// Why it was left out.
    pub skipped: Option<&'static str>,
    /// What playing it took, without making its drive.
    pub wall: Duration,
    /// Seconds driven.
    pub played_s: f64,
    pub view: Option<View>,
}

impl Outcome {
    /// Whether it was played and everything was as expected.
    pub fn passed(&self) -> bool {
        self.error.is_none() && self.skipped.is_none() && self.checks.iter().all(|c| c.passed)
    }

    /// Whether it speaks against the software: left out is not failed.
    pub fn failed(&self) -> bool {
        self.skipped.is_none() && !self.passed()
    }
}
