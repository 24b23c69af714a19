//! The weights with which plans are computed, from the source that the configuration names.

use super::{
    forecast::Forecast,
    shortage::{CpuSample, ShortageDetector},
};
use crate::{
    config::{ForecastConfig, ForecastSource},
    table::WorkloadTable,
};
use auriga_msgs::v1;
use auriga_runtime::Nanos;
use std::time::Duration;

/// Weights on the utility of each workload.
pub struct UtilityWeights {
    source: ForecastSource,
    forecast: Forecast,
    shortage: ShortageDetector,
    hold: Duration,
    /// For each workload of the table.
    held: Vec<PeakHold>,
}

impl UtilityWeights {
    /// All weights are 1 until something is known.
    pub fn new(config: &ForecastConfig, workloads: usize) -> Self {
        Self {
            source: config.source,
            forecast: Forecast::new(Duration::from_millis(config.max_ms)),
            shortage: ShortageDetector::default(),
            hold: Duration::from_millis(config.hold_ms),
            held: vec![PeakHold::default(); workloads],
        }
    }

    /// Replaces the forecast. Returns what is wrong with the message, item by item.
    pub fn on_demand(&mut self, demand: &v1::Demand, now: Nanos) -> Vec<String> {
        self.forecast.replace(demand, now)
    }

    /// Takes in the CPU use of a workload of the table; `granted`: the cores it holds.
    pub fn on_cpu_use(&mut self, workload: &str, sample: CpuSample, granted: f64, now: Nanos) {
        self.shortage.update(workload, sample, granted, now);
    }

    /// The weights at `now`, in the table's order.
    pub fn at(&mut self, table: &WorkloadTable, now: Nanos) -> Vec<f64> {
        let input = |name: &str| match self.source {
            ForecastSource::Predictive => self.forecast.weight(name, now),
            ForecastSource::Reactive => self.shortage.weight(name, now),
            ForecastSource::None => 1.0,
        };
        let weights = table.workloads.iter().zip(&mut self.held);
        weights.map(|(w, held)| held.update(input(&w.name), now, self.hold)).collect()
    }
}

/// Follows a rising input at once and a falling one only after it was lower for a while.
#[derive(Debug, Clone, Default)]
struct PeakHold {
    value: Option<f64>,
    lower_since: Option<Nanos>,
}

impl PeakHold {
    /// Takes in the current input and returns the held value.
    fn update(&mut self, input: f64, now: Nanos, hold: Duration) -> f64 {
        let value = *self.value.get_or_insert(input);
        let rises = input >= value;
        if rises || now.since(*self.lower_since.get_or_insert(now)) >= hold {
            (self.value, self.lower_since) = (Some(input), None);
        }
        self.value.unwrap_or(input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_rises_at_once_and_falls_after_the_hold_time() {
        let (mut w, hold) = (PeakHold::default(), Duration::from_millis(100));
        let mut at = |t: u64, wanted: f64| w.update(wanted, Nanos::from_millis(t), hold);
        assert_eq!([at(0, 1.0), at(10, 3.0), at(20, 1.0), at(119, 1.0)], [1.0, 3.0, 3.0, 3.0]);
        assert_eq!([at(120, 1.0), at(130, 2.0), at(140, 1.0), at(150, 2.0), at(245, 1.0)], [1.0, 2.0, 2.0, 2.0, 2.0]);
    }
}
