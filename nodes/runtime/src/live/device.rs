//! The side of the mailbox that device threads see.

use super::mailbox::{Fault, Item, Mailbox};
use crate::time::Nanos;
use auriga_msgs::{NodeName, PublishedBy, Topic, node::Device, v1};
use std::{marker::PhantomData, sync::Arc, time::Duration};
use tracing::info;

/// How a device thread hands what it measured to its node.
pub struct DeviceSink<N> {
    mailbox: Arc<Mailbox>,
    start_at: Nanos,
    node: PhantomData<fn() -> N>,
}

impl<N> Clone for DeviceSink<N> {
    fn clone(&self) -> Self {
        Self { mailbox: self.mailbox.clone(), start_at: self.start_at, node: PhantomData }
    }
}

impl<N: NodeName> DeviceSink<N> {
    pub(super) fn new(mailbox: Arc<Mailbox>, start_at: Nanos) -> Self {
        Self { mailbox, start_at, node: PhantomData }
    }

    /// Hands a message to the node by the topic's QoS: best effort replaces the oldest, reliable waits for room.
    /// Returns false once the node is stopping.
    pub fn send<T: Topic + PublishedBy<Device>>(&self, message: T::Message) -> bool {
        debug_assert!(N::SPEC.reads.contains(&T::ID), "{} does not read {}", N::SPEC.name, T::ID.spec().name);
        self.mailbox.push_waiting(Item::Device(T::wrap(Arc::new(message))))
    }

    /// Raises a fault of the node, see [`crate::Outbox::fault`].
    pub fn fault(&self, severity: v1::Severity, code: &'static str, subject: &str, text: impl Into<String>) {
        self.raise(Fault { severity, code, subject: subject.into(), text: text.into(), standing: false });
    }

    /// Raises a fault that stays until it is cleared, see [`crate::Outbox::standing_fault`].
    pub fn standing_fault(&self, severity: v1::Severity, code: &'static str, subject: &str, text: impl Into<String>) {
        self.raise(Fault { severity, code, subject: subject.into(), text: text.into(), standing: true });
    }

    /// A fault of the node is over, see [`crate::Outbox::clear_fault`].
    pub fn clear_fault(&self, code: &'static str, subject: &str) {
        self.mailbox.push(Item::ClearFault { code, subject: subject.into() });
    }

    fn raise(&self, fault: Fault) {
        self.mailbox.push(Item::Fault(fault));
    }

    /// Whether the node is shutting down: a device thread then ends.
    pub fn stopping(&self) -> bool {
        self.mailbox.stopping()
    }

    /// The instant (CLOCK_MONOTONIC) that is time 0 of a file played as a device.
    pub fn start_at(&self) -> Nanos {
        self.start_at
    }

    /// Logs that a file played as a device is over. The node runs on.
    pub fn end_of_input(&self) {
        info!(node = N::SPEC.name, "end of input");
    }

    /// Sleeps until `time`; false when the node stops first.
    pub fn sleep_until(&self, time: Nanos) -> bool {
        loop {
            if self.stopping() {
                return false;
            }
            let left = time.since(Nanos::monotonic());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(Duration::from_millis(100)));
        }
    }
}
