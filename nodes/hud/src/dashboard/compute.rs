//! Who may compute how much: the grants in force, their course over the last minute, and the chains' latencies.

use super::page_state::clipped;
use auriga_msgs::{CHAINS, v1};
use auriga_runtime::Nanos;
use serde::Serialize;
use std::{collections::VecDeque, sync::Arc};
use v1::Mode;

/// Workloads shown; more are not in any table.
const MAX_WORKLOADS: usize = 24;
/// Samples kept for who opens the page: a minute at ten a second.
const HISTORY: usize = 600;

/// The plot's data at one instant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sample {
    pub t_s: f64,
    pub mode: &'static str,
    pub hazard: bool,
    /// CPU share of each workload, in the order of [`Now::workloads`].
    pub shares: Vec<f32>,
}

/// The grants in force.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Now {
    pub mode: &'static str,
    pub reason: String,
    pub switches: u64,
    pub workloads: Vec<Workload>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Workload {
    pub name: String,
    pub node: String,
    pub level: u32,
    pub cpu_share: f32,
    pub gpu_share: f32,
    pub memory_bytes: u64,
    pub run: bool,
    /// What is left of the lease; 0: it has ended, the workload is at its floor.
    pub lease_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chain {
    pub name: &'static str,
    pub safety: bool,
    pub budget_ms: f64,
    pub count: u64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    pub max_ms: f64,
    pub over_budget: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Report {
    pub messages: u64,
    pub lost: u64,
    pub last: bool,
}

#[derive(Default)]
pub struct Compute {
    grants: Option<Arc<v1::Grants>>,
    /// In the order in which they were first granted something.
    names: Vec<String>,
    switches: u64,
    /// A hazard was on since the last sample, even if shorter than one.
    hazard: bool,
    history: VecDeque<Arc<Sample>>,
    report: Option<Arc<v1::DriveReport>>,
}

impl Compute {
    pub fn on_grants(&mut self, grants: Arc<v1::Grants>) {
        for grant in &grants.grants {
            if self.names.len() < MAX_WORKLOADS && !self.names.contains(&grant.workload) {
                self.names.push(grant.workload.clone());
            }
        }
        self.switches += u64::from(grants.switched);
        self.grants = Some(grants);
    }

    pub fn on_hazard(&mut self) {
        self.hazard = true;
    }

    pub fn on_report(&mut self, report: Arc<v1::DriveReport>) {
        self.report = Some(report);
    }

    fn grant(&self, name: &str) -> Option<&v1::Grant> {
        self.grants.as_ref()?.grants.iter().find(|g| g.workload == name)
    }

    fn mode(&self, now: Nanos) -> &'static str {
        // Without a lease in force nobody arbitrates.
        let in_force = |g: &Arc<v1::Grants>| g.grants.iter().any(|g| now.0 < g.lease_end_ns);
        let Some(grants) = self.grants.as_ref().filter(|g| in_force(g)) else { return "none" };
        match grants.mode() {
            Mode::Unspecified => "none",
            Mode::Parked => "parked",
            Mode::Nominal => "nominal",
            Mode::Demanding => "demanding",
            Mode::Hazard => "hazard",
            Mode::Limp => "limp",
            Mode::Thermal => "thermal",
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

    pub(super) fn history(&self) -> Vec<Arc<Sample>> {
        self.history.iter().cloned().collect()
    }

    pub(super) fn now(&self, now: Nanos) -> Now {
        let workload = |name: &String| {
            let grant = self.grant(name).cloned().unwrap_or_default();
            let left = Nanos(grant.lease_end_ns).since(now);
            Workload {
                name: clipped(name, 60),
                node: clipped(&grant.node, 60),
                level: grant.level,
                cpu_share: share(grant.cpu_share),
                gpu_share: share(grant.gpu_share),
                memory_bytes: grant.memory_bytes,
                run: grant.run && !left.is_zero(),
                lease_ms: left.as_millis() as u64,
            }
        };
        Now {
            mode: self.mode(now),
            reason: self.grants.as_ref().map_or(String::new(), |g| clipped(&g.reason, 200)),
            switches: self.switches,
            workloads: self.names.iter().map(workload).collect(),
        }
    }

    /// One row for each chain of the table, measured or not.
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
    fn a_lease_that_has_ended_shows_as_nothing_granted() {
        let mut compute = Compute::default();
        compute.on_grants(grants(0.2, 1000));
        let (during, after) = (compute.sample(Nanos(999), false), compute.sample(Nanos(1000), false));
        assert_eq!((during.shares.as_slice(), during.mode), (&[0.2, 0.2][..], "nominal"));
        assert_eq!((after.shares.as_slice(), after.mode), (&[0.0, 0.0][..], "none"));
        assert_eq!(compute.now(Nanos(2000)).workloads[0].lease_ms, 0);
    }

    #[test]
    fn a_hazard_shorter_than_a_sample_is_marked_and_the_history_is_bounded() {
        let mut compute = Compute::default();
        compute.on_hazard();
        assert!(compute.sample(Nanos(1), false).hazard);
        assert!(!compute.sample(Nanos(2), false).hazard);
        (0..2 * HISTORY as u64).for_each(|i| drop(compute.sample(Nanos(i), false)));
        assert_eq!(compute.history().len(), HISTORY);
    }

    #[test]
    fn every_chain_of_the_table_has_a_row_and_absurd_values_become_zero() {
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
        assert!(compute.now(Nanos(0)).workloads.len() <= MAX_WORKLOADS);
    }
}
