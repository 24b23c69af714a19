//! Continuity of sequence numbers: which jumps are losses, which are restarts, and which are believed at all.
//!
//! A publisher counts its messages of a topic from 0. A receiver keeps the number it expects next:
//!
//! * the expected number continues the count;
//! * a gap of up to [`SMALL_GAP`] messages is a loss and counts at once;
//! * every other number (a larger gap, one that goes back) is only remembered. It is believed when the next message
//!   continues it; then a gap of up to [`largest_gap`] messages counts as lost, and a number that went back or is further
//!   ahead is the count of a publisher that was restarted. If the next message continues the old count instead, the odd
//!   one has changed nothing.
//!
//! So one message with any number whatever neither counts as a loss nor ends the count. It is the probation of RFC 3550,
//! appendix A.1, with the difference that the message itself is not dropped: its content is judged by its stamp and
//! values.

use auriga_msgs::{NODES, TopicId};
use std::collections::{HashMap, VecDeque};

/// Largest gap that counts as lost without another message that continues behind it.
pub const SMALL_GAP: u64 = 16;

/// Publishers that are no node of the table whose numbers are followed, on all topics together: those heard last.
pub const MAX_FOREIGN: usize = 64;

/// Largest gap that is believed to be a loss: what a reader's queue holds and a minute of messages at twenty times the
/// topic's usual rate (`vehicle/state` follows the rate of the bus).
pub fn largest_gap(topic: TopicId) -> u64 {
    let spec = topic.spec();
    spec.depth as u64 + (spec.rate_hz * 20.0 * 60.0).ceil() as u64
}

/// What the number of a message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continuity {
    /// It is the first, or follows the one before; this many messages between them are missing.
    Missing(u64),
    /// It is further ahead than any loss: remembered, and believed when the next one continues it.
    Implausible {
        /// The number that was expected.
        expected: u64,
    },
    /// A larger gap or a number that goes back, remembered until the next message.
    Unconfirmed,
}

/// The count of one publisher on one topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Count {
    expected: u64,
    /// After an odd number: the one that would confirm it, and what was missing before it.
    odd: Option<(u64, u64)>,
}

impl Count {
    fn starting_at(seq: u64) -> Self {
        Self { expected: seq.wrapping_add(1), odd: None }
    }

    fn take(&mut self, seq: u64, largest: u64) -> Continuity {
        let gap = |expected: u64| seq.checked_sub(expected).filter(|gap| *gap <= largest);
        if let Some(missing) = gap(self.expected).filter(|gap| *gap <= SMALL_GAP) {
            *self = Self::starting_at(seq);
            return Continuity::Missing(missing);
        }
        if let Some((before, missing)) = self.odd.and_then(|(next, missing)| Some((missing, gap(next)?))) {
            *self = Self::starting_at(seq);
            return Continuity::Missing(before.saturating_add(missing));
        }
        let missing = gap(self.expected);
        self.odd = Some((seq.wrapping_add(1), missing.unwrap_or(0)));
        match missing.is_none() && seq > self.expected {
            true => Continuity::Implausible { expected: self.expected },
            false => Continuity::Unconfirmed,
        }
    }
}

/// The counts of all publishers on all topics. Nodes of the table always have room, of others the
/// [`MAX_FOREIGN`] heard last: their names come from the wire.
#[derive(Debug, Default)]
pub struct Sequences {
    nodes: HashMap<(TopicId, &'static str), Count>,
    /// The one heard last is the last.
    foreign: VecDeque<(TopicId, String, Count)>,
}

impl Sequences {
    /// Takes in the number of a message of `publisher` on `topic`. The first of each sets the count.
    pub fn take(&mut self, topic: TopicId, publisher: &str, seq: u64) -> Continuity {
        let largest = largest_gap(topic);
        // A device topic is its own node's.
        let of_table = NODES.iter().map(|n| n.name).chain(["device"]).find(|name| *name == publisher);
        if let Some(name) = of_table {
            return match self.nodes.get_mut(&(topic, name)) {
                Some(count) => count.take(seq, largest),
                None => {
                    self.nodes.insert((topic, name), Count::starting_at(seq));
                    Continuity::Missing(0)
                }
            };
        }
        let name = &publisher[..publisher.floor_char_boundary(MAX_NAME_BYTES)];
        let known = self.foreign.iter().position(|(t, n, _)| (*t, n.as_str()) == (topic, name));
        let (mut entry, continuity) = match known.and_then(|at| self.foreign.remove(at)) {
            Some(mut entry) => {
                let continuity = entry.2.take(seq, largest);
                (entry, continuity)
            }
            None => ((topic, name.to_owned(), Count::starting_at(seq)), Continuity::Missing(0)),
        };
        entry.0 = topic;
        if self.foreign.len() >= MAX_FOREIGN {
            self.foreign.pop_front();
        }
        self.foreign.push_back(entry);
        continuity
    }
}

/// Longer names of publishers are told apart by their beginning.
const MAX_NAME_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use Continuity::{Implausible, Missing, Unconfirmed};
    use proptest::prelude::*;

