//! What the machine will need next: from the intents of late (the catalogue says), and from what is likely asked next
//! ([`crate::habits::predictor`]).

use auriga_lm::intent::catalogue::{Catalogue, Demand};
use auriga_msgs::v1;
use auriga_runtime::Nanos;
use std::time::Duration;

/// Next intents that are looked at, and from which probability on.
pub const MAX_LIKELY: usize = 3;
pub const MIN_PROBABILITY: f64 = 0.1;
/// Needs of late that are kept: an intent has a few, and they end by themselves.
const MAX_NEEDS: usize = 32;
/// Probabilities that differ by less make no new forecast.
const PROBABILITY_TOLERANCE: f32 = 0.05;

/// A need that follows from an intent, until when.
#[derive(Debug, Clone)]
struct Need {
    demand: Demand,
    until: Nanos,
}

/// The forecast that stands.
#[derive(Debug, Default)]
pub struct DemandForecast {
    needs: Vec<Need>,
    told: Vec<v1::DemandItem>,
}

impl DemandForecast {
    /// An intent was understood: what it will need replaces what the same intent needed.
    pub fn note(&mut self, intent: &str, catalogue: &Catalogue, now: Nanos) {
        let demands = catalogue.get(intent).map_or(&[][..], |i| &i.demand);
        self.needs.retain(|need| now < need.until && !demands.contains(&need.demand));
        let needs = demands.iter().map(|demand| Need { demand: demand.clone(), until: now + horizon(demand) });
        self.needs.extend(needs);
        let surplus = self.needs.len().saturating_sub(MAX_NEEDS);
        self.needs.drain(..surplus);
    }

    /// What is needed from now on, with what is likely asked next within `lead`: (intent, probability).
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
            // Reasons name no intent: the topic is not private and what the driver asks is.
            let reason = || "what is often asked next would need it".to_owned();
            let of = catalogue.get(next).map_or(&[][..], |i| &i.demand);
            items.extend(of.iter().map(|d| item(d, d.probability * p, lead + horizon(d), reason())));
        }
        items
    }

    /// Whether these say something else than what was told last; then they count as told.
    pub fn has_changed(&mut self, items: &[v1::DemandItem]) -> bool {
        let same = |(a, b): (&v1::DemandItem, &v1::DemandItem)| {
            a.workload == b.workload
                && a.weight == b.weight
                && (a.probability - b.probability).abs() < PROBABILITY_TOLERANCE
        };
        let news = items.len() != self.told.len() || !items.iter().zip(&self.told).all(same);
        if news {
            self.told = items.to_vec();
        }
        news
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
    fn the_forecast_has_the_intents_own_needs_and_those_of_what_comes_next() {
        let catalogue = catalogue();
        let mut outlook = DemandForecast::default();
        outlook.note("range_query", &catalogue, s(0));
        let items = outlook.items(&catalogue, &[("find_charging", 0.4)], LEAD, s(0));
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
    fn a_need_lasts_as_long_as_it_was_said_to_and_the_same_intent_renews_it() {
        let catalogue = catalogue();
        let mut outlook = DemandForecast::default();
        // Recording for 300 s.
        outlook.note("emergency", &catalogue, s(0));
        outlook.note("greeting", &catalogue, s(100));
        let recording = |outlook: &DemandForecast, t| {
            let items = outlook.items(&catalogue, &[], LEAD, s(t));
            items.iter().filter(|i| i.workload == "recording").map(|i| i.horizon_ns / 1_000_000_000).collect::<Vec<_>>()
        };
        assert_eq!([recording(&outlook, 100), recording(&outlook, 299)], [vec![200], vec![1]]);
        assert_eq!(recording(&outlook, 300), [0; 0]);
        outlook.note("emergency", &catalogue, s(200));
        assert_eq!(recording(&outlook, 300), [200]);
        (0..1000).for_each(|_| outlook.note("driver_unwell", &catalogue, s(200)));
        assert!(outlook.needs.len() <= MAX_NEEDS);
    }

    #[test]
    fn only_news_are_told() {
        let catalogue = catalogue();
        let mut outlook = DemandForecast::default();
        let items = |p| DemandForecast::default().items(&catalogue, &[("find_charging", p)], LEAD, s(0));
        assert!(!outlook.has_changed(&[]), "nothing was expected before either");
        assert!(outlook.has_changed(&items(0.4)));
        assert!(!outlook.has_changed(&items(0.42)));
        assert!(outlook.has_changed(&items(0.6)));
        assert!(outlook.has_changed(&[]));
    }
}
