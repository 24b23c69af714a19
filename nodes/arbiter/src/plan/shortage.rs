//! Weights on the workloads' utilities from their CPU use: the reactive alternative to a forecast.

use auriga_msgs::v1;
use auriga_runtime::Nanos;
use std::{collections::BTreeMap, time::Duration};

/// Detects workloads that use up their grant: weights without any forecast. It reacts only after a need went unmet, and a
/// steady load between two levels makes it oscillate.
#[derive(Debug, Default)]
pub struct ShortageDetector {
    workloads: BTreeMap<String, CpuSample>,
}

/// The CPU use of one workload at one instant.
#[derive(Debug, Clone, Copy)]
pub struct CpuSample {
    /// Its process.
    pub pid: u32,
    /// Since the process started.
    pub uptime_ns: u64,
    /// CPU time since the process started.
    pub cpu_ns: u64,
    short_until: Nanos,
}

impl CpuSample {
    /// From a usage message and one of its workloads.
    pub fn of(usage: &v1::Usage, workload: &v1::WorkloadUsage) -> Self {
        let (pid, uptime_ns, cpu_ns) = (usage.pid, usage.uptime_ns, workload.cpu_ns);
        Self { pid, uptime_ns, cpu_ns, short_until: Nanos::ZERO }
    }
}

/// A workload that uses at least this part of its grant is short.
const SHORT_PART: f64 = 0.8;
/// Weight of a workload that is short.
const SHORT_WEIGHT: f64 = 5.0;
/// How long one observation counts: two and a half periods of the usual usage messages.
const SHORT_FOR: Duration = Duration::from_millis(500);

impl ShortageDetector {
    /// Takes in what a workload has used; `granted`: the cores it holds. The caller passes only workloads of the table, so
    /// memory is bounded.
    pub fn update(&mut self, workload: &str, mut used: CpuSample, granted: f64, now: Nanos) {
        let last = self.workloads.get(workload);
        if let Some(last) =
            last.filter(|l| l.pid == used.pid && l.uptime_ns < used.uptime_ns && l.cpu_ns <= used.cpu_ns)
        {
            let cores = (used.cpu_ns - last.cpu_ns) as f64 / (used.uptime_ns - last.uptime_ns) as f64;
            let short = cores > 0.0 && cores >= granted * SHORT_PART;
            used.short_until = if short { now + SHORT_FOR } else { last.short_until };
        }
        self.workloads.insert(workload.to_owned(), used);
    }

    /// Weight on a workload's utility: 1, or more while it is short.
    pub fn weight(&self, workload: &str, now: Nanos) -> f64 {
        if self.workloads.get(workload).is_some_and(|u| now < u.short_until) { SHORT_WEIGHT } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_that_uses_up_its_grant_is_short_for_half_a_second() {
        let mut s = ShortageDetector::default();
        let mut used = |pid, uptime_ms: u64, cpu_ms: u64, at: u64| {
            let (uptime_ns, cpu_ns) = (uptime_ms * 1_000_000, cpu_ms * 1_000_000);
            s.update("w", CpuSample { pid, uptime_ns, cpu_ns, short_until: Nanos::ZERO }, 0.5, Nanos::from_millis(at));
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
