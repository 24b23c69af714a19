//! All that a scenario expects.

use super::{
    cabin::{IntentExpected, OutOfScope, ReplyExpected, ResumeExpected},
    check::Check,
    compute::{self, FaultExpected, GrantExpected, ModeExpected, NoFault, RestartExpected},
    road::{HazardExpected, NoHazard, OffsetExpected, RateExpected},
};
use crate::analysis::DriveRun;
use anyhow::Result;
use serde::{Deserialize, Serialize};

/// What a scenario expects, by kind. Times are seconds of the drive; an interval that is left out is the whole drive.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expectations {
    /// Hazards that must be raised.
    pub hazards: Vec<HazardExpected>,
    /// Hazards that must not be active.
    pub no_hazards: Vec<NoHazard>,
    /// Intents that must be understood.
    pub intents: Vec<IntentExpected>,
    /// Utterances that are not for the car.
    pub out_of_scope: Vec<OutOfScope>,
    /// Replies of the dialogue.
    pub replies: Vec<ReplyExpected>,
    /// Modes that must be in force.
    pub modes: Vec<ModeExpected>,
    /// Grants after hazards.
    pub grants: Vec<GrantExpected>,
    /// Faults that must be published.
    pub faults: Vec<FaultExpected>,
    /// Faults that must not be published.
    pub no_faults: Vec<NoFault>,
    /// Nodes that must restart.
    pub restarts: Vec<RestartExpected>,
    /// Rates of scenes.
    pub scene_rate: Vec<RateExpected>,
    /// Accuracy of the lane offset.
    pub lane_offset: Vec<OffsetExpected>,
    /// Replies that must resume.
    pub dialogue_resumes: Vec<ResumeExpected>,
    /// Every safety chain that was exercised is within its budget (p99.9). Only meaningful in a live drive.
    pub safety_deadlines_met: bool,
    /// No message is missing on a reliable topic.
    pub no_lost_messages: bool,
}

impl Expectations {
    /// Their number.
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
            + usize::from(self.safety_deadlines_met)
            + usize::from(self.no_lost_messages)
    }

    pub(in crate::scenario) fn check(&self) -> Result<()> {
        anyhow::ensure!(self.count() > 0, "no expectation: a scenario needs at least one");
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

    /// Checks all expectations against a run.
    pub fn evaluate(&self, run: &DriveRun) -> Vec<Check> {
        let mut all = Vec::new();
        all.extend(self.hazards.iter().map(|e| e.evaluate(run)));
        all.extend(self.no_hazards.iter().map(|e| e.evaluate(run)));
        all.extend(self.intents.iter().map(|e| e.evaluate(run)));
        all.extend(self.out_of_scope.iter().map(|e| e.evaluate(run)));
        all.extend(self.replies.iter().map(|e| e.evaluate(run)));
        all.extend(self.modes.iter().map(|e| e.evaluate(run)));
        all.extend(self.grants.iter().map(|e| e.evaluate(run)));
        all.extend(self.faults.iter().map(|e| e.evaluate(run)));
        all.extend(self.no_faults.iter().map(|e| e.evaluate(run)));
        all.extend(self.restarts.iter().map(|e| e.evaluate(run)));
        all.extend(self.scene_rate.iter().map(|e| e.evaluate(run)));
        all.extend(self.lane_offset.iter().map(|e| e.evaluate(run)));
        all.extend(self.dialogue_resumes.iter().map(|e| e.evaluate(run)));
        all.extend(self.safety_deadlines_met.then(|| compute::deadlines(run)));
        all.extend(self.no_lost_messages.then(|| compute::losses(run)));
        all
    }
}
