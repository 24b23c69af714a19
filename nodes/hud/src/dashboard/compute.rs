//! The grants in force, their history over the last minute, and the latencies of the chains.

use crate::text::truncated;
use auriga_msgs::{CHAINS, v1};
use auriga_runtime::Nanos;
use serde::Serialize;
use std::{collections::VecDeque, sync::Arc};
use v1::Mode;

/// Most workloads shown; no workload table has more.
const MAX_WORKLOADS: usize = 24;
/// Samples kept for a page that has just connected: a minute at ten a second.
const HISTORY: usize = 600;

/// The plot's data at one instant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sample {
    /// Seconds on the node's clock.
    pub t_s: f64,
    /// The arbiter's mode, "none" without arbiter.
    pub mode: &'static str,
    /// A hazard was active at some time since the last sample.
    pub hazard: bool,
    /// CPU share of each workload, 0 to 1, in the order of [`Grants::workloads`].
    pub shares: Vec<f32>,
}

/// The grants in force.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Grants {
    /// The arbiter's mode, "none" without arbiter.
    pub mode: &'static str,
    /// Why the arbiter is in this mode.
    pub reason: String,
    /// Changes of the mode since the start.
    pub switches: u64,
    /// In the order of their first grant.
    pub workloads: Vec<Workload>,
}

/// A workload with its grant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Workload {
    /// Name in the workload table.
    pub name: String,
    /// The node it runs in.
    pub node: String,
    /// Granted service level.
    pub level: u32,
    /// Of all processors, 0 to 1.
    pub cpu_share: f32,
    /// 0 to 1.
    pub gpu_share: f32,
    /// Bytes.
    pub memory_bytes: u64,
    /// Whether it may run.
    pub run: bool,
    /// Milliseconds left of the lease; 0: it has ended, the workload is at its lowest level.
    pub lease_ms: u64,
}

/// The latency of one chain. Absent and not finite values are 0.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chain {
    /// Name in the topic table.
    pub name: &'static str,
    /// A chain of safety topics.
    pub safety: bool,
    /// Budget of the 99.9th percentile, in milliseconds.
    pub budget_ms: f64,
    /// Measurements.
    pub count: u64,
    /// Median, in milliseconds.
    pub p50_ms: f64,
    /// 99th percentile, in milliseconds.
    pub p99_ms: f64,
    /// 99.9th percentile, in milliseconds.
    pub p999_ms: f64,
    /// Greatest, in milliseconds.
    pub max_ms: f64,
    /// Measurements over the budget.
    pub over_budget: u64,
}

/// Totals of the drive's report.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Report {
    /// Messages seen by the monitor.
    pub messages: u64,
    /// Lost messages of reliable topics.
    pub lost: u64,
    /// The drive has ended.
    pub last: bool,
}

/// Collects grants and the drive's report.
#[derive(Default)]
pub struct Compute {
    grants: Option<Arc<v1::Grants>>,
    /// Workloads in the order of their first grant.
    names: Vec<String>,
    switches: u64,
    /// A hazard was active since the last sample, even if shorter than the time between two samples.
    hazard: bool,
    history: VecDeque<Arc<Sample>>,
    report: Option<Arc<v1::DriveReport>>,
}

impl Compute {
    /// Takes the arbiter's grants.
    pub fn on_grants(&mut self, grants: Arc<v1::Grants>) {
        // The arbiter always states all workloads: names of others make room.
        self.names.retain(|name| grants.grants.iter().any(|g| g.workload == *name));
        for grant in &grants.grants {
            if self.names.len() < MAX_WORKLOADS && !self.names.contains(&grant.workload) {
                self.names.push(grant.workload.clone());
            }
        }
        self.switches += u64::from(grants.switched);
        self.grants = Some(grants);
    }

    /// A hazard has started, changed or ended.
    pub fn on_hazard(&mut self) {
        self.hazard = true;
    }

    /// Takes the drive's report.
    pub fn on_report(&mut self, report: Arc<v1::DriveReport>) {
        self.report = Some(report);
    }

    fn grant(&self, name: &str) -> Option<&v1::Grant> {
        self.grants.as_ref()?.grants.iter().find(|g| g.workload == name)
    }

