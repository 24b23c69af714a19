//! What the machine will need next: from the intent itself (the catalogue says), and from what is likely asked next.

use auriga_lm::catalogue::{Catalogue, Demand};
use auriga_msgs::v1;
use serde::Deserialize;
use std::{collections::BTreeMap, time::Duration};

const PRIOR: &str = include_str!("../habits.toml");

/// Pairs remembered at most: the catalogue has a few dozen intents, so this is never reached with the shipped one.
const MAX_PAIRS: usize = 4096;
/// Next intents that are looked at, and from which probability on.
const LIKELIEST: usize = 3;
const WORTH_PLANNING: f64 = 0.1;

/// `habits.toml` is the project's own: what is wrong with it is found by a test and told at start.
#[derive(Debug, thiserror::Error)]
pub enum HabitError {
    #[error("habits.toml: {0}")]
    Toml(#[from] toml::de::Error),
    #[error("habits.toml: after {intent}: {what}")]
    Entry { intent: String, what: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Prior {
    after: BTreeMap<String, BTreeMap<String, f64>>,
}

/// Counts of which intent follows which, over a prior. In memory only: habits are private.
#[derive(Debug)]
pub struct Habits {
    prior: BTreeMap<String, BTreeMap<String, f64>>,
    /// Observations the prior is worth.
    prior_weight: f64,
    counts: BTreeMap<(String, String), u32>,
    last: Option<String>,
}

impl Habits {
    pub fn new(catalogue: &Catalogue, prior_weight: f64) -> Result<Self, HabitError> {
        let Prior { after: prior } = toml::from_str(PRIOR)?;
        for (intent, next) in &prior {
            let fail = |what: String| HabitError::Entry { intent: intent.clone(), what };
            if let Some(name) = [intent].into_iter().chain(next.keys()).find(|n| catalogue.get(n).is_none()) {
                return Err(fail(format!("the catalogue has no {name}")));
            }
            let sum: f64 = next.values().sum();
            if !next.values().all(|p| (0.0..=1.0).contains(p)) || sum > 1.0 {
                return Err(fail(format!("probabilities that sum to {sum}: expected 0 to 1 each, 1 at most in all")));
            }
        }
        Ok(Self { prior, prior_weight, counts: BTreeMap::new(), last: None })
    }

    /// The driver asked for this.
    pub fn note(&mut self, intent: &str) {
        if let Some(last) = self.last.replace(intent.to_owned()) {
            let pair = (last, intent.to_owned());
            if self.counts.len() < MAX_PAIRS || self.counts.contains_key(&pair) {
                let count = self.counts.entry(pair).or_default();
                *count = count.saturating_add(1);
            }
        }
    }

    /// What is likely next, likeliest first: (intent, probability).
    pub fn likely(&self) -> Vec<(&str, f64)> {
        let Some(last) = &self.last else { return Vec::new() };
        let seen = |next: &str| self.counts.get(&(last.clone(), next.to_owned())).copied().unwrap_or(0);
        let total: u64 = self.counts.iter().filter(|((l, _), _)| l == last).map(|(_, n)| u64::from(*n)).sum();
        let prior = self.prior.get(last);
        let of_counts = self.counts.keys().filter(|(l, _)| l == last).map(|(_, next)| next.as_str());
        let mut names: Vec<&str> = prior.iter().flat_map(|p| p.keys()).map(String::as_str).chain(of_counts).collect();
        names.sort_unstable();
        names.dedup();
        let probability = |next: &str| {
            let expected = prior.and_then(|p| p.get(next)).copied().unwrap_or(0.0);
            let evidence = self.prior_weight + total as f64;
            if evidence > 0.0 { (self.prior_weight * expected + f64::from(seen(next))) / evidence } else { 0.0 }
        };
        let mut likely: Vec<(&str, f64)> = names.into_iter().map(|n| (n, probability(n))).collect();
        // Names are sorted and the sort is stable: equal probabilities have a fixed order.
        likely.sort_by(|a, b| b.1.total_cmp(&a.1));
        likely.retain(|(_, p)| *p >= WORTH_PLANNING);
        likely.truncate(LIKELIEST);
        likely
    }
}

/// The forecast after `intent`. `lead`: how long the next request is expected within. Reasons name no intent: the topic
/// is not private and what the driver asks is.
pub fn forecast(catalogue: &Catalogue, intent: &str, habits: &Habits, lead: Duration) -> Vec<v1::DemandItem> {
    let of = |name: &str| catalogue.get(name).map_or(&[][..], |i| &i.demand);
    let item = |d: &Demand, probability: f64, horizon: Duration, reason: String| v1::DemandItem {
        workload: d.workload.clone(),
        probability: probability as f32,
        horizon_ns: horizon.as_nanos() as u64,
        weight: d.weight as f32,
        reason,
    };
    let horizon = |d: &Demand| Duration::try_from_secs_f64(d.horizon_s).unwrap_or_default();
    let mut items: Vec<_> = of(intent).iter().map(|d| item(d, d.probability, horizon(d), d.reason.clone())).collect();
    for (next, p) in habits.likely() {
        let reason = || "what is often asked next would need it".to_owned();
        items.extend(of(next).iter().map(|d| item(d, d.probability * p, lead + horizon(d), reason())));
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn catalogue() -> Catalogue {
        Catalogue::load(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/language/intents.toml")).unwrap()
    }

    #[test]
    fn the_prior_holds_until_the_driver_shows_other_habits() {
        let catalogue = catalogue();
        let mut habits = Habits::new(&catalogue, 4.0).unwrap();
        assert_eq!(habits.likely(), []);
        habits.note("range_query");
        assert_eq!(habits.likely()[0], ("find_charging", 0.4));
        for _ in 0..8 {
            habits.note("weather");
            habits.note("range_query");
        }
        let likely = habits.likely();
        assert_eq!(likely[0].0, "weather");
        assert!((likely[0].1 - 8.0 / 12.0).abs() < 1e-9, "{likely:?}");
        assert!((likely[1].1 - 0.4 * 4.0 / 12.0).abs() < 1e-9, "{likely:?}");
    }

    #[test]
    fn the_forecast_has_the_intents_own_needs_and_those_of_what_comes_next() {
        let catalogue = catalogue();
        let mut habits = Habits::new(&catalogue, 4.0).unwrap();
        habits.note("range_query");
        let items = forecast(&catalogue, "range_query", &habits, Duration::from_secs(20));
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

    proptest! {
        #[test]
        fn probabilities_are_probabilities(sequence in prop::collection::vec(0usize..39, 0..200), weight in 0.0..20.0f64) {
            let catalogue = catalogue();
            let mut habits = Habits::new(&catalogue, weight).unwrap();
            for i in sequence {
                habits.note(&catalogue.intents()[i].name);
            }
            let sum: f64 = habits.likely().iter().map(|(_, p)| p).sum();
            prop_assert!(habits.likely().iter().all(|(_, p)| (0.0..=1.0).contains(p)) && sum <= 1.0 + 1e-9);
        }
    }
}
