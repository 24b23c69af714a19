//! Whether safety nodes are overloaded: their deadline misses and lost messages, from their usage messages.

use super::hysteresis::Hysteresis;
use crate::config::ModesConfig;
use auriga_msgs::{Criticality, NODES, v1};
use auriga_runtime::Nanos;
use std::{collections::BTreeMap, time::Duration};

/// A node that has not reported its usage for this long is not counted any more.
const SILENCE: Duration = Duration::from_secs(2);
/// Rates are smoothed over about this long: one burst at start-up is no overload.
const SMOOTHING_S: f64 = 1.0;

/// The newest report of one node.
#[derive(Debug)]
struct NodeMisses {
    pid: u32,
    received: Nanos,
    uptime_ns: u64,
    misses: u64,
    rate_per_s: f64,
}

/// The misses of all safety nodes.
#[derive(Debug)]
pub struct Overload {
    demanding_limit: f64,
    limp_limit: f64,
    exit_factor: f64,
    nodes: BTreeMap<String, NodeMisses>,
    demanding: Hysteresis,
    limp: Hysteresis,
    rate_per_s: f64,
}

impl Overload {
    /// Nothing reported yet.
    pub fn new(c: &ModesConfig) -> Self {
        let (on_delay, off_delay) =
            (Duration::from_millis(c.overload_after_ms), Duration::from_millis(c.overload_exit_ms));
        Self {
            demanding_limit: c.demanding_misses_per_s,
            limp_limit: c.limp_misses_per_s,
            exit_factor: c.exit_factor,
            nodes: BTreeMap::new(),
            demanding: Hysteresis::new(on_delay, off_delay),
            limp: Hysteresis::new(on_delay, off_delay),
            rate_per_s: 0.0,
        }
    }

    /// Takes a node's usage in. Only safety nodes count.
    pub fn on_usage(&mut self, usage: &v1::Usage, now: Nanos) {
        let safety = |n: &auriga_msgs::NodeSpec| n.name == usage.node && n.criticality == Criticality::Safety;
        if !NODES.iter().any(safety) {
            return;
        }
        let misses = usage.deadline_misses.saturating_add(usage.messages_lost);
        let newest = NodeMisses { pid: usage.pid, received: now, uptime_ns: usage.uptime_ns, misses, rate_per_s: 0.0 };
        let Some(last) = self.nodes.get_mut(&usage.node).filter(|n| n.pid == usage.pid && n.misses <= misses) else {
            // New, or restarted: its counts begin again.
            self.nodes.insert(usage.node.clone(), newest);
            return;
        };
        let seconds = usage.uptime_ns.saturating_sub(last.uptime_ns) as f64 * 1e-9;
        if seconds < 0.01 {
            return;
        }
        let rate = (misses - last.misses) as f64 / seconds;
        let gain = (seconds / SMOOTHING_S).min(1.0);
        *last = NodeMisses { rate_per_s: last.rate_per_s + (rate - last.rate_per_s) * gain, ..newest };
    }

    /// Re-evaluates the conditions at `now`.
    pub fn evaluate(&mut self, now: Nanos) {
        self.nodes.retain(|_, n| now.since(n.received) <= SILENCE);
        self.rate_per_s = self.nodes.values().map(|n| n.rate_per_s).sum();
        let above = |limit: f64| (self.rate_per_s >= limit, self.rate_per_s >= limit * self.exit_factor);
        let (demanding, limp) = (above(self.demanding_limit), above(self.limp_limit));
        self.demanding.update(demanding.0, demanding.1, now);
        self.limp.update(limp.0, limp.1, now);
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
    fn a_silent_node_does_not_count_forever() {
        let mut o = Overload::new(&Config::default().modes);
        assert_eq!(feed(&mut o, "can", 0, 10_000, 500), (true, true));
        o.evaluate(Nanos::from_millis(13_000));
        o.evaluate(Nanos::from_millis(19_000));
        assert!(!o.is_limp() && !o.is_demanding());
    }
}
