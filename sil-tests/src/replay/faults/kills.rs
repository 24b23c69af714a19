//! Nodes that die and come back.

use super::spec::Faults;
use crate::replay::{nodes::Nodes, stream::at};
use anyhow::Result;
use auriga_runtime::{Nanos, ReplayControl};
use std::cmp::Reverse;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Kill,
    Restart,
}

/// Kills and restarts that are not due yet.
pub(in crate::replay) struct Kills {
    due: Vec<(Nanos, String, Step)>,
}

impl Kills {
    /// `running`: the nodes of the replay.
    pub fn new(faults: &Faults, start: Nanos, running: &[&str]) -> Result<Kills> {
        let mut due = Vec::new();
        for kill in &faults.kill {
            anyhow::ensure!(
                running.contains(&kill.node.as_str()),
                "faults.kill: node {} does not run in this replay; running: {}",
                kill.node,
                running.join(", ")
            );
            due.push((at(start, kill.at_s), kill.node.clone(), Step::Kill));
            due.extend(kill.restart_s.map(|s| (at(start, s), kill.node.clone(), Step::Restart)));
        }
        // Latest first: they are taken from the end.
        due.sort_by_key(|d| Reverse(d.0));
        Ok(Kills { due })
    }

    /// Kills and restarts what is due.
    pub fn at(&mut self, now: Nanos, control: &mut ReplayControl<'_>, nodes: &Nodes) -> Result<()> {
        while let Some((_, node, step)) = self.due.pop_if(|(t, _, _)| *t <= now) {
            match step {
                Step::Kill => drop(control.kill(&node)),
                Step::Restart => nodes.add(&node, control)?,
            }
        }
        Ok(())
    }
}
