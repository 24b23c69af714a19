//! What must be seen in a scenario, and whether it was.

mod cabin;
mod compute;
mod road;

pub use cabin::{IntentExpected, OutOfScope, ReplyExpected, ResumeExpected};
pub use compute::{FaultExpected, GrantExpected, ModeExpected, NoFault, RestartExpected};
pub use road::{HazardExpected, NoHazard, OffsetExpected, RateExpected, offset_errors};

use crate::{
    drive::{Event, Truth},
    observe::Observed,
};
use anyhow::Result;
use serde::{Deserialize, Serialize};

/// What a scenario expects, by kind. Times are seconds of the drive; an interval that is left out is all of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expectations {
    pub hazards: Vec<HazardExpected>,
    pub no_hazards: Vec<NoHazard>,
    pub intents: Vec<IntentExpected>,
    pub out_of_scope: Vec<OutOfScope>,
    pub replies: Vec<ReplyExpected>,
    pub modes: Vec<ModeExpected>,
    pub grants: Vec<GrantExpected>,
    pub faults: Vec<FaultExpected>,
    pub no_faults: Vec<NoFault>,
    pub restarts: Vec<RestartExpected>,
    pub scene_rate: Vec<RateExpected>,
    pub lane_offset: Vec<OffsetExpected>,
    pub dialogue_resumes: Vec<ResumeExpected>,
    /// Every safety chain that was exercised within its budget (p99.9). Says something of a live drive only.
    pub safety_deadlines_held: bool,
    /// No message missing on a reliable topic.
    pub nothing_lost: bool,
}

/// A part of the drive.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Window(f64, f64);

fn window(from_s: Option<f64>, to_s: Option<f64>) -> Window {
    Window(from_s.unwrap_or(0.0), to_s.unwrap_or(f64::INFINITY))
}

impl Window {
    fn has(self, t_s: f64) -> bool {
        (self.0..=self.1).contains(&t_s)
    }
    fn words(self) -> String {
        match (self.0, self.1) {
            (0.0, f64::INFINITY) => "at any time".into(),
            (from, f64::INFINITY) => format!("from {from} s on"),
            (0.0, to) => format!("until {to} s"),
            (from, to) => format!("between {from} s and {to} s"),
        }
    }
}

/// What the expectations are held against.
pub struct Seen<'a> {
    pub observed: &'a Observed,
    pub truth: &'a [Truth],
    pub events: &'a [Event],
    /// The part of the drive that was played.
    pub from_s: f64,
    pub to_s: f64,
}

/// An expectation and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    pub expected: String,
    pub found: String,
    pub passed: bool,
}

fn check(expected: String, passed: bool, found: String) -> Check {
    Check { expected, found, passed }
}

impl Expectations {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.hazards.len()
            + self.no_hazards.len()
            + self.intents.len()
            + self.out_of_scope.len()
            + self.replies.len()
            + self.modes.len()
            + self.grants.len()
            + self.faults.len()
            + self.no_faults.len()
            + self.restarts.len()
            + self.scene_rate.len()
            + self.lane_offset.len()
            + self.dialogue_resumes.len()
            + usize::from(self.safety_deadlines_held)
            + usize::from(self.nothing_lost)
    }

    pub(in crate::scenario) fn check(&self) -> Result<()> {
        anyhow::ensure!(self.count() > 0, "nothing is expected: a scenario that cannot fail shows nothing");
        for h in &self.hazards {
            anyhow::ensure!(
                h.event.is_some() == h.within_ms.is_some(),
                "hazards: event and within_ms go together ({:?})",
                h.kind
            );
        }
        for r in &self.replies {
            let asks = !r.mentions.is_empty()
                || !r.never.is_empty()
                || r.first_word_within_ms.or(r.from_s).or(r.to_s).is_some();
            anyhow::ensure!(
                asks,
                "replies: said_s {}: mentions, never, first_word_within_ms, from_s or to_s is needed",
                r.said_s
            );
        }
        for o in &self.lane_offset {
            anyhow::ensure!((0.0..=1.0).contains(&o.share), "lane_offset: share {}: expected 0 to 1", o.share);
        }
        for r in &self.scene_rate {
            anyhow::ensure!(r.to_s > r.from_s, "scene_rate: from_s {} to_s {}: expected from < to", r.from_s, r.to_s);
        }
        Ok(())
    }

    /// Holds everything against what was seen.
    pub fn evaluate(&self, seen: &Seen<'_>) -> Vec<Check> {
        let mut all = Vec::new();
        all.extend(self.hazards.iter().map(|e| e.evaluate(seen)));
        all.extend(self.no_hazards.iter().map(|e| e.evaluate(seen)));
        all.extend(self.intents.iter().map(|e| e.evaluate(seen)));
        all.extend(self.out_of_scope.iter().map(|e| e.evaluate(seen)));
        all.extend(self.replies.iter().map(|e| e.evaluate(seen)));
        all.extend(self.modes.iter().map(|e| e.evaluate(seen)));
        all.extend(self.grants.iter().map(|e| e.evaluate(seen)));
        all.extend(self.faults.iter().map(|e| e.evaluate(seen)));
        all.extend(self.no_faults.iter().map(|e| e.evaluate(seen)));
        all.extend(self.restarts.iter().map(|e| e.evaluate(seen)));
        all.extend(self.scene_rate.iter().map(|e| e.evaluate(seen)));
        all.extend(self.lane_offset.iter().map(|e| e.evaluate(seen)));
        all.extend(self.dialogue_resumes.iter().map(|e| e.evaluate(seen)));
        all.extend(self.safety_deadlines_held.then(|| compute::deadlines(seen)));
        all.extend(self.nothing_lost.then(|| compute::losses(seen)));
        all
    }
}

fn join(words: impl Iterator<Item = String>, nothing: &str) -> String {
    let words: Vec<String> = words.collect();
    if words.is_empty() { nothing.into() } else { words.join("; ") }
}
