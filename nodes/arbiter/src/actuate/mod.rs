//! Carries out what the grants mean to the kernel: a cgroup for each node with the weight of its grants, and real-time
//! priority for safety nodes. This is the shell's part: the state machine does no I/O, it emits a list of [`NodeShare`].
//!
//! Only a process whose executable is `auriga-<node>` is touched. Dropping the [`Actuator`] moves every process back to
//! its old group and policy and removes the groups.

mod cgroup;
mod process;
mod scheduler;
mod share;

pub use share::{NodeShare, Problem, Realtime};

use crate::config::ActuationConfig;
use cgroup::Groups;
use process::is_node;
use scheduler::{reset_scheduling, set_realtime};
use share::{FAILED, SOFT_ONLY};
use std::collections::BTreeMap;

/// Carries out [`NodeShare`]s. It remembers what it has written, so that it writes only changes and can undo them.
pub struct Actuator {
    groups: Option<Groups>,
    /// Why there are no groups, until that has been returned once.
    unreported: Option<Problem>,
    done: BTreeMap<&'static str, NodeShare>,
    realtime_refused: bool,
}

impl Actuator {
    /// Finds the cgroup hierarchy and makes the group "auriga" in it. If that fails, the first [`Self::apply`] returns why
    /// and only real-time priorities and the grants themselves act.
    pub fn new(config: &ActuationConfig) -> Self {
        let groups = if config.cgroups { Groups::create(&config.cgroup_parent).map(Some) } else { Ok(None) };
        let unreported = groups.as_ref().err().map(|text| Problem {
            code: SOFT_ONLY,
            subject: "cgroups".into(),
            text: format!("{text}; the grants act only on workloads that obey them"),
        });
        Self { groups: groups.unwrap_or_default(), unreported, done: BTreeMap::new(), realtime_refused: false }
    }

    /// Applies the shares that changed since the last call. Returns what could not be done.
    pub fn apply(&mut self, shares: &[NodeShare]) -> Vec<Problem> {
        let mut problems: Vec<Problem> = self.unreported.take().into_iter().collect();
        for share in shares {
            if self.done.get(share.node) != Some(share) {
                problems.extend(self.apply_one(share));
                // Remembered even if it failed: trying again at every switch would change nothing.
                self.done.insert(share.node, share.clone());
            }
        }
        problems
    }

    fn apply_one(&mut self, share: &NodeShare) -> Vec<Problem> {
        if !is_node(share.pid, share.node) {
            let text = format!("process {} is not auriga-{}; it is left alone", share.pid, share.node);
            return vec![Problem { code: FAILED, subject: share.node.into(), text }];
        }
        let mut problems = Vec::new();
        let before = self.done.get(share.node).filter(|d| d.pid == share.pid);
        if let Some(realtime) =
            share.realtime.filter(|r| !self.realtime_refused && before.and_then(|b| b.realtime) != Some(*r))
            && let Err(e) = set_realtime(share.pid, realtime)
        {
            self.realtime_refused = true;
            let text = format!("SCHED_FIFO was refused ({e}); give the arbiter CAP_SYS_NICE");
            problems.push(Problem { code: SOFT_ONLY, subject: "realtime".into(), text });
        }
        if let Some(groups) = &mut self.groups
            && let Err(e) = groups.apply(share, before)
        {
            let text = format!("{e}; the grants act only if the node obeys them");
            problems.push(Problem { code: FAILED, subject: share.node.into(), text });
        }
        problems
    }
}

impl Drop for Actuator {
    fn drop(&mut self) {
        for share in self.done.values().filter(|s| s.realtime.is_some() && is_node(s.pid, s.node)) {
            reset_scheduling(share.pid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_not_the_node_is_left_alone() {
        let config = ActuationConfig { cgroups: false, ..crate::config::Config::default().actuation };
        let mut actuator = Actuator::new(&config);
        let me = std::process::id();
        let realtime = Some(Realtime { priority: 1, core: 0 });
        for pid in [me, 0, u32::MAX] {
            let share = NodeShare { node: "hud", pid, cpu_weight: 1, quota_percent: None, realtime };
            let problems = actuator.apply(&[share]);
            assert!(problems[0].text.contains("is not auriga-hud"), "{problems:?}");
        }
    }

    #[test]
    fn without_a_place_for_groups_it_says_once_that_only_the_grants_act() {
        let parent = "no/such/group".into();
        let config = ActuationConfig { cgroup_parent: parent, ..crate::config::Config::default().actuation };
        let mut actuator = Actuator::new(&config);
        let problems = actuator.apply(&[]);
        assert_eq!((problems.len(), problems[0].code), (1, SOFT_ONLY));
        assert_eq!(actuator.apply(&[]), []);
    }
}
