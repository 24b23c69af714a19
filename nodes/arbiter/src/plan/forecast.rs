//! Weights on the workloads' utilities from the demand that the language node expects.

use auriga_msgs::v1;
use auriga_runtime::Nanos;
use std::{collections::BTreeMap, time::Duration};

/// No weight is larger than this: a forecast is a preference, not a command.
const MAX_WEIGHT: f64 = 20.0;
/// Weights are rounded to multiples of this, so that small changes do not trigger new plans.
const STEP: f64 = 1.0 / 16.0;
/// Items used of one message at most.
pub(crate) const MAX_ITEMS: usize = 64;

#[derive(Debug, Clone, PartialEq)]
struct Expected {
    /// What it adds to the weight 1: probability × (weight − 1).
    gain: f64,
    until: Nanos,
}

/// The expected demand, each item until its horizon.
#[derive(Debug)]
pub struct Forecast {
    longest: Duration,
    items: BTreeMap<String, Vec<Expected>>,
}

impl Forecast {
    /// `longest`: horizons are cut to this.
    pub fn new(longest: Duration) -> Self {
        Self { longest, items: BTreeMap::new() }
    }

    /// Replaces the forecast: a message states all that is expected. Returns what is wrong with it, item by item; the
    /// valid items are used.
    pub fn replace(&mut self, demand: &v1::Demand, now: Nanos) -> Vec<String> {
        let mut problems = Vec::new();
        self.items.clear();
        if demand.items.len() > MAX_ITEMS {
            problems.push(format!("{} items; only the first {MAX_ITEMS} are taken", demand.items.len()));
        }
        for item in demand.items.iter().take(MAX_ITEMS) {
            if !(0.0..=1.0).contains(&item.probability) || !(0.0..=1e6).contains(&item.weight) {
                let (name, p, w) = (&item.workload, item.probability, item.weight);
                problems.push(format!("{name:.40}: probability {p}, weight {w}: expected 0 to 1, and 0 to a million"));
                continue;
            }
            let gain = f64::from(item.probability) * (f64::from(item.weight) - 1.0);
            let until = now + Duration::from_nanos(item.horizon_ns).min(self.longest);
            self.items.entry(item.workload.clone()).or_default().push(Expected { gain, until });
        }
        problems
    }

    /// Expected weight on a workload's utility, 0 to 20; 1 without a forecast.
    pub fn weight(&self, workload: &str, now: Nanos) -> f64 {
        let valid = self.items.get(workload).into_iter().flatten().filter(|e| now < e.until);
        let weight = 1.0 + valid.map(|e| e.gain).sum::<f64>();
        (weight.clamp(0.0, MAX_WEIGHT) / STEP).round() * STEP
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(workload: &str, probability: f32, weight: f32, horizon_ms: u64) -> v1::DemandItem {
        let horizon_ns = horizon_ms * 1_000_000;
        v1::DemandItem { workload: workload.into(), probability, weight, horizon_ns, reason: String::new() }
    }

    fn demand(items: &[v1::DemandItem]) -> v1::Demand {
        v1::Demand { items: items.to_vec(), ..Default::default() }
    }

    #[test]
    fn a_weight_is_the_expected_value_until_the_horizon() {
        let mut f = Forecast::new(Duration::from_secs(600));
        assert!(f.replace(&demand(&[item("a", 0.5, 5.0, 1000)]), Nanos::from_millis(100)).is_empty());
        assert_eq!(f.weight("a", Nanos::from_millis(1099)), 3.0);
        assert_eq!(f.weight("a", Nanos::from_millis(1100)), 1.0);
        assert_eq!(f.weight("b", Nanos::from_millis(200)), 1.0);
    }

    #[test]
    fn a_new_forecast_replaces_the_old_one_and_invalid_items_are_ignored() {
        let mut f = Forecast::new(Duration::from_secs(600));
        f.replace(&demand(&[item("a", 1.0, 5.0, 1000)]), Nanos(0));
        let broken = [item("b", f32::NAN, 2.0, 1000), item("c", 0.5, -1.0, 1000), item("d", 1.0, 1e6, 1000)];
        assert_eq!(f.replace(&demand(&broken), Nanos(0)).len(), 2);
        assert_eq!(["a", "b", "c"].map(|w| f.weight(w, Nanos(1))), [1.0; 3]);
        assert_eq!(f.weight("d", Nanos(1)), MAX_WEIGHT);
    }

    #[test]
    fn horizons_are_cut_to_the_longest_allowed() {
        let mut f = Forecast::new(Duration::from_secs(10));
        f.replace(&demand(&[item("a", 1.0, 2.0, u64::MAX / 1_000_000)]), Nanos(0));
        assert_eq!(f.weight("a", Nanos::from_millis(9_999)), 2.0);
        assert_eq!(f.weight("a", Nanos::from_millis(10_000)), 1.0);
    }
}