    fn mode(&self, now: Nanos) -> &'static str {
        // Without a lease in force there is no arbiter.
        let in_force = |g: &Arc<v1::Grants>| g.grants.iter().any(|g| now.0 < g.lease_end_ns);
        let Some(grants) = self.grants.as_ref().filter(|g| in_force(g)) else { return "none" };
        match grants.mode() {
            Mode::Unspecified => "none",
            mode => mode.name(),
        }
    }

    /// Takes the next sample of the plot.
    pub(super) fn sample(&mut self, now: Nanos, hazard: bool) -> Arc<Sample> {
        let share = |name: &String| {
            let grant = self.grant(name).filter(|g| g.run && now.0 < g.lease_end_ns);
            grant.map_or(0.0, |g| share(g.cpu_share))
        };
        let sample = Arc::new(Sample {
            t_s: now.as_secs_f64(),
            mode: self.mode(now),
            hazard: hazard || self.hazard,
            shares: self.names.iter().map(share).collect(),
        });
        self.hazard = false;
        self.history.push_back(sample.clone());
        if self.history.len() > HISTORY {
            self.history.pop_front();
        }
        sample
    }

    /// All samples kept, the oldest first.
    pub(super) fn history(&self) -> Vec<Arc<Sample>> {
        self.history.iter().cloned().collect()
    }

    /// The grants in force at `now`.
    pub(super) fn grants(&self, now: Nanos) -> Grants {
        let workload = |name: &String| {
            let grant = self.grant(name).cloned().unwrap_or_default();
            let left = Nanos(grant.lease_end_ns).since(now);
            Workload {
                name: truncated(name, 60),
                node: truncated(&grant.node, 60),
                level: grant.level,
                cpu_share: share(grant.cpu_share),
                gpu_share: share(grant.gpu_share),
                memory_bytes: grant.memory_bytes,
                run: grant.run && !left.is_zero(),
                lease_ms: left.as_millis() as u64,
            }
        };
        Grants {
            mode: self.mode(now),
            reason: self.grants.as_ref().map_or(String::new(), |g| truncated(&g.reason, 200)),
            switches: self.switches,
            workloads: self.names.iter().map(workload).collect(),
        }
    }

    /// A row for each chain of the topic table, measured or not.
    pub(super) fn chains(&self) -> Vec<Chain> {
        let stats = self.report.as_ref().map_or(&[][..], |r| &r.chains[..]);
        let row = |spec: &auriga_msgs::ChainSpec| {
            let s = stats.iter().find(|s| s.chain == spec.name).cloned().unwrap_or_default();
            Chain {
                name: spec.name,
                safety: spec.criticality == auriga_msgs::Criticality::Safety,
                budget_ms: spec.budget_ms,
                count: s.count,
                p50_ms: finite(s.p50_ms),
                p99_ms: finite(s.p99_ms),
                p999_ms: finite(s.p999_ms),
                max_ms: finite(s.max_ms),
                over_budget: s.over_budget,
            }
        };
        CHAINS.iter().map(row).collect()
    }

    /// The totals of the newest report.
    pub(super) fn report(&self) -> Option<Report> {
        self.report.as_ref().map(|r| Report { messages: r.messages, lost: r.lost_reliable, last: r.r#final })
    }
}

fn share(value: f64) -> f32 {
    if value.is_finite() { value.clamp(0.0, 1.0) as f32 } else { 0.0 }
}

fn finite(value: f64) -> f64 {
    if value.is_finite() { value.max(0.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(share: f64, end: u64) -> Arc<v1::Grants> {
        let grant = |workload: &str| v1::Grant {
            workload: workload.into(),
            cpu_share: share,
            run: true,
            lease_end_ns: end,
            ..Default::default()
        };
        let grants = vec![grant("hud-decor"), grant("recording")];
        Arc::new(v1::Grants { mode: Mode::Nominal.into(), grants, ..Default::default() })
    }

    #[test]
    fn an_expired_lease_shows_no_grant_and_no_mode() {
        let mut compute = Compute::default();
        compute.on_grants(grants(0.2, 1000));
        let (during, after) = (compute.sample(Nanos(999), false), compute.sample(Nanos(1000), false));
        assert_eq!((during.shares.as_slice(), during.mode), (&[0.2, 0.2][..], "nominal"));
        assert_eq!((after.shares.as_slice(), after.mode), (&[0.0, 0.0][..], "none"));
        assert_eq!(compute.grants(Nanos(2000)).workloads[0].lease_ms, 0);
    }

    #[test]
    fn a_hazard_between_two_samples_is_marked_and_the_history_is_bounded() {
        let mut compute = Compute::default();
        compute.on_hazard();
        assert!(compute.sample(Nanos(1), false).hazard);
        assert!(!compute.sample(Nanos(2), false).hazard);
        (0..2 * HISTORY as u64).for_each(|i| drop(compute.sample(Nanos(i), false)));
        assert_eq!(compute.history().len(), HISTORY);
    }

    #[test]
    fn every_chain_of_the_table_has_a_row_and_values_that_are_not_finite_become_zero() {
        let mut compute = Compute::default();
        let stats =
            v1::ChainStats { chain: CHAINS[0].name.into(), p50_ms: f64::NAN, max_ms: 3.0, ..Default::default() };
        compute.on_report(Arc::new(v1::DriveReport { chains: vec![stats], ..Default::default() }));
        let chains = compute.chains();
        assert_eq!(chains.len(), CHAINS.len());
        assert_eq!((chains[0].p50_ms, chains[0].max_ms), (0.0, 3.0));
        let mut many = grants(f64::INFINITY, 9).as_ref().clone();
        many.grants = (0..1000).map(|i| v1::Grant { workload: format!("w{i}"), ..Default::default() }).collect();
        compute.on_grants(Arc::new(many));
        assert!(compute.grants(Nanos(0)).workloads.len() <= MAX_WORKLOADS);
        compute.on_grants(grants(0.2, 1000));
        let names: Vec<String> = compute.grants(Nanos(0)).workloads.into_iter().map(|w| w.name).collect();
        assert_eq!(names, ["hud-decor", "recording"], "the next true grants are shown again");
    }
}
