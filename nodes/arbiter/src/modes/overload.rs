//! Whether safety work is late: deadline misses and lost messages of the safety nodes, from their usage messages.

use crate::{config::ModesConfig, modes::Hysteresis};
use auriga_msgs::{Criticality, NODES, v1};
use auriga_runtime::Nanos;
use std::{collections::BTreeMap, time::Duration};

/// A node that has not told its usage for this long is not counted any more.
const SILENCE: Duration = Duration::from_secs(2);
/// Rates are smoothed over about this long: one burst at start-up is no overload.
const SMOOTHING_S: f64 = 1.0;

#[derive(Debug)]
struct NodeMisses {
    pid: u32,
    at: Nanos,
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
    after: Duration,
    exit: Duration,
    nodes: BTreeMap<String, NodeMisses>,
    demanding: Hysteresis,
    limp: Hysteresis,
    rate_per_s: f64,
}

impl Overload {
    pub fn new(c: &ModesConfig) -> Self {
        Self {
            demanding_limit: c.demanding_misses_per_s,
            limp_limit: c.limp_misses_per_s,
            exit_factor: c.exit_factor,
            after: Duration::from_millis(c.overload_after_ms),
            exit: Duration::from_millis(c.overload_exit_ms),
            nodes: BTreeMap::new(),
            demanding: Hysteresis::default(),
            limp: Hysteresis::default(),
            rate_per_s: 0.0,
        }
    }

    /// Takes in a node's usage; those of other than safety nodes say nothing of safety.
    pub fn usage(&mut self, usage: &v1::Usage, now: Nanos) {
        let safety = |n: &auriga_msgs::NodeSpec| n.name == usage.node && n.criticality == Criticality::Safety;
        if !NODES.iter().any(safety) {
            return;
        }
        let misses = usage.deadline_misses.saturating_add(usage.messages_lost);
        let fresh = NodeMisses { pid: usage.pid, at: now, uptime_ns: usage.uptime_ns, misses, rate_per_s: 0.0 };
        let Some(seen) = self.nodes.get_mut(&usage.node).filter(|s| s.pid == usage.pid && s.misses <= misses) else {
            // New, or restarted: its counts begin again.
            self.nodes.insert(usage.node.clone(), fresh);
            return;
        };
        let seconds = usage.uptime_ns.saturating_sub(seen.uptime_ns) as f64 * 1e-9;
        if seconds < 0.01 {
            return;
        }
        let rate = (misses - seen.misses) as f64 / seconds;
        let part = (seconds / SMOOTHING_S).min(1.0);
        *seen = NodeMisses { rate_per_s: seen.rate_per_s + (rate - seen.rate_per_s) * part, ..fresh };
    }

    /// Settles what holds at `now`.
    pub fn update(&mut self, now: Nanos) {
        self.nodes.retain(|_, s| now.since(s.at) <= SILENCE);
        self.rate_per_s = self.nodes.values().map(|s| s.rate_per_s).sum();
        let rate = self.rate_per_s;
        let f = self.exit_factor;
        self.demanding.update(
            rate >= self.demanding_limit,
            rate >= self.demanding_limit * f,
            now,
            self.after,
            self.exit,
        );
        self.limp.update(rate >= self.limp_limit, rate >= self.limp_limit * f, now, self.after, self.exit);
    }

    /// Safety work is late now and then.
    pub fn demanding(&self) -> bool {
        self.demanding.is_on()
    }

    /// Safety work is late all the time.
    pub fn limp(&self) -> bool {
        self.limp.is_on()
    }

    /// For a reason.
    pub fn describe(&self) -> String {
        format!("safety nodes miss {:.0} deadlines per second", self.rate_per_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    fn usage(node: &str, pid: u32, t_ms: u64, misses: u64) -> v1::Usage {
        v1::Usage { node: node.into(), pid, uptime_ns: t_ms * 1_000_000, deadline_misses: misses, ..Default::default() }
    }

    /// Feeds `per_s` misses at 5 Hz from `from` to `to` (ms) and returns the state at the end.
    fn feed(o: &mut Overload, node: &str, from: u64, to: u64, per_s: u64) -> (bool, bool) {
        let start = o.nodes.get(node).map_or(0, |s| s.misses);
        for t in (from..=to).step_by(200) {
            o.usage(&usage(node, 1, t, start + (t - from) * per_s / 1000), Nanos::from_millis(t));
            o.update(Nanos::from_millis(t));
        }
        (o.demanding(), o.limp())
    }

    #[test]
    fn misses_for_a_while_are_overload_and_calm_for_a_while_ends_it() {
        let mut o = Overload::new(&Config::default().modes);
        assert_eq!(feed(&mut o, "can", 0, 1000, 50), (false, false), "not long enough");
        assert_eq!(feed(&mut o, "can", 1000, 4000, 50), (true, false));
        assert_eq!(feed(&mut o, "can", 4000, 12_000, 300), (true, true));
        assert_eq!(feed(&mut o, "can", 12_000, 15_000, 0), (true, true), "not long enough");
        assert_eq!(feed(&mut o, "can", 15_000, 30_000, 0), (false, false));
    }

    #[test]
    fn misses_of_infotainment_and_a_restart_are_no_overload() {
        let mut o = Overload::new(&Config::default().modes);
        assert_eq!(feed(&mut o, "recorder", 0, 10_000, 1000), (false, false));
        for k in 0..50u64 {
            // Each is a new process with many misses behind it already.
            o.usage(&usage("can", k as u32, 5000, 1000 * k), Nanos::from_millis(k * 200));
            o.update(Nanos::from_millis(k * 200));
        }
        assert!(!o.demanding());
    }

    #[test]
    fn a_node_that_is_silent_does_not_count_for_ever() {
        let mut o = Overload::new(&Config::default().modes);
        assert_eq!(feed(&mut o, "can", 0, 10_000, 500), (true, true));
        o.update(Nanos::from_millis(13_000));
        o.update(Nanos::from_millis(19_000));
        assert!(!o.limp() && !o.demanding());
    }
}
