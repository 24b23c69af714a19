//! A node with its outbox and sequence numbers, as both shells run it.

use super::{Node, Outbox, stale::Validity};
use crate::{checks::received, time::Nanos};
use auriga_msgs::{Any, FromAny, NodeName, NodeSpec, TopicId, v1};
use std::collections::HashMap;

/// Any node behind one type, with the bookkeeping both shells share.
pub(crate) trait Runner: Send {
    fn spec(&self) -> NodeSpec;
    /// Clears faults that are over, runs `on_input` with what is believed of the input (see [`received`]; or, without
    /// input, `on_tick` if that is due) and returns what was published, numbered. An input past its topic's validity is
    /// dropped and published as a fault instead.
    fn step(&mut self, input: Option<Any>, now: Nanos) -> Vec<Any>;
    /// When it has to be stepped without input: for a tick, or for the end of a fault.
    fn next_due(&self) -> Option<Nanos>;
    /// See [`Node::workloads`].
    fn workloads(&self, now: Nanos) -> Vec<v1::WorkloadUsage>;
}

pub(crate) struct NodeRunner<N: Node> {
    node: N,
    pub(crate) outbox: Outbox<N>,
    sequences: HashMap<TopicId, u64>,
    validity: Validity,
}

impl<N: Node> NodeRunner<N> {
    pub(crate) fn new(node: N, start: Nanos) -> Self {
        let mut outbox = Outbox::default();
        outbox.tick_at(start);
        Self { node, outbox, sequences: HashMap::new(), validity: Validity::new(N::Name::SPEC) }
    }

    /// Inputs dropped so far because they were past their validity.
    pub(crate) fn stale(&self) -> u64 {
        self.validity.dropped()
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

impl<N: Node> NodeRunner<N> {
    fn take(&mut self, any: Any, now: Nanos) {
        let topic = any.topic().spec().name;
        if let Some(text) = self.validity.check(&any, now) {
            return self.outbox.fault(now, v1::Severity::Warning, "stale-message", topic, text);
        }
        let (any, refused) = received::check(any, now);
        if let Some(refusal) = refused {
            self.outbox.fault(now, v1::Severity::Warning, refusal.code, topic, refusal.text);
        }
        if let Some(input) = any.and_then(<N::Name as NodeName>::Input::from_any) {
            self.node.on_input(input, now, &mut self.outbox);
        }
    }
}

impl<N: Node> Runner for NodeRunner<N> {
    fn spec(&self) -> NodeSpec {
        N::Name::SPEC
    }

    fn step(&mut self, input: Option<Any>, now: Nanos) -> Vec<Any> {
        self.outbox.expire_faults(now);
        match input {
            Some(any) => self.take(any, now),
            None if self.outbox.tick.is_some_and(|at| at <= now) => {
                self.outbox.tick = None;
                self.node.on_tick(now, &mut self.outbox);
            }
            None => {}
        }
        self.flush()
    }

    fn next_due(&self) -> Option<Nanos> {
        self.outbox.due()
    }

    fn workloads(&self, now: Nanos) -> Vec<v1::WorkloadUsage> {
        self.node.workloads(now)
    }
}
