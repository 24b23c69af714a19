//! The forecast that the arbiter reads: what is recorded of a request, and when a forecast has changed.

use super::{
    demand::{DemandForecast, MAX_LIKELY, MIN_PROBABILITY},
    predictor::Predictor,
    usage_history::{Circumstances, SpeedClass, UsageEntry},
};
use auriga_lm::intent::catalogue::Catalogue;
use auriga_msgs::v1;
use auriga_runtime::Nanos;
use std::time::Duration;

/// What the forecast between two requests depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Situation {
    time: Option<u8>,
    speed: Option<SpeedClass>,
    place: Option<[i16; 2]>,
    /// The last request is longer ago than the lead time.
    lead_is_over: bool,
}

/// The predictor of requests and the demand that follows from it.
pub(crate) struct Forecaster {
    predictor: Predictor,
    demand: DemandForecast,
    /// A request later than this after the last one does not follow from it.
    lead: Duration,
    last_request: Option<Nanos>,
    /// The situation of the last forecast.
    situation: Option<Situation>,
}

impl Forecaster {
    /// `lead`: as the predictor has it.
    pub fn new(predictor: Predictor, lead: Duration) -> Self {
        Self { predictor, demand: DemandForecast::default(), lead, last_request: None, situation: None }
    }

    /// Learns the usage history, oldest first.
    pub fn learn(&mut self, entries: &[UsageEntry]) {
        entries.iter().for_each(|entry| self.predictor.observe(entry));
    }

    /// The driver asked for this intent. Returns the entry for the usage history.
    pub fn record(
        &mut self,
        intent: &str,
        circumstances: Circumstances,
        catalogue: &Catalogue,
        now: Nanos,
    ) -> UsageEntry {
        let entry = UsageEntry { intent: intent.to_owned(), gap_s: self.since_last_s(now), circumstances };
        self.predictor.observe(&entry);
        self.demand.add(intent, catalogue, now);
        self.last_request = Some(now);
        entry
    }

    /// The forecast after an utterance.
    pub fn forecast(
        &mut self,
        circumstances: &Circumstances,
        catalogue: &Catalogue,
        now: Nanos,
    ) -> Vec<v1::DemandItem> {
        let items = self.items(circumstances, catalogue, now);
        self.demand.replace_if_changed(&items);
        self.situation = Some(self.situation(circumstances, now));
        items
    }

    /// The forecast between two utterances, if the situation and with it the forecast has changed.
    pub fn update(
        &mut self,
        circumstances: &Circumstances,
        catalogue: &Catalogue,
        now: Nanos,
    ) -> Option<Vec<v1::DemandItem>> {
        let situation = self.situation(circumstances, now);
        if self.situation.replace(situation) == Some(situation) {
            return None;
        }
        let items = self.items(circumstances, catalogue, now);
        self.demand.replace_if_changed(&items).then_some(items)
    }

    /// When the situation changes with time alone.
    pub fn next_change(&self, now: Nanos) -> Option<Nanos> {
        let lead_ends = self.last_request? + self.lead + Duration::from_nanos(1);
        (lead_ends > now).then_some(lead_ends)
    }

    fn items(&self, circumstances: &Circumstances, catalogue: &Catalogue, now: Nanos) -> Vec<v1::DemandItem> {
        let likely = self.predictor.likely(circumstances, self.since_last_s(now), MAX_LIKELY, MIN_PROBABILITY);
        self.demand.items(catalogue, &likely, self.lead, now)
    }

    fn situation(&self, circumstances: &Circumstances, now: Nanos) -> Situation {
        let &Circumstances { speed, place, .. } = circumstances;
        let lead_is_over = self.last_request.is_none_or(|at| now.since(at) > self.lead);
        Situation { time: circumstances.time_band(), speed, place, lead_is_over }
    }

    /// Seconds since the last request, rounded up.
    fn since_last_s(&self, now: Nanos) -> Option<u32> {
        let since = now.since(self.last_request?).as_nanos().div_ceil(1_000_000_000);
        Some(u32::try_from(since).unwrap_or(u32::MAX))
    }
}
