//! A node with its outbox and sequence numbers, as both shells run it.

use super::{Node, Outbox};
use crate::time::Nanos;
use auriga_msgs::{Any, FromAny, NodeName, NodeSpec, TopicId, v1};
use std::collections::HashMap;

/// Any node behind one type, with the bookkeeping both shells share.
pub(crate) trait Runner: Send {
    fn spec(&self) -> NodeSpec;
    /// Runs `on_input` (or, without input, `on_tick`) and returns what it published, headers complete.
    fn step(&mut self, input: Option<Any>, now: Nanos) -> Vec<Any>;
    /// When it wants its next tick.
    fn next_tick(&self) -> Option<Nanos>;
    /// See [`Node::workloads`].
    fn workloads(&self, now: Nanos) -> Vec<v1::WorkloadUsage>;
}

pub(crate) struct NodeRunner<N: Node> {
    node: N,
    pub(crate) outbox: Outbox<N>,
    sequences: HashMap<TopicId, u64>,
}

impl<N: Node> NodeRunner<N> {
    pub(crate) fn new(node: N, start: Nanos) -> Self {
        let mut outbox = Outbox::default();
        outbox.tick_at(start);
        Self { node, outbox, sequences: HashMap::new() }
    }

    /// What lies in the outbox, numbered.
    pub(crate) fn flush(&mut self) -> Vec<Any> {
        let mut messages = std::mem::take(&mut self.outbox.messages);
        for any in &mut messages {
            let seq = self.sequences.entry(any.topic()).or_default();
            any.header_mut().seq = *seq;
            *seq += 1;
        }
        messages
    }
}

impl<N: Node> Runner for NodeRunner<N> {
    fn spec(&self) -> NodeSpec {
        N::Name::SPEC
    }

    fn step(&mut self, input: Option<Any>, now: Nanos) -> Vec<Any> {
        match input {
            Some(any) => {
                if let Some(input) = <N::Name as NodeName>::Input::from_any(any) {
                    self.node.on_input(input, now, &mut self.outbox);
                }
            }
            None => {
                self.outbox.tick = None;
                self.node.on_tick(now, &mut self.outbox);
            }
        }
        self.flush()
    }

    fn next_tick(&self) -> Option<Nanos> {
        self.outbox.tick
    }

    fn workloads(&self, now: Nanos) -> Vec<v1::WorkloadUsage> {
        self.node.workloads(now)
    }
}
