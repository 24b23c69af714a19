//! What is worth more than the table says: weights on the workloads' utilities, from a forecast of demand or from usage.

use auriga_msgs::v1;
use auriga_runtime::Nanos;
use std::{collections::BTreeMap, time::Duration};

/// A forecast is a preference, not a command: no weight is larger than this.
const MAX_WEIGHT: f64 = 20.0;
/// Weights are taken in steps of this, so that a forecast that trembles does not make new plans each time.
const STEP: f64 = 1.0 / 16.0;
/// Items taken of one message at most.
const MAX_ITEMS: usize = 64;

#[derive(Debug, Clone, PartialEq)]
struct Expected {
    /// What it adds to the weight of 1: probability × (weight − 1).
    gain: f64,
    until: Nanos,
}

/// What is likely to be needed, each until its horizon.
#[derive(Debug)]
pub struct Forecast {
    longest: Duration,
    items: BTreeMap<String, Vec<Expected>>,
}

impl Forecast {
    /// `longest`: no forecast is believed for longer than this.
    pub fn new(longest: Duration) -> Self {
        Self { longest, items: BTreeMap::new() }
    }

    /// A message states all that is expected, so it replaces what was. Returns what is wrong with it, item by item;
    /// the rest counts.
    pub fn replace(&mut self, demand: &v1::Demand, now: Nanos) -> Vec<String> {
        let mut problems = Vec::new();
        self.items.clear();
        if demand.items.len() > MAX_ITEMS {
            problems.push(format!("{} items; only the first {MAX_ITEMS} are taken", demand.items.len()));
        }
        for item in demand.items.iter().take(MAX_ITEMS) {
            if !(0.0..=1.0).contains(&item.probability) || !(0.0..=1e6).contains(&item.weight) {
                let (name, p, w) = (shortened(&item.workload), item.probability, item.weight);
                problems.push(format!("{name}: probability {p}, weight {w}: expected 0 to 1, and 0 to a million"));
                continue;
            }
            let gain = f64::from(item.probability) * (f64::from(item.weight) - 1.0);
            let until = now + Duration::from_nanos(item.horizon_ns).min(self.longest);
            self.items.entry(item.workload.clone()).or_default().push(Expected { gain, until });
        }
        problems
    }

    /// The expected weight on a workload's utility: 1 without a forecast.
    pub fn weight(&self, workload: &str, now: Nanos) -> f64 {
        let valid = self.items.get(workload).into_iter().flatten().filter(|e| now < e.until);
        let weight = 1.0 + valid.map(|e| e.gain).sum::<f64>();
        (weight.clamp(0.0, MAX_WEIGHT) / STEP).round() * STEP
    }
}

/// The beginning of a text from outside, enough to find it by.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

/// A weight that rises at once and falls only after it was lower for a while.
#[derive(Debug, Clone, Default)]
pub struct PeakHold {
    value: Option<f64>,
    lower_since: Option<Nanos>,
}

impl PeakHold {
    /// Takes in what the weight should be and gives what it is.
    pub fn update(&mut self, wanted: f64, now: Nanos, hold: Duration) -> f64 {
        let value = *self.value.get_or_insert(wanted);
        if wanted >= value {
            (self.value, self.lower_since) = (Some(wanted), None);
        } else if now.since(*self.lower_since.get_or_insert(now)) >= hold {
            // Waits anew for what is lower still.
            (self.value, self.lower_since) = (Some(wanted), None);
        }
        self.value.unwrap_or(wanted)
    }
}

/// Workloads that are short of what they were granted: the way to weights without any forecast. It knows of a need only
/// after it went unmet, and a steady load between two levels makes it go up and down.
#[derive(Debug, Default)]
pub struct ShortageDetector {
    workloads: BTreeMap<String, CpuSample>,
}

/// A workload's account at one instant.
#[derive(Debug, Clone, Copy)]
pub struct CpuSample {
    pub pid: u32,
    pub uptime_ns: u64,
    pub cpu_ns: u64,
    short_until: Nanos,
}

impl CpuSample {
    /// What a usage message says of one of its workloads.
    pub fn of(usage: &v1::Usage, workload: &v1::WorkloadUsage) -> Self {
        let (pid, uptime_ns, cpu_ns) = (usage.pid, usage.uptime_ns, workload.cpu_ns);
        Self { pid, uptime_ns, cpu_ns, short_until: Nanos::ZERO }
    }
}

/// A workload that takes this much of its grant would take more.
const SHORT: f64 = 0.8;
/// The weight of what is short.
const SHORT_WEIGHT: f64 = 5.0;
/// Two and a half of the usual usage messages.
const SHORT_FOR: Duration = Duration::from_millis(500);

