//! What a node is: a state machine fed with messages and a clock.

pub(crate) mod lease;
pub(crate) mod runner;

use crate::time::Nanos;
use auriga_msgs::{Any, NodeName, PublishedBy, Topic, topic, v1};
use std::{collections::HashMap, sync::Arc};

/// A node's logic. It reads no clock, starts no thread and opens nothing; the same value runs under the live shell
/// ([`crate::Shell`]) and in replay ([`crate::Replay`]).
pub trait Node: Send + 'static {
    /// Its row in the table, from [`auriga_msgs::node`].
    type Name: NodeName;
    /// What it asks its shell to do in the world besides publishing (speak, set a cgroup, show a page). Replay drops
    /// effects, so nothing that later inputs depend on may be one. `()` when there is none.
    type Effect: Send + 'static;

    /// A message of a topic it reads.
    fn on_input(&mut self, input: <Self::Name as NodeName>::Input, now: Nanos, out: &mut Outbox<Self>);

    /// Called once at the start and then whenever a time asked for with [`Outbox::tick_at`] has come.
    fn on_tick(&mut self, now: Nanos, out: &mut Outbox<Self>);

    /// What the workloads in this node have used since its start, for its usage message: of a node that runs more than
    /// one, only it can tell. None by default.
    fn workloads(&self, _now: Nanos) -> Vec<v1::WorkloadUsage> {
        Vec::new()
    }
}

/// Where a node puts what it wants done.
pub struct Outbox<N: Node + ?Sized> {
    pub(crate) messages: Vec<Any>,
    pub(crate) effects: Vec<N::Effect>,
    pub(crate) tick: Option<Nanos>,
    fault_counts: HashMap<String, u64>,
}

impl<N: Node + ?Sized> Default for Outbox<N> {
    fn default() -> Self {
        Self { messages: Vec::new(), effects: Vec::new(), tick: None, fault_counts: HashMap::new() }
    }
}

impl<N: Node + ?Sized> Outbox<N> {
    /// Publishes on `T`, which the table must give to this node. The node sets the header's stamp and trace id
    /// ([`v1::Header::new`]); sequence and publishing time are filled in on the way out.
    pub fn publish<T: Topic + PublishedBy<N::Name>>(&mut self, message: T::Message) {
        self.messages.push(T::wrap(Arc::new(message)));
    }

    /// Publishes a fault. `code` is a stable kebab-case name, `subject` the topic, file or device it is about, `text`
    /// says what was expected, what was found and what to do. Repeats of a code and subject are published when their
    /// count reaches a power of two, so that a broken sensor cannot flood the bus.
    pub fn fault(&mut self, now: Nanos, severity: v1::Severity, code: &str, subject: &str, text: impl Into<String>) {
        let count = self.fault_counts.entry(format!("{code}\0{subject}")).or_default();
        *count += 1;
        if !count.is_power_of_two() {
            return;
        }
        let fault = v1::Fault {
            header: Some(v1::Header::new(now.0, 0)),
            node: N::Name::SPEC.name.into(),
            code: code.into(),
            text: text.into(),
            severity: severity.into(),
            subject: subject.into(),
            count: *count,
        };
        self.publish::<topic::Fault>(fault);
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
