//! Messages that are too old to act on.
//!
//! A node that was stopped, starved or cut off finds the messages of that time in its sockets when it goes on. What is
//! older than its topic's `validity_ms` by the node's own clock is dropped and counted before the state machine sees it.
//! The age counts from when a message left its node, because many messages rightly speak of older evidence (a dialogue
//! turn of the sentence it answers); a device's message has no such time and counts from its stamp. Along a chain that
//! bounds the age of the content too, hop by hop.
//!
//! All nodes of a machine have one clock, CLOCK_MONOTONIC; in replay a message leaves its node at the instant at which it
//! is handed over, so nothing is dropped that was not dropped when it was recorded.

use crate::time::Nanos;
use auriga_msgs::{Any, NodeSpec};
use std::time::Duration;

/// Drops what is past its validity.
pub(crate) struct Validity {
    node: NodeSpec,
    dropped: u64,
}

impl Validity {
    pub(crate) fn new(node: NodeSpec) -> Self {
        Self { node, dropped: 0 }
    }

    /// Messages dropped since the start.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Why a message must not be handed to the node; `None`: it may.
    pub(crate) fn check(&mut self, any: &Any, now: Nanos) -> Option<String> {
        let topic = any.topic().spec();
        let validity = Duration::from_millis(topic.validity_ms?);
        if self.node.keeps_stale {
            return None;
        }
        let header = any.header();
        let time = if header.published_ns == 0 { header.stamp_ns } else { header.published_ns };
        if time == 0 && topic.is_device() {
            return None;
        }
        let age = now.since(Nanos(time));
        if age <= validity {
            return None;
        }
        self.dropped += 1;
        let (valid_ms, dropped) = (validity.as_millis(), self.dropped);
        Some(match time {
            0 => "a message without published_ns: its age cannot be told; its publisher must set it".to_owned(),
            _ => format!(
                "a message was {} ms old, it is valid for {valid_ms} ms; {dropped} dropped so far: this node or its \
                 input stood still",
                age.as_millis()
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use auriga_msgs::{NodeName, TOPICS, node, v1};
    use bytes::Bytes;
    use proptest::prelude::*;

    fn message(topic: usize, stamp_ns: u64, published_ns: u64) -> Any {
        let mut any = Any::decode(TOPICS[topic].id, Bytes::new()).unwrap();
        *any.header_mut() = v1::Header { stamp_ns, published_ns, ..Default::default() };
        any
    }

    proptest! {
        #[test]
        fn a_message_is_dropped_exactly_when_it_is_older_than_its_validity(
            topic in 0..TOPICS.len(),
            published_ms in 1..100_000u64,
            later_ms in 0..100_000u64,
        ) {
            let spec = &TOPICS[topic];
            let now = Nanos::from_millis(published_ms + later_ms);
            let published = Nanos::from_millis(published_ms).0;
            // The stamp of what left its node at a known time does not matter.
            let any = if spec.is_device() { message(topic, published, 0) } else { message(topic, 1, published) };
            let mut validity = Validity::new(node::Fusion::SPEC);
            let dropped = validity.check(&any, now).is_some();
            prop_assert_eq!(dropped, spec.validity_ms.is_some_and(|ms| later_ms > ms));
            prop_assert_eq!(validity.dropped(), u64::from(dropped));
            prop_assert!(Validity::new(node::Recorder::SPEC).check(&any, now).is_none(), "a recording keeps everything");
            prop_assert!(validity.check(&message(topic, now.0, now.0 + 1), now).is_none(), "ahead is not old");
        }
    }

    #[test]
    fn a_message_of_the_wire_without_a_time_is_dropped_and_a_devices_is_not() {
        let index = |name: &str| TOPICS.iter().position(|topic| topic.name == name).unwrap();
        let now = Nanos::from_millis(60_000);
        let mut validity = Validity::new(node::Can::SPEC);
        let text = validity.check(&message(index("vehicle/state"), 0, 0), now).unwrap();
        assert!(text.contains("published_ns"), "{text}");
        assert!(validity.check(&message(index("device/can"), 0, 0), now).is_none());
        // Tools of the vehicle that answer need not set it: the language node has a time limit of its own.
        assert!(validity.check(&message(index("cabin/outcome"), 0, 0), now).is_none());
    }
}