impl ShortageDetector {
    /// Takes in what a workload has used; `granted`: the cores it holds. The caller knows the workload, or this map
    /// would grow with whatever names come.
    pub fn usage(&mut self, workload: &str, mut used: CpuSample, granted: f64, now: Nanos) {
        let last = self.workloads.get(workload);
        if let Some(last) =
            last.filter(|l| l.pid == used.pid && l.uptime_ns < used.uptime_ns && l.cpu_ns <= used.cpu_ns)
        {
            let cores = (used.cpu_ns - last.cpu_ns) as f64 / (used.uptime_ns - last.uptime_ns) as f64;
            let short = cores > 0.0 && cores >= granted * SHORT;
            used.short_until = if short { now + SHORT_FOR } else { last.short_until };
        }
        self.workloads.insert(workload.to_owned(), used);
    }

    /// The weight on a workload's utility.
    pub fn weight(&self, workload: &str, now: Nanos) -> f64 {
        if self.workloads.get(workload).is_some_and(|u| now < u.short_until) { SHORT_WEIGHT } else { 1.0 }
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
    fn a_weight_is_its_expectation_until_its_horizon() {
        let mut f = Forecast::new(Duration::from_secs(600));
        assert!(f.replace(&demand(&[item("a", 0.5, 5.0, 1000)]), Nanos::from_millis(100)).is_empty());
        assert_eq!(f.weight("a", Nanos::from_millis(1099)), 3.0);
        assert_eq!(f.weight("a", Nanos::from_millis(1100)), 1.0);
        assert_eq!(f.weight("b", Nanos::from_millis(200)), 1.0);
    }

    #[test]
    fn a_new_forecast_replaces_the_old_and_broken_items_are_left_out() {
        let mut f = Forecast::new(Duration::from_secs(600));
        f.replace(&demand(&[item("a", 1.0, 5.0, 1000)]), Nanos(0));
        let broken = [item("b", f32::NAN, 2.0, 1000), item("c", 0.5, -1.0, 1000), item("d", 1.0, 1e6, 1000)];
        assert_eq!(f.replace(&demand(&broken), Nanos(0)).len(), 2);
        assert_eq!(["a", "b", "c"].map(|w| f.weight(w, Nanos(1))), [1.0; 3]);
        assert_eq!(f.weight("d", Nanos(1)), MAX_WEIGHT);
    }

    #[test]
    fn no_horizon_is_longer_than_allowed() {
        let mut f = Forecast::new(Duration::from_secs(10));
        f.replace(&demand(&[item("a", 1.0, 2.0, u64::MAX / 1_000_000)]), Nanos(0));
        assert_eq!(f.weight("a", Nanos::from_millis(9_999)), 2.0);
        assert_eq!(f.weight("a", Nanos::from_millis(10_000)), 1.0);
    }

    #[test]
    fn a_weight_rises_at_once_and_falls_after_a_while() {
        let (mut w, hold) = (PeakHold::default(), Duration::from_millis(100));
        let mut at = |t: u64, wanted: f64| w.update(wanted, Nanos::from_millis(t), hold);
        assert_eq!([at(0, 1.0), at(10, 3.0), at(20, 1.0), at(119, 1.0)], [1.0, 3.0, 3.0, 3.0]);
        assert_eq!([at(120, 1.0), at(130, 2.0), at(140, 1.0), at(150, 2.0), at(245, 1.0)], [1.0, 2.0, 2.0, 2.0, 2.0]);
    }

    #[test]
    fn a_workload_that_uses_up_its_grant_is_short_for_a_while() {
        let mut s = ShortageDetector::default();
        let mut used = |pid, uptime_ms: u64, cpu_ms: u64, at: u64| {
            let (uptime_ns, cpu_ns) = (uptime_ms * 1_000_000, cpu_ms * 1_000_000);
            s.usage("w", CpuSample { pid, uptime_ns, cpu_ns, short_until: Nanos::ZERO }, 0.5, Nanos::from_millis(at));
            [0, 499, 500].map(|later| s.weight("w", Nanos::from_millis(at + later)) > 1.0)
        };
        assert_eq!(used(1, 0, 0, 0), [false; 3]);
        assert_eq!(used(1, 200, 10, 200), [false; 3]);
        assert_eq!(used(1, 400, 110, 400), [true, true, false]);
        // Restarted: nothing to compare with. Clocks that go back are no reason to panic.
        assert_eq!(used(2, 100, 90, 1000), [false; 3]);
        assert_eq!(used(2, 50, 80, 1100), [false; 3]);
    }
}
