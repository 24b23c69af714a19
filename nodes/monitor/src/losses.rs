//! Lost messages of reliable topics, each counted once for each reader that it did not reach.

use auriga_msgs::{Any, NODES, NodeName, node, v1};
use auriga_runtime::chains::LossMonitor;
use std::collections::BTreeMap;

/// Every node counts what did not reach it and publishes the count with its usage. The monitor reads all topics and is
/// one of the readers: it counts gaps itself, because a recording or a replay has no usage of it.
#[derive(Default)]
pub(crate) struct Losses {
    seen_here: LossMonitor,
    reported: BTreeMap<&'static str, Count>,
}

/// A count of a node that may be started anew, and then counts from 0.
#[derive(Default)]
struct Count {
    earlier_processes: u64,
    this_process: u64,
}

impl Count {
    fn total(&self) -> u64 {
        self.earlier_processes.saturating_add(self.this_process)
    }
}

impl Losses {
    /// Takes in a message that reached the monitor.
    pub(crate) fn observe(&mut self, any: &Any) {
        self.seen_here.observe_message(any);
        if let Any::Usage(usage) = any {
            self.on_usage(usage);
        }
    }

    fn on_usage(&mut self, usage: &v1::Usage) {
        // Names of other nodes come from the wire without end.
        let Some(node) = NODES.iter().find(|n| n.name == usage.node) else { return };
        let count = self.reported.entry(node.name).or_default();
        if usage.messages_lost < count.this_process {
            count.earlier_processes = count.total();
        }
        count.this_process = usage.messages_lost;
    }

    /// Losses of all readers so far.
    pub(crate) fn total(&self) -> u64 {
        let own = node::Monitor::SPEC.name;
        let others = self.reported.iter().filter(|(node, _)| **node != own).map(|(_, count)| count.total());
        let others = others.fold(0, u64::saturating_add);
        // The monitor's own usage holds the gaps that are counted here, too: one of the two counts.
        let reported = self.reported.get(own).map_or(0, Count::total);
        others.saturating_add(self.seen_here.lost_reliable.max(reported))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(node: &str, seq: u64, messages_lost: u64) -> Any {
        let header = Some(v1::Header { seq, ..v1::Header::new(1, 0) });
        Any::Usage(v1::Usage { header, node: node.into(), messages_lost, ..Default::default() }.into())
    }

    fn lanes(seq: u64) -> Any {
        let header = Some(v1::Header { seq, ..v1::Header::new(1, 0) });
        Any::PerceptionLanes(v1::Lanes { header, ..Default::default() }.into())
    }

    #[test]
    fn losses_that_the_monitor_saw_and_reported_count_once() {
        let mut losses = Losses::default();
        [lanes(0), lanes(3)].iter().for_each(|any| losses.observe(any));
        assert_eq!(losses.total(), 2, "no usage, as in a replay");
        losses.observe(&usage("monitor", 0, 2));
        assert_eq!(losses.total(), 2);
        // What found the monitor's queue full is in its usage alone.
        losses.observe(&usage("monitor", 1, 5));
        losses.observe(&usage("hud", 0, 1));
        assert_eq!(losses.total(), 6);
    }

    #[test]
    fn only_nodes_of_the_table_count_and_no_count_overflows() {
        let mut losses = Losses::default();
        (0..10_000).for_each(|i| losses.observe(&usage(&format!("stranger-{i}"), 0, 1)));
        assert_eq!((losses.total(), losses.reported.len()), (0, 0));
        for lost in [u64::MAX, 0, u64::MAX, 1] {
            losses.observe(&usage("hud", 0, lost));
        }
        assert_eq!(losses.total(), u64::MAX);
    }

    #[test]
    fn a_node_that_was_restarted_keeps_its_earlier_count() {
        let mut losses = Losses::default();
        [(0, 2), (1, 3), (0, 0), (1, 1)].iter().for_each(|&(seq, lost)| losses.observe(&usage("hud", seq, lost)));
        assert_eq!(losses.total(), 4);
    }
}
