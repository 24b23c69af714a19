//! Whether safety nodes are overloaded or missing, from their usage messages.
//!
//! Overload: the deadline misses and lost messages of all safety nodes together, per second. Missing: a safety node that
//! reported and has been silent for `node_missing_ms`. A missing node cannot report misses, so it counts by itself,
//! until it reports again: a dead safety node never makes the arbiter more permissive. A node counts as one that reports from
//! its second report on that fits the one before: one message about a node that does not run must not mean limp mode for the
//! rest of the drive.

use super::hysteresis::Hysteresis;
use crate::config::ModesConfig;
use auriga_msgs::{Criticality, NODES, v1};
use auriga_runtime::Nanos;
use std::{collections::BTreeMap, time::Duration};

/// Time constant of the smoothing of rates, in seconds: one burst at start-up is no overload.
const SMOOTHING_S: f64 = 1.0;
/// Reports closer together than this are merged, in seconds.
const MIN_INTERVAL_S: f64 = 0.01;
/// A node counts as missing at most this many times the limit of limp mode: with more, one report of a count that cannot be
/// would mean limp mode for a while.
const MAX_RATE_FACTOR: f64 = 10.0;

/// The newest report of one node.
#[derive(Debug)]
struct NodeMisses {
    pid: u32,
    received: Nanos,
    uptime_ns: u64,
    misses: u64,
    rate_per_s: f64,
    /// Two reports in a row were of one process.
    confirmed: bool,
}

/// The state of all safety nodes.
#[derive(Debug)]
pub struct Overload {
    demanding_limit: f64,
    limp_limit: f64,
    exit_factor: f64,
    missing_after: Duration,
    nodes: BTreeMap<&'static str, NodeMisses>,
    demanding: Hysteresis,
    limp: Hysteresis,
    rate_per_s: f64,
}

impl Overload {
    /// Nothing reported yet.
    pub fn new(c: &ModesConfig) -> Self {
        let ms = Duration::from_millis;
        let (on_delay, off_delay) = (ms(c.overload_after_ms), ms(c.overload_exit_ms));
        Self {
            demanding_limit: c.demanding_misses_per_s,
            limp_limit: c.limp_misses_per_s,
            exit_factor: c.exit_factor,
            missing_after: ms(c.node_missing_ms),
            nodes: BTreeMap::new(),
            demanding: Hysteresis::new(on_delay, off_delay),
            limp: Hysteresis::new(on_delay, off_delay),
            rate_per_s: 0.0,
        }
    }

    /// Takes a node's usage in. Only safety nodes count.
    pub fn on_usage(&mut self, usage: &v1::Usage, now: Nanos) {
        let safety = |n: &&auriga_msgs::NodeSpec| n.name == usage.node && n.criticality == Criticality::Safety;
        let Some(node) = NODES.iter().find(safety) else { return };
        let misses = usage.deadline_misses.saturating_add(usage.messages_lost);
        let confirmed = self.nodes.get(node.name).is_some_and(|n| n.confirmed);
        let (pid, uptime_ns) = (usage.pid, usage.uptime_ns);
        let newest = NodeMisses { pid, received: now, uptime_ns, misses, rate_per_s: 0.0, confirmed };
        let Some(last) = self
            .nodes
            .get_mut(node.name)
            .filter(|n| n.pid == usage.pid && n.misses <= misses && n.uptime_ns <= usage.uptime_ns)
        else {
            // New, or restarted, or the last report was wrong: its counts begin again.
            self.nodes.insert(node.name, newest);
            return;
        };
        (last.received, last.confirmed) = (now, true);
        let seconds = usage.uptime_ns.saturating_sub(last.uptime_ns) as f64 * 1e-9;
        if seconds < MIN_INTERVAL_S {
            return;
        }
        let rate = ((misses - last.misses) as f64 / seconds).min(self.limp_limit * MAX_RATE_FACTOR);
        // First-order low-pass over the time between two reports, so that the reporting period does not matter.
        let gain = 1.0 - (-seconds / SMOOTHING_S).exp();
        *last = NodeMisses { rate_per_s: last.rate_per_s + (rate - last.rate_per_s) * gain, confirmed: true, ..newest };
    }

    /// Re-evaluates the conditions at `now`.
    pub fn evaluate(&mut self, now: Nanos) {
        self.rate_per_s = self.nodes.values().map(|n| n.rate_per_s).sum();
        let above = |limit: f64| (self.rate_per_s >= limit, self.rate_per_s >= limit * self.exit_factor);
        let (demanding, limp) = (above(self.demanding_limit), above(self.limp_limit));
        self.demanding.update(demanding.0, demanding.1, now);
        self.limp.update(limp.0, limp.1, now);
    }

