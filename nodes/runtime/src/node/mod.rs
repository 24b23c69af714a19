//! A node: a state machine fed with messages and a clock.

pub mod faults;
pub(crate) mod lease;
pub(crate) mod runner;
mod stale;

use crate::time::Nanos;
use auriga_msgs::{Any, NodeName, PublishedBy, Topic, topic, v1};
use faults::{Faults, Raise};
use std::sync::Arc;

/// A node's logic. It reads no clock, starts no thread and opens nothing; the same value runs under the live shell
/// ([`crate::Shell`]) and in replay ([`crate::Replay`]).
pub trait Node: Send + 'static {
    /// Its row in the table, from [`auriga_msgs::node`].
    type Name: NodeName;
    /// A request to its shell besides publishing (speak, set a cgroup, show a page). Replay drops effects, so nothing that
    /// later inputs depend on may be one. `()` when there is none.
    type Effect: Send + 'static;

    /// A message of a topic it reads.
    fn on_input(&mut self, input: <Self::Name as NodeName>::Input, now: Nanos, out: &mut Outbox<Self>);

    /// Called once at the start and then whenever a time asked for with [`Outbox::tick_at`] has come.
    fn on_tick(&mut self, now: Nanos, out: &mut Outbox<Self>);

    /// CPU time of each workload in this node since its start, for the usage message. Only for nodes that run more than
    /// one workload; none by default.
    fn workloads(&self, _now: Nanos) -> Vec<v1::WorkloadUsage> {
        Vec::new()
    }
}

/// Takes what a node publishes, the faults it raises, its requests to the shell and its next tick.
pub struct Outbox<N: Node + ?Sized> {
    pub(crate) messages: Vec<Any>,
    pub(crate) effects: Vec<N::Effect>,
    pub(crate) tick: Option<Nanos>,
    faults: Faults,
}

impl<N: Node + ?Sized> Default for Outbox<N> {
    fn default() -> Self {
        Self { messages: Vec::new(), effects: Vec::new(), tick: None, faults: Faults::new(N::Name::SPEC.name) }
    }
}

impl<N: Node + ?Sized> Outbox<N> {
    /// Publishes on `T`, which the table must give to this node. The node sets the header's stamp and trace id
    /// ([`v1::Header::new`]); sequence and publishing time are filled in on the way out.
    pub fn publish<T: Topic + PublishedBy<N::Name>>(&mut self, message: T::Message) {
        self.messages.push(T::wrap(Arc::new(message)));
    }

    /// Raises a fault, or says that it goes on. `code` is a stable kebab-case name, `subject` the topic, file or device
    /// it is about, `text` says what was expected, what was found and what to do.
    ///
    /// The first raise is published at once; of the repeats those whose count is a power of two and one at least every
    /// [`faults::REPEAT_AFTER`], so that a broken sensor cannot flood the bus. A fault that was not raised for
    /// [`faults::CLEARED_AFTER`] is over, which is published too. See [`faults`].
    pub fn fault(&mut self, now: Nanos, severity: v1::Severity, code: &str, subject: &str, text: impl Into<String>) {
        self.raise(now, Raise { severity, code, subject, text: text.into(), standing: false });
    }

    /// As [`Self::fault`], for a condition that is found once and lasts: the fault is active until
    /// [`Self::clear_fault`].
    pub fn standing_fault(
        &mut self,
        now: Nanos,
        severity: v1::Severity,
        code: &str,
        subject: &str,
        text: impl Into<String>,
    ) {
        self.raise(now, Raise { severity, code, subject, text: text.into(), standing: true });
    }

    /// The fault is over: published, and its next raise is a first one. Nothing when it is not active, so that it may be
    /// called wherever the condition is seen to be good.
    pub fn clear_fault(&mut self, now: Nanos, code: &str, subject: &str) {
        let cleared = self.faults.clear(now, code, subject);
        cleared.into_iter().for_each(|fault| self.publish::<topic::Fault>(fault));
    }

    pub(crate) fn raise(&mut self, now: Nanos, raise: Raise<'_>) {
        let raised = self.faults.raise(now, raise);
        raised.into_iter().for_each(|fault| self.publish::<topic::Fault>(fault));
    }

    /// Clears the faults that were not raised for long enough.
    pub(crate) fn expire_faults(&mut self, now: Nanos) {
        let over = self.faults.expire(now);
        over.into_iter().for_each(|fault| self.publish::<topic::Fault>(fault));
    }

    /// When the node is next due: its tick, or the end of a fault.
    pub(crate) fn due(&self) -> Option<Nanos> {
        self.tick.into_iter().chain(self.faults.next_expiry()).min()
    }

    /// Asks the shell to do something.
    pub fn effect(&mut self, effect: N::Effect) {
        self.effects.push(effect);
    }

    /// Asks for [`Node::on_tick`] at `at`; the earliest time asked for since the last tick counts.
    pub fn tick_at(&mut self, at: Nanos) {
        self.tick = Some(self.tick.map_or(at, |t| t.min(at)));
    }

    /// What was published since the last call, oldest first: for tests of a state machine.
    pub fn take_messages(&mut self) -> Vec<Any> {
        std::mem::take(&mut self.messages)
    }

    /// What was asked of the shell since the last call: for tests of a state machine.
    pub fn take_effects(&mut self) -> Vec<N::Effect> {
        std::mem::take(&mut self.effects)
    }
}
