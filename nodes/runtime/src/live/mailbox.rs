//! A node's mailbox: Zenoh's callbacks and device threads put messages in, the node's own thread takes them out.

use crate::time::Nanos;
use auriga_msgs::{Any, Reliability, TOPICS, TopicId, v1};
use bytes::Bytes;
use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard},
};

/// An item of the mailbox.
pub(crate) enum Item {
    /// Still encoded; decoding is the node's thread's work.
    Wire { topic: TopicId, publisher: Box<str>, payload: Bytes },
    /// From the node's own device.
    Device(Any),
    /// To be published as a fault of the node.
    Fault(Fault),
    /// A fault of the node is over.
    ClearFault { code: &'static str, subject: String },
}

pub(crate) struct Fault {
    pub severity: v1::Severity,
    pub code: &'static str,
    pub subject: String,
    pub text: String,
    /// See [`crate::Outbox::standing_fault`].
    pub standing: bool,
}

impl Item {
    /// Of a message.
    pub(crate) fn topic(&self) -> Option<TopicId> {
        match self {
            Item::Wire { topic, .. } => Some(*topic),
            Item::Device(any) => Some(any.topic()),
            Item::Fault(_) | Item::ClearFault { .. } => None,
        }
    }
}

/// Result of a wait on the mailbox.
pub(crate) enum Taken {
    Items(VecDeque<Item>),
    TimedOut,
    /// The node is to stop: what lay in the mailbox then. Nothing comes after it.
    Stopped(VecDeque<Item>),
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    /// Items of each topic in `items`, by [`TopicId`].
    counts: Vec<usize>,
    /// Best-effort messages replaced by newer ones.
    dropped: u64,
    /// Messages of reliable topics that found no room, or no time after a stop.
    lost: u64,
    stopped: bool,
}

/// Shared by everyone who delivers and the node's thread. One lock, held for a push or a swap.
pub(crate) struct Mailbox {
    queue: Mutex<Queue>,
    filled: Condvar,
    drained: Condvar,
}

impl Mailbox {
    pub(crate) fn new() -> Self {
        let queue = Queue { counts: vec![0; TOPICS.len()], ..Default::default() };
        Self { queue: Mutex::new(queue), filled: Condvar::new(), drained: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A push or a swap cannot panic half-way, so a poisoned queue is still consistent.
        self.queue.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Delivers without waiting: a full best-effort topic loses its oldest message; a full reliable one loses this
    /// message, which is counted and published as a fault. After a stop nothing is taken.
    pub(crate) fn push(&self, item: Item) {
        let mut q = self.lock();
        if !q.stopped && q.make_room(item.topic()) {
            q.add(item);
            drop(q);
            self.filled.notify_one();
        }
    }

    /// Delivers from a device thread: waits while a reliable topic is full. Returns false once the node is stopping.
    pub(crate) fn push_waiting(&self, item: Item) -> bool {
        let Some(topic) = item.topic() else {
            self.push(item);
            return true;
        };
        let mut q = self.lock();
        let spec = topic.spec();
        while spec.reliability == Reliability::Reliable && q.counts[topic as usize] >= spec.depth && !q.stopped {
            q = self.drained.wait(q).unwrap_or_else(|e| e.into_inner());
        }
        if q.stopped {
            return false;
        }
        if q.make_room(Some(topic)) {
            q.add(item);
            drop(q);
            self.filled.notify_one();
        }
        true
    }

    /// Takes all there is, waiting for the first until `deadline`.
    pub(crate) fn take(&self, deadline: Nanos) -> Taken {
        let mut q = self.lock();
        loop {
            if q.stopped {
                return Taken::Stopped(std::mem::take(&mut q.items));
            }
            if !q.items.is_empty() {
                q.counts.fill(0);
                let items = std::mem::take(&mut q.items);
                drop(q);
                self.drained.notify_all();
                return Taken::Items(items);
            }
            let left = deadline.since(Nanos::monotonic());
            if left.is_zero() {
                return Taken::TimedOut;
            }
            q = self.filled.wait_timeout(q, left).unwrap_or_else(|e| e.into_inner()).0;
        }
    }

    pub(crate) fn stop(&self) {
        self.lock().stopped = true;
        self.filled.notify_all();
        self.drained.notify_all();
    }

    pub(crate) fn stopping(&self) -> bool {
        self.lock().stopped
    }

    /// Counts messages of reliable topics that were taken out but not worked off.
    pub(crate) fn count_lost(&self, messages: u64) {
        self.lock().lost += messages;
    }

    /// Best-effort messages replaced and reliable ones lost so far.
    pub(crate) fn losses(&self) -> (u64, u64) {
        let q = self.lock();
        (q.dropped, q.lost)
    }
}

impl Queue {
    /// Returns whether there is room for one of `topic` now.
    fn make_room(&mut self, topic: Option<TopicId>) -> bool {
        let Some(topic) = topic else { return true };
        let spec = topic.spec();
        if self.counts[topic as usize] < spec.depth {
            return true;
        }
        if spec.reliability == Reliability::Reliable {
            self.lost += 1;
            return false;
        }
        if let Some(oldest) = self.items.iter().position(|i| i.topic() == Some(topic)) {
            self.items.remove(oldest);
            self.counts[topic as usize] -= 1;
            self.dropped += 1;
        }
        true
    }

    fn add(&mut self, item: Item) {
        if let Some(topic) = item.topic() {
            self.counts[topic as usize] += 1;
        }
        self.items.push_back(item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(topic: TopicId, tag: u8) -> Item {
        Item::Wire { topic, publisher: "".into(), payload: Bytes::copy_from_slice(&[tag]) }
    }
    fn tags(m: &Mailbox) -> Vec<u8> {
        match m.take(Nanos::ZERO) {
            Taken::Items(items) => {
                items.iter().map(|i| if let Item::Wire { payload, .. } = i { payload[0] } else { 255 }).collect()
            }
            _ => vec![],
        }
    }

    #[test]
    fn a_full_best_effort_topic_keeps_the_newest_and_counts_the_dropped() {
        let m = Mailbox::new();
        for tag in 0..3 {
            m.push(wire(TopicId::CameraFrontImage, tag));
        }
        assert_eq!(tags(&m), [2]);
        assert_eq!(m.losses(), (2, 0));
    }

    #[test]
    fn a_full_reliable_topic_never_displaces_what_it_holds() {
        let m = Mailbox::new();
        let depth = TopicId::DriveInfo.spec().depth;
        for tag in 0..=depth as u8 {
            m.push(wire(TopicId::DriveInfo, tag));
        }
        assert_eq!(tags(&m).len(), depth);
        assert_eq!(m.losses(), (0, 1));
    }

    #[test]
    fn messages_queued_before_a_stop_are_still_taken() {
        let m = Mailbox::new();
        m.push(wire(TopicId::DriveInfo, 1));
        m.push(wire(TopicId::DriveInfo, 2));
        m.stop();
        m.push(wire(TopicId::DriveInfo, 3));
        let Taken::Stopped(rest) = m.take(Nanos::ZERO) else { panic!("the mailbox is stopped") };
        assert_eq!(rest.len(), 2, "those of before the stop");
        assert!(matches!(m.take(Nanos::ZERO), Taken::Stopped(rest) if rest.is_empty()));
    }

    #[test]
    fn a_device_waits_for_room_until_a_stop() {
        let m = std::sync::Arc::new(Mailbox::new());
        let depth = TopicId::DeviceTranscript.spec().depth;
        let line = || Item::Device(Any::DeviceTranscript(Default::default()));
        for _ in 0..depth {
            assert!(m.push_waiting(line()));
        }
        let other = m.clone();
        let waiter = std::thread::spawn(move || (other.push_waiting(line()), other.push_waiting(line())));
        assert!(matches!(m.take(Nanos::ZERO), Taken::Items(i) if i.len() == depth));
        // The waiter now delivers two more without waiting: there is room.
        assert_eq!(waiter.join().unwrap(), (true, true));
        m.stop();
        assert!(!m.push_waiting(line()));
        assert_eq!(m.losses(), (0, 0));
    }
}
