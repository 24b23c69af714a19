//! The health of the nodes: what each uses, and the faults.

use crate::text::truncated;
use auriga_msgs::{Criticality, NODES, v1};
use auriga_runtime::Nanos;
use serde::Serialize;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use v1::Severity;

/// Faults kept.
const MAX_FAULTS: usize = 40;
/// The CPU load is measured over at least this time: over less it jumps.
const LOAD_PERIOD: Duration = Duration::from_millis(900);
/// A node that has published its usage before and has not for this long is silent.
const SILENT_AFTER: Duration = Duration::from_millis(1500);

/// A node as the page shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NodeState {
    /// Name in the topic table.
    pub name: &'static str,
    /// A node of criticality "safety".
    pub safety: bool,
    /// "running", "silent" or "absent".
    pub state: &'static str,
    /// Process id.
    pub pid: u32,
    /// Seconds since its start.
    pub uptime_s: f64,
    /// Of one core.
    pub cpu_percent: Option<f64>,
    /// Resident memory.
    pub rss_bytes: u64,
    /// Messages received.
    pub messages_in: u64,
    /// Messages published.
    pub messages_out: u64,
    /// Messages dropped from its queues.
    pub dropped: u64,
    /// Messages lost on the way to it.
    pub lost: u64,
    /// Deadlines missed.
    pub deadline_misses: u64,
}

/// An active fault as the page shows it; its repeats are one line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FaultState {
    /// The node that raised it.
    pub node: String,
    /// Its stable name.
    pub code: String,
    /// The topic, file or device it is about.
    pub subject: String,
    /// What was expected, what was found and what to do.
    pub text: String,
    /// "info", "warning" or "critical".
    pub severity: &'static str,
    /// How often it was raised.
    pub count: u64,
    /// Seconds since it was last published.
    pub age_s: f64,
}

struct Reported {
    usage: Arc<v1::Usage>,
    received: Nanos,
    /// CPU time and uptime at the start of the period that is measured.
    period_start: (u64, u64),
    cpu_percent: Option<f64>,
}

/// Collects usage and faults.
#[derive(Default)]
pub struct Health {
    nodes: BTreeMap<&'static str, Reported>,
    /// The active faults, the newest last.
    faults: VecDeque<(Nanos, v1::Fault)>,
}

impl Health {
    /// Takes a node's usage; that of a node which is not in the topic table is ignored.
    pub fn on_usage(&mut self, usage: Arc<v1::Usage>, now: Nanos) {
        let Some(spec) = NODES.iter().find(|n| n.name == usage.node) else { return };
        let total = (usage.cpu_ns, usage.uptime_ns);
        let Some(known) = self.nodes.get_mut(spec.name).filter(|k| {
            // Counts that go back are of another process, or the last message was wrong.
            k.usage.pid == usage.pid && k.period_start.0 <= total.0 && k.period_start.1 <= total.1
        }) else {
            self.nodes.insert(spec.name, Reported { usage, received: now, period_start: total, cpu_percent: None });
            return;
        };
        let start = known.period_start;
        let (cpu, time) = (total.0.saturating_sub(start.0), total.1.saturating_sub(start.1));
        if time >= LOAD_PERIOD.as_nanos() as u64 {
            known.cpu_percent = Some(100.0 * cpu as f64 / time as f64);
            known.period_start = total;
        }
        known.usage = usage;
        known.received = now;
    }

    /// Takes a fault that is raised, goes on or is cleared; a cleared one leaves the list.
    pub fn on_fault(&mut self, fault: &v1::Fault, now: Nanos) {
        // Bounded when they are taken in, not only when they are shown.
        let fault = v1::Fault {
            node: truncated(&fault.node, 60),
            code: truncated(&fault.code, 60),
            subject: truncated(&fault.subject, 120),
            text: truncated(&fault.text, 400),
            ..*fault
        };
        let same = |f: &v1::Fault| (&f.node, &f.code, &f.subject) == (&fault.node, &fault.code, &fault.subject);
        self.faults.retain(|(_, f)| !same(f));
        if !fault.is_active() {
            return;
        }
        self.faults.push_back((now, fault));
        if self.faults.len() > MAX_FAULTS {
            self.faults.pop_front();
        }
    }

