//! Carries out what the grants mean to the kernel: a cgroup for each node with the weight of its grants, and real-time
//! priority for safety nodes. This is the shell's part: the state machine does no I/O, it emits a list of [`NodeShare`].
//!
//! Only a process of which [`NodeProcesses`] says that it is the node's is touched, whatever a usage message claims. Dropping
//! the [`Actuator`] moves every process back to its old group and policy and removes the groups.

mod cgroup;
mod process;
mod scheduler;
mod share;

pub use process::NodeProcesses;
pub use share::{NodeShare, Problem, Realtime};

use crate::config::ActuationConfig;
use auriga_runtime::processes::ProcessId;
use cgroup::Groups;
use scheduler::{Placed, reset_scheduling, set_realtime};
use share::{FAILED, SOFT_ONLY};
use std::collections::BTreeMap;

/// Carries out [`NodeShare`]s. It remembers what it has written, so that it writes only changes and can undo them.
pub struct Actuator {
    nodes: NodeProcesses,
    groups: Option<Groups>,
    /// Why there are no groups, until that has been returned once.
    unreported: Option<Problem>,
    /// The share of each node that was applied last, and its process.
    done: BTreeMap<&'static str, (NodeShare, ProcessId)>,
    /// Processes that are not the node's, as the last problem of it says.
    refused: BTreeMap<&'static str, u32>,
    realtime_refused: bool,
    /// The last of [`Self::threads_left`], by node: it is returned once.
    left: BTreeMap<&'static str, String>,
}

impl Actuator {
    /// Finds the cgroup hierarchy and makes the group "auriga" in it. If that fails, the first [`Self::apply`] returns why
    /// and only real-time priorities and the grants themselves act. `nodes`: which processes may be acted on.
    pub fn new(config: &ActuationConfig, nodes: NodeProcesses) -> Self {
        let groups = if config.cgroups { Groups::create(&config.cgroup_parent).map(Some) } else { Ok(None) };
        let unreported = groups.as_ref().err().map(|text| Problem {
            code: SOFT_ONLY,
            subject: "cgroups".into(),
            text: format!("{text}; the grants act only on workloads that obey them"),
        });
        Self {
            nodes,
            groups: groups.unwrap_or_default(),
            unreported,
            done: BTreeMap::new(),
            refused: BTreeMap::new(),
            realtime_refused: false,
            left: BTreeMap::new(),
        }
    }

    /// Applies the shares that changed since the last call. Returns what could not be done.
    pub fn apply(&mut self, shares: &[NodeShare]) -> Vec<Problem> {
        let mut problems: Vec<Problem> = self.unreported.take().into_iter().collect();
        for share in shares {
            // Threads that a process has started since are placed as well.
            if !share.threads.is_empty() || self.done.get(share.node).map(|(done, _)| done) != Some(share) {
                problems.extend(self.apply_if_node(share));
            }
        }
        problems
    }

    /// The threads of a node that run otherwise than they were analysed, when that has changed.
    fn threads_left(&mut self, share: &NodeShare, placed: &Placed) -> Option<Problem> {
        let mut parts = Vec::new();
        if !placed.without_row.is_empty() {
            let names = placed.without_row.join(", ");
            parts.push(format!("{names}: no row in the workload table, so under the ordinary scheduler"));
        }
        if !placed.unpinned.is_empty() {
            parts.push(format!("not pinned: {}", placed.unpinned.join(", ")));
        }
        let count = placed.placed + placed.unpinned.len() + placed.without_row.len();
        let text = format!("{} of {count} threads run as analysed; {}", placed.placed, parts.join("; "));
        let news = self.left.insert(share.node, text.clone()).as_ref() != Some(&text);
        tracing::debug!(node = share.node, "{text}");
        (news && !parts.is_empty()).then(|| Problem { code: FAILED, subject: share.node.into(), text })
    }

    /// Applies a share to a process that is the node's; of another one it returns once that it is left alone, and what was
    /// done before stays.
    fn apply_if_node(&mut self, share: &NodeShare) -> Vec<Problem> {
        match self.nodes.find(share.pid, share.node) {
            Ok(process) => {
                self.refused.remove(share.node);
                let problems = self.apply_one(share, process);
                // Remembered even if it failed: trying again at every switch would change nothing.
                self.done.insert(share.node, (share.clone(), process));
                problems
            }
            Err(_) if self.refused.get(share.node) == Some(&share.pid) => Vec::new(),
            Err(why) => {
                self.refused.insert(share.node, share.pid);
                let text = format!("a usage message of {} names a process that is left alone: {why}", share.node);
                vec![Problem { code: FAILED, subject: share.node.into(), text }]
            }
        }
    }

    fn apply_one(&mut self, share: &NodeShare, process: ProcessId) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !share.threads.is_empty() && !self.realtime_refused {
            match set_realtime(share.pid, &share.threads) {
                Ok(placed) => problems.extend(self.threads_left(share, &placed)),
                Err(e) => {
                    self.realtime_refused = true;
                    let text = format!("SCHED_FIFO was refused ({e}); give the arbiter CAP_SYS_NICE");
                    problems.push(Problem { code: SOFT_ONLY, subject: "realtime".into(), text });
                }
            }
        }
        let before = self.done.get(share.node).filter(|(_, before)| *before == process).map(|(done, _)| done);
        if let Some(groups) = &mut self.groups
            && let Err(e) = groups.apply(share, process, before)
        {
            let text = format!("{e}; the grants act only if the node obeys them");
            problems.push(Problem { code: FAILED, subject: share.node.into(), text });
        }
        problems
    }
}

impl Drop for Actuator {
    fn drop(&mut self) {
        for (_, process) in self.done.values().filter(|(s, process)| !s.threads.is_empty() && process.is_alive()) {
            reset_scheduling(process.pid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes() -> NodeProcesses {
        NodeProcesses::Installed { folder: "/".into(), uid: rustix::process::getuid().as_raw() }
    }

    #[test]
    fn a_process_that_is_not_the_node_is_left_alone_and_said_once() {
        let config = ActuationConfig { cgroups: false, ..crate::config::Config::default().actuation };
        let mut actuator = Actuator::new(&config, nodes());
        for pid in [std::process::id(), 0, u32::MAX] {
            let threads = vec![Realtime { thread: "main".into(), priority: 1, core: 0 }];
            let share = NodeShare { node: "hud", pid, cpu_weight: 1, quota_percent: None, threads };
            let problems = actuator.apply(std::slice::from_ref(&share));
            assert!(problems[0].text.contains("left alone"), "{problems:?}");
            assert_eq!(actuator.apply(&[NodeShare { cpu_weight: 2, ..share }]), []);
            assert!(actuator.done.is_empty());
        }
    }

    #[test]
    fn without_a_place_for_groups_it_says_once_that_only_the_grants_act() {
        let parent = "no/such/group".into();
        let config = ActuationConfig { cgroup_parent: parent, ..crate::config::Config::default().actuation };
        let mut actuator = Actuator::new(&config, nodes());
        let problems = actuator.apply(&[]);
        assert_eq!((problems.len(), problems[0].code), (1, SOFT_ONLY));
        assert_eq!(actuator.apply(&[]), []);
    }
}
