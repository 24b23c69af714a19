//! The workloads that will be needed: by the last intents, as the catalogue has them, and by the intents that are likely
//! next (see [`predictor`](super::predictor)).

use auriga_lm::intent::catalogue::{Catalogue, Demand};
use auriga_msgs::v1;
use auriga_runtime::Nanos;
use std::time::Duration;

/// How many of the likely next intents are used.
pub const MAX_LIKELY: usize = 3;
/// From which probability on a next intent is used.
pub const MIN_PROBABILITY: f64 = 0.1;
/// Needs that are kept; an intent has a few, and they expire.
const MAX_NEEDS: usize = 32;
/// Smaller differences of a probability do not make a new forecast.
const PROBABILITY_TOLERANCE: f32 = 0.05;

/// The need of an intent for a workload, and when it expires.
#[derive(Debug, Clone)]
struct Need {
    demand: Demand,
    until: Nanos,
}

/// The needs of the last intents, and the last published forecast.
#[derive(Debug, Default)]
pub struct DemandForecast {
    needs: Vec<Need>,
    published: Vec<v1::DemandItem>,
}

impl DemandForecast {
    /// Adds the needs of an intent. They replace the earlier needs of the same intent.
    pub fn add(&mut self, intent: &str, catalogue: &Catalogue, now: Nanos) {
        let demands = catalogue.get(intent).map_or(&[][..], |i| &i.demand);
        self.needs.retain(|need| now < need.until && !demands.contains(&need.demand));
        let needs = demands.iter().map(|demand| Need { demand: demand.clone(), until: now + horizon(demand) });
        self.needs.extend(needs);
        let surplus = self.needs.len().saturating_sub(MAX_NEEDS);
        self.needs.drain(..surplus);
    }

    /// The forecast from `now` on. `likely`: next intents and their probabilities, expected within `lead`.
    pub fn items(
        &self,
        catalogue: &Catalogue,
        likely: &[(&str, f64)],
        lead: Duration,
        now: Nanos,
    ) -> Vec<v1::DemandItem> {
        let valid = self.needs.iter().filter(|need| now < need.until);
        let mut items: Vec<_> =
            valid.map(|n| item(&n.demand, n.demand.probability, n.until.since(now), n.demand.reason.clone())).collect();
        for (next, p) in likely {
            // The reason does not name the intent: the topic is not private, but requests are.
            let reason = || "what is often asked next would need it".to_owned();
            let of = catalogue.get(next).map_or(&[][..], |i| &i.demand);
            items.extend(of.iter().map(|d| item(d, d.probability * p, lead + horizon(d), reason())));
        }
        items
    }

    /// Replaces the last forecast if this one differs. Returns whether it did.
    pub fn replace_if_changed(&mut self, items: &[v1::DemandItem]) -> bool {
        let same = |(a, b): (&v1::DemandItem, &v1::DemandItem)| {
            a.workload == b.workload
                && a.weight == b.weight
                && (a.probability - b.probability).abs() < PROBABILITY_TOLERANCE
        };
        let changed = items.len() != self.published.len() || !items.iter().zip(&self.published).all(same);
        if changed {
            self.published = items.to_vec();
        }
        changed
    }
}

fn item(demand: &Demand, probability: f64, horizon: Duration, reason: String) -> v1::DemandItem {
    v1::DemandItem {
        workload: demand.workload.clone(),
        probability: probability as f32,
        horizon_ns: horizon.as_nanos() as u64,
        weight: demand.weight as f32,
        reason,
    }
}

fn horizon(demand: &Demand) -> Duration {
    Duration::try_from_secs_f64(demand.horizon_s).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAD: Duration = Duration::from_secs(20);

    fn catalogue() -> Catalogue {
        Catalogue::load(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/language/intents.toml")).unwrap()
    }

    fn s(t: u64) -> Nanos {
        Nanos::from_millis(1000 * t)
    }

    #[test]
    fn the_forecast_has_the_needs_of_the_last_intent_and_of_likely_next_intents() {
        let catalogue = catalogue();
        let mut forecast = DemandForecast::default();
        forecast.add("range_query", &catalogue, s(0));
        let items = forecast.items(&catalogue, &[("find_charging", 0.4)], LEAD, s(0));
        assert_eq!((items[0].workload.as_str(), items[0].probability), ("language-dialogue", 0.9));
        assert_eq!(items[0].horizon_ns, 4_000_000_000);
        // find_charging draws stations with 0.8, and follows with 0.4.
        let next = items.iter().find(|i| i.workload == "hud-decor").unwrap();
        assert!((next.probability - 0.32).abs() < 1e-6);
        assert_eq!(next.horizon_ns, 40_000_000_000);
        for i in &items {
            assert!(catalogue.intents().iter().all(|intent| !i.reason.contains(&intent.name)), "{}", i.reason);
        }
    }

    #[test]
    fn a_need_expires_and_the_same_intent_renews_it() {
        let catalogue = catalogue();
        let mut forecast = DemandForecast::default();
        // Recording for 300 s.
        forecast.add("emergency", &catalogue, s(0));
        forecast.add("greeting", &catalogue, s(100));
        let recording = |forecast: &DemandForecast, t| {
            let items = forecast.items(&catalogue, &[], LEAD, s(t));
            items.iter().filter(|i| i.workload == "recording").map(|i| i.horizon_ns / 1_000_000_000).collect::<Vec<_>>()
        };
        assert_eq!([recording(&forecast, 100), recording(&forecast, 299)], [vec![200], vec![1]]);
        assert_eq!(recording(&forecast, 300), [0; 0]);
        forecast.add("emergency", &catalogue, s(200));
        assert_eq!(recording(&forecast, 300), [200]);
        (0..1000).for_each(|_| forecast.add("driver_unwell", &catalogue, s(200)));
        assert!(forecast.needs.len() <= MAX_NEEDS);
    }

    #[test]
    fn a_forecast_changes_only_by_more_than_the_tolerance() {
        let catalogue = catalogue();
        let mut forecast = DemandForecast::default();
        let items = |p| DemandForecast::default().items(&catalogue, &[("find_charging", p)], LEAD, s(0));
        assert!(!forecast.replace_if_changed(&[]), "the first forecast is empty too");
        assert!(forecast.replace_if_changed(&items(0.4)));
        assert!(!forecast.replace_if_changed(&items(0.42)));
        assert!(forecast.replace_if_changed(&items(0.6)));
        assert!(forecast.replace_if_changed(&[]));
    }
}