    /// All nodes of the topic table, in its order.
    pub(super) fn nodes(&self, now: Nanos) -> Vec<NodeState> {
        let state = |spec: &auriga_msgs::NodeSpec| {
            let known = self.nodes.get(spec.name);
            let usage = known.map(|k| k.usage.as_ref().clone()).unwrap_or_default();
            NodeState {
                name: spec.name,
                safety: spec.criticality == Criticality::Safety,
                state: match known {
                    None => "absent",
                    Some(k) if now.since(k.received) > SILENT_AFTER => "silent",
                    Some(_) => "running",
                },
                pid: usage.pid,
                uptime_s: usage.uptime_ns as f64 * 1e-9,
                cpu_percent: known.and_then(|k| k.cpu_percent),
                rss_bytes: usage.rss_bytes,
                messages_in: usage.messages_in,
                messages_out: usage.messages_out,
                dropped: usage.messages_dropped,
                lost: usage.messages_lost,
                deadline_misses: usage.deadline_misses,
            }
        };
        NODES.iter().map(state).collect()
    }

    /// The active faults, the newest first.
    pub(super) fn faults(&self, now: Nanos) -> Vec<FaultState> {
        let state = |(at, f): &(Nanos, v1::Fault)| FaultState {
            node: f.node.clone(),
            code: f.code.clone(),
            subject: f.subject.clone(),
            text: f.text.clone(),
            severity: match f.severity() {
                Severity::Unspecified | Severity::Info => "info",
                Severity::Warning => "warning",
                Severity::Critical => "critical",
            },
            count: f.count,
            age_s: now.since(*at).as_secs_f64(),
        };
        self.faults.iter().rev().map(state).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(node: &str, cpu_ms: u64, uptime_ms: u64) -> Arc<v1::Usage> {
        let (cpu_ns, uptime_ns) = (cpu_ms * 1_000_000, uptime_ms * 1_000_000);
        Arc::new(v1::Usage { node: node.into(), pid: 7, cpu_ns, uptime_ns, ..Default::default() })
    }

    #[test]
    fn the_load_is_cpu_time_over_uptime_and_a_node_without_usage_becomes_silent() {
        let mut health = Health::default();
        for i in 0..=5 {
            health.on_usage(usage("camera", 50 * i, 200 * i), Nanos::from_millis(200 * i));
        }
        health.on_usage(usage("no-such-node", 1, 1), Nanos(0));
        let nodes = health.nodes(Nanos::from_millis(1100));
        assert_eq!(nodes.len(), NODES.len());
        let camera = nodes.iter().find(|n| n.name == "camera").unwrap();
        assert_eq!((camera.state, camera.cpu_percent), ("running", Some(25.0)));
        assert_eq!(nodes.iter().find(|n| n.name == "can").unwrap().state, "absent");
        // One message with counts that cannot be does not stop the measurement.
        let wrong = v1::Usage { uptime_ns: u64::MAX, cpu_ns: u64::MAX, ..usage("camera", 0, 0).as_ref().clone() };
        health.on_usage(Arc::new(wrong), Nanos::from_millis(1100));
        (6..=11).for_each(|i| health.on_usage(usage("camera", 50 * i, 200 * i), Nanos::from_millis(200 * i)));
        let again = health.nodes(Nanos::from_millis(2200));
        assert_eq!(again.iter().find(|n| n.name == "camera").unwrap().cpu_percent, Some(25.0));
        let later = health.nodes(Nanos::from_millis(9000));
        assert_eq!(later.iter().find(|n| n.name == "camera").unwrap().state, "silent");
    }

    #[test]
    fn a_cleared_fault_is_not_listed_until_it_is_raised_again() {
        let mut health = Health::default();
        let fault =
            |state: v1::FaultState| v1::Fault { code: "a".into(), state: state.into(), count: 1, ..Default::default() };
        health.on_fault(&fault(v1::FaultState::Raised), Nanos(0));
        assert_eq!(health.faults(Nanos(1)).len(), 1);
        health.on_fault(&fault(v1::FaultState::Cleared), Nanos(2));
        assert!(health.faults(Nanos(3)).is_empty());
        health.on_fault(&fault(v1::FaultState::Raised), Nanos(4));
        assert_eq!(health.faults(Nanos(5)).len(), 1);
    }

    #[test]
    fn repeats_of_a_fault_are_one_line_and_the_list_is_bounded() {
        let mut health = Health::default();
        let fault = |code: &str, count| v1::Fault { code: code.into(), count, ..Default::default() };
        health.on_fault(&fault("a", 1), Nanos(0));
        health.on_fault(&fault("b", 1), Nanos(1));
        health.on_fault(&fault("a", 2), Nanos(2));
        let faults = health.faults(Nanos(3));
        assert_eq!(faults.iter().map(|f| (f.code.as_str(), f.count)).collect::<Vec<_>>(), [("a", 2), ("b", 1)]);
        (0..200).for_each(|i| health.on_fault(&fault(&format!("c{i}"), 1), Nanos(i)));
        assert_eq!(health.faults(Nanos(0)).len(), MAX_FAULTS);
    }
}
