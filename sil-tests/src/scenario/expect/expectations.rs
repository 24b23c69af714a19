//! All that a scenario expects.

use super::{
    cabin::{IntentExpected, OutOfScope, ReplyExpected, ResumeExpected},
    check::{Check, Seen},
    compute::{self, FaultExpected, GrantExpected, ModeExpected, NoFault, RestartExpected},
    road::{HazardExpected, NoHazard, OffsetExpected, RateExpected},
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