    const TOPIC: TopicId = TopicId::VehicleState;

    fn take(numbers: &[u64]) -> Vec<Continuity> {
        let mut sequences = Sequences::default();
        numbers.iter().map(|&seq| sequences.take(TOPIC, "can", seq)).collect()
    }

    #[test]
    fn one_number_that_cannot_be_changes_nothing() {
        for odd in [1 << 63, u64::MAX, 0, 3, 120_000] {
            let seen = take(&[50, 51, odd, 52, 53]);
            assert_eq!([&seen[..2], &seen[3..]].concat(), [Missing(0); 4], "{odd}: {seen:?}");
        }
        assert_eq!(take(&[50, 1 << 63])[1], Implausible { expected: 51 });
    }

    #[test]
    fn a_restarted_publisher_is_followed_from_its_second_message_on() {
        assert_eq!(
            take(&[900, 901, 0, 1, 2, 5]),
            [Missing(0), Missing(0), Unconfirmed, Missing(0), Missing(0), Missing(2)]
        );
        // A clock-like count far ahead, as another implementation may begin with.
        assert_eq!(take(&[5, 1 << 40, (1 << 40) + 1, (1 << 40) + 2])[2..], [Missing(0), Missing(0)]);
    }

    #[test]
    fn small_gaps_count_at_once_and_larger_ones_when_the_next_message_continues_behind_them() {
        assert_eq!(take(&[0, 17]), [Missing(0), Missing(16)]);
        assert_eq!(take(&[0, 2001, 2002, 2003]), [Missing(0), Unconfirmed, Missing(2000), Missing(0)]);
        assert_eq!(take(&[0, 2001, 2005])[2], Missing(2003));
    }

    #[test]
    fn names_from_the_wire_are_bounded_and_do_not_displace_nodes() {
        let mut sequences = Sequences::default();
        sequences.take(TopicId::Usage, "can", 7);
        for i in 0..10_000 {
            sequences.take(TopicId::Usage, &format!("stranger-{i}").repeat(20), 0);
        }
        assert_eq!((sequences.foreign.len(), sequences.nodes.len()), (MAX_FOREIGN, 1));
        assert_eq!(sequences.take(TopicId::Usage, "can", 9), Missing(1));
        assert_eq!(sequences.take(TopicId::CabinOutcome, "phone", 3), Missing(0));
        assert_eq!(sequences.take(TopicId::CabinOutcome, "phone", 5), Missing(1));
    }

    proptest! {
        /// Whatever numbers came, a count that continues is followed again from its third message on.
        #[test]
        fn after_any_numbers_a_true_count_is_followed_again(
            odd in proptest::collection::vec(prop_oneof![any::<u64>(), 0u64..300], 0..20),
            start in prop_oneof![any::<u32>().prop_map(u64::from), 0u64..300],
        ) {
            let mut sequences = Sequences::default();
            odd.iter().for_each(|&seq| _ = sequences.take(TOPIC, "can", seq));
            sequences.take(TOPIC, "can", start);
            sequences.take(TOPIC, "can", start + 1);
            for seq in 2..50 {
                prop_assert_eq!(sequences.take(TOPIC, "can", start + seq), Missing(0));
            }
        }

        /// One forged message in a count never counts as more than a small gap.
        #[test]
        fn a_forged_number_never_counts_as_many_losses(at in 1u64..50, forged in any::<u64>()) {
            let mut sequences = Sequences::default();
            let mut missing = 0;
            for seq in 1000..1100 {
                let mut take = |seq| if let Missing(n) = sequences.take(TOPIC, "can", seq) { missing += n };
                take(seq);
                if seq == 1000 + at {
                    take(forged);
                }
            }
            prop_assert!(missing <= SMALL_GAP, "{}", missing);
        }
    }
}
