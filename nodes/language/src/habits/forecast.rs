//! From what was asked to what will be needed: the log of operations, the prediction from it, and the forecast that the
//! arbiter reads.

use crate::{
    Effect, LanguageNode,
    habits::{
        demand::{MAX_LIKELY, MIN_PROBABILITY},
        usage_history::{Circumstances, SpeedClass, UsageEntry},
    },
    ms,
    understand::facts::Observation,
};
use auriga_msgs::{topic, v1};
use auriga_runtime::{Nanos, Outbox};
use std::time::Duration;

/// What a forecast between two requests depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Situation {
    time: Option<u8>,
    speed: Option<SpeedClass>,
    place: Option<[i16; 2]>,
    /// The last request is so long ago that nothing follows from it any more.
    over: bool,
}

impl LanguageNode {
    /// Begins with what was logged before, oldest first.
    pub fn with_history(mut self, entries: &[UsageEntry]) -> Self {
        entries.iter().for_each(|entry| self.predictor.note(entry));
        self
    }

    fn circumstances(&self, now: Nanos) -> Circumstances {
        let known = Observation::of(self.scene.as_deref(), now, ms(self.config.scene_max_age_ms));
        Circumstances::of(self.scene.as_deref(), known.facts.speed_mps, self.wall, now)
    }

    fn lead(&self) -> Duration {
        Duration::try_from_secs_f64(self.config.habit_lead_s).unwrap_or_default()
    }

    /// The driver asked for this.
    pub(crate) fn remember(&mut self, intent: &str, now: Nanos, out: &mut Outbox<Self>) {
        let gap_s = self.last_operation.map(|at| seconds(now.since(at)));
        let entry = UsageEntry { intent: intent.to_owned(), gap_s, circumstances: self.circumstances(now) };
        self.predictor.note(&entry);
        self.outlook.note(intent, &self.catalogue, now);
        self.last_operation = Some(now);
        out.effect(Effect::Keep(entry));
    }

    fn items(&self, now: Nanos) -> Vec<v1::DemandItem> {
        let since = self.last_operation.map(|at| seconds(now.since(at)));
        let likely = self.predictor.likely(&self.circumstances(now), since, MAX_LIKELY, MIN_PROBABILITY);
        self.outlook.items(&self.catalogue, &likely, self.lead(), now)
    }

    /// The forecast after an utterance.
    pub(crate) fn publish_demand(&mut self, header: v1::Header, now: Nanos, out: &mut Outbox<Self>) {
        let items = self.items(now);
        self.outlook.has_changed(&items);
        out.publish::<topic::LanguageDemand>(v1::Demand { header: Some(header), items });
        self.situation = Some(self.situation(now));
    }

    /// The forecast between two requests, when the situation is another and something else follows from it.
    pub(crate) fn look_ahead(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        let situation = self.situation(now);
        if self.scene.is_none() || self.situation.replace(situation) == Some(situation) {
            return;
        }
        let items = self.items(now);
        if self.outlook.has_changed(&items) {
            let header = Some(v1::Header::new(now.0, 0));
            out.publish::<topic::LanguageDemand>(v1::Demand { header, items });
        }
    }

    fn situation(&self, now: Nanos) -> Situation {
        let c = self.circumstances(now);
        let over = self.last_operation.is_none_or(|at| now.since(at) > self.lead());
        Situation { time: c.time_band(), speed: c.speed, place: c.place, over }
    }

    /// When the situation changes by the clock alone.
    pub(crate) fn outlook_changes(&self, now: Nanos) -> Option<Nanos> {
        let over = self.last_operation? + self.lead() + Duration::from_nanos(1);
        (over > now).then_some(over)
    }
}

/// Whole seconds, those begun included.
fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_nanos().div_ceil(1_000_000_000)).unwrap_or(u32::MAX)
}
