//! Lost messages, as the nodes count them.

use auriga_msgs::v1;
use std::collections::BTreeMap;

/// What the nodes count as lost themselves: messages that came to them and found no room, gaps that only they saw.
#[derive(Default)]
pub(crate) struct ToldLosses {
    /// By node: lost in its earlier lives, and so far in this one.
    nodes: BTreeMap<String, (u64, u64)>,
}

impl ToldLosses {
    pub(crate) fn take(&mut self, usage: &v1::Usage) {
        let (before, now) = self.nodes.entry(usage.node.clone()).or_default();
        if usage.messages_lost < *now {
            // A count that goes back is that of a node started anew.
            *before += *now;
        }
        *now = usage.messages_lost;
    }

    pub(crate) fn total(&self) -> u64 {
        self.nodes.values().map(|(before, now)| before + now).sum()
    }
}