    /// The first safety node that reported and has been silent for too long.
    pub fn missing(&self, now: Nanos) -> Option<&'static str> {
        self.nodes
            .iter()
            .find(|(_, n)| n.confirmed && now.since(n.received) > self.missing_after)
            .map(|(&name, _)| name)
    }

    /// Whether safety nodes miss deadlines now and then.
    pub fn is_demanding(&self) -> bool {
        self.demanding.is_active()
    }

    /// Whether safety nodes miss deadlines all the time.
    pub fn is_limp(&self) -> bool {
        self.limp.is_active()
    }

    /// The rate of misses, for the reason of a decision.
    pub fn describe(&self) -> String {
        format!("safety nodes miss {:.0} deadlines per second", self.rate_per_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn usage(node: &str, pid: u32, t_ms: u64, misses: u64) -> v1::Usage {
        v1::Usage { node: node.into(), pid, uptime_ns: t_ms * 1_000_000, deadline_misses: misses, ..Default::default() }
    }

    /// Feeds `per_s` misses at 5 Hz from `from` to `to` (ms) and returns the state at the end.
    fn feed(o: &mut Overload, node: &str, from: u64, to: u64, per_s: u64) -> (bool, bool) {
        let start = o.nodes.get(node).map_or(0, |s| s.misses);
        for t in (from..=to).step_by(200) {
            o.on_usage(&usage(node, 1, t, start + (t - from) * per_s / 1000), Nanos::from_millis(t));
            o.evaluate(Nanos::from_millis(t));
        }
        (o.is_demanding(), o.is_limp())
    }

    #[test]
    fn overload_begins_and_ends_after_its_delays() {
        let mut o = Overload::new(&Config::default().modes);
        assert_eq!(feed(&mut o, "can", 0, 1000, 50), (false, false), "not long enough");
        assert_eq!(feed(&mut o, "can", 1000, 4000, 50), (true, false));
        assert_eq!(feed(&mut o, "can", 4000, 12_000, 300), (true, true));
        assert_eq!(feed(&mut o, "can", 12_000, 15_000, 0), (true, true), "not long enough");
        assert_eq!(feed(&mut o, "can", 15_000, 30_000, 0), (false, false));
    }

    #[test]
    fn misses_of_infotainment_nodes_and_of_restarted_processes_do_not_count() {
        let mut o = Overload::new(&Config::default().modes);
        assert_eq!(feed(&mut o, "recorder", 0, 10_000, 1000), (false, false));
        for k in 0..50u64 {
            // Each is a new process with many misses behind it already.
            o.on_usage(&usage("can", k as u32, 5000, 1000 * k), Nanos::from_millis(k * 200));
            o.evaluate(Nanos::from_millis(k * 200));
        }
        assert!(!o.is_demanding());
    }

    #[test]
    fn a_safety_node_that_stops_reporting_is_missing_until_it_reports_again() {
        let mut o = Overload::new(&Config::default().modes);
        assert_eq!(feed(&mut o, "can", 0, 10_000, 0), (false, false));
        assert_eq!(o.missing(Nanos::from_millis(12_000)), None);
        for minutes in 0..60 {
            assert_eq!(o.missing(Nanos::from_millis(12_001 + minutes * 60_000)), Some("can"));
        }
        o.on_usage(&usage("can", 2, 100, 0), Nanos::from_millis(4_000_000));
        assert_eq!(o.missing(Nanos::from_millis(4_000_100)), None);
        o.on_usage(&usage("recorder", 3, 100, 0), Nanos::from_millis(4_000_100));
        o.on_usage(&usage("can", 2, 9000, 0), Nanos::from_millis(4_009_000));
        assert_eq!(o.missing(Nanos::from_millis(4_009_000)), None, "only safety nodes count");
    }

    #[test]
    fn one_report_about_a_node_that_does_not_run_means_nothing() {
        let mut o = Overload::new(&Config::default().modes);
        o.on_usage(&usage("camera", 7, 1000, 0), Nanos::from_millis(1000));
        assert_eq!(o.missing(Nanos::from_millis(60_000)), None);
        // A process that runs, and its next life.
        feed(&mut o, "can", 1000, 2000, 0);
        o.on_usage(&usage("can", 8, 100, 0), Nanos::from_millis(2500));
        assert_eq!(o.missing(Nanos::from_millis(4501)), Some("can"));
    }

    #[test]
    fn an_overload_does_not_end_because_its_node_dies() {
        let mut o = Overload::new(&Config::default().modes);
        assert_eq!(feed(&mut o, "can", 0, 10_000, 500), (true, true));
        for t in (10_000..60_000).step_by(100) {
            o.evaluate(Nanos::from_millis(t));
            assert!(o.is_limp(), "{t} ms");
        }
    }

    #[test]
    fn one_report_with_any_counts_neither_means_limp_nor_hides_an_overload() {
        for (pid, uptime_ms, misses) in [
            (1, 10_050, 1 << 63),
            (1, u64::MAX / 1_000_000, 0),
            (1, u64::MAX / 1_000_000, u64::MAX),
            (9, 0, 0),
            (1, 0, u64::MAX),
        ] {
            for overloaded in [false, true] {
                let mut o = Overload::new(&Config::default().modes);
                let per_s = if overloaded { 1000 } else { 0 };
                assert_eq!(feed(&mut o, "can", 0, 10_000, per_s).1, overloaded);
                o.on_usage(&usage("can", pid, uptime_ms, misses), Nanos::from_millis(10_050));
                for t in (10_200..14_000).step_by(200) {
                    o.on_usage(&usage("can", 1, t, t * per_s / 1000), Nanos::from_millis(t));
                    o.evaluate(Nanos::from_millis(t));
                    assert_eq!(o.is_limp(), overloaded, "{pid} {uptime_ms} {misses} at {t} ms");
                }
                assert!((o.rate_per_s - per_s as f64).abs() < 100.0, "{} of {per_s}", o.rate_per_s);
            }
        }
    }

    #[test]
    fn the_rate_does_not_depend_on_the_reporting_period() {
        let rate_after_2_s = |period_ms: u64| {
            let mut o = Overload::new(&Config::default().modes);
            for t in (0..=2000).step_by(period_ms as usize) {
                o.on_usage(&usage("can", 1, t, t / 10), Nanos::from_millis(t));
            }
            o.evaluate(Nanos::from_millis(2000));
            o.rate_per_s
        };
        let expected = 100.0 * (1.0 - (-2.0f64).exp());
        for period_ms in [50, 100, 200, 500, 1000, 2000] {
            let rate = rate_after_2_s(period_ms);
            assert!((rate - expected).abs() < 1e-6, "{rate} at a period of {period_ms} ms");
        }
    }
}
