//! Time alignment: the vehicle's state at any recent instant, from messages that come late, twice or out of order.

use super::validate::Motion;
use auriga_msgs::v1;
use auriga_runtime::Nanos;
use std::{collections::VecDeque, sync::Arc, time::Duration};

/// Samples kept at most, whatever their times: bounds memory. 10 s at 100 Hz.
const MAX_SAMPLES: usize = 1024;
/// Between two samples further apart than this the earlier one is held, not interpolated.
const MAX_GAP: Duration = Duration::from_millis(500);

/// A validated vehicle state.
#[derive(Debug, Clone)]
pub struct Sample {
    /// When it was measured.
    pub stamp: Nanos,
    /// Sequence number of its message.
    pub seq: u64,
    /// Trace id of its message.
    pub trace: u64,
    /// Its plausible values.
    pub motion: Motion,
    /// The message.
    pub message: Arc<v1::VehicleState>,
}

/// What happened to a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// Newer than all before.
    Newest,
    /// Inserted before newer ones.
    Late,
    /// Already known: the same stamp and sequence number.
    Duplicate,
    /// Older than what is kept.
    TooOld,
}

/// The vehicle's state at an instant.
#[derive(Debug, Clone, Copy)]
pub struct Aligned<'a> {
    /// Continuous values, interpolated.
    pub motion: Motion,
    /// The sample before, from which discrete values are held.
    pub base: &'a Sample,
    /// The instant minus the base's stamp; negative when there are only later samples.
    pub age_ns: i64,
}

/// The recent samples in order of their stamps.
#[derive(Debug)]
pub struct History {
    samples: VecDeque<Sample>,
    horizon: Duration,
}

impl History {
    /// `horizon`: samples older than this against the newest are dropped.
    pub fn new(horizon: Duration) -> Self {
        Self { samples: VecDeque::new(), horizon }
    }

    /// The sample with the newest stamp.
    pub fn newest(&self) -> Option<&Sample> {
        self.samples.back()
    }

    /// Inserts a sample by its stamp.
    pub fn insert(&mut self, sample: Sample) -> Inserted {
        let newest = self.samples.back().map_or(sample.stamp, |s| s.stamp.max(sample.stamp));
        if newest.since(sample.stamp) > self.horizon {
            return Inserted::TooOld;
        }
        // Samples almost always come in order, so the search begins at the end.
        let place = self.samples.iter().rposition(|s| s.stamp <= sample.stamp).map_or(0, |i| i + 1);
        let same_stamp = self.samples.range(..place).rev().take_while(|s| s.stamp == sample.stamp);
        if same_stamp.into_iter().any(|s| s.seq == sample.seq) {
            return Inserted::Duplicate;
        }
        let outcome = if place == self.samples.len() { Inserted::Newest } else { Inserted::Late };
        self.samples.insert(place, sample);
        while self.samples.len() > MAX_SAMPLES
            || self.samples.front().is_some_and(|s| newest.since(s.stamp) > self.horizon)
        {
            self.samples.pop_front();
        }
        outcome
    }

    /// The state at `instant`: continuous values linear between the samples around it, held after the last one;
    /// discrete values from the sample before. `None` without any sample.
    pub fn at(&self, instant: Nanos) -> Option<Aligned<'_>> {
        let after = self.samples.partition_point(|s| s.stamp <= instant);
        let base = self.samples.get(after.saturating_sub(1))?;
        let age_ns = signed_difference(instant, base.stamp);
        let motion = match self.samples.get(after) {
            Some(next) if age_ns >= 0 && next.stamp.since(base.stamp) <= MAX_GAP => {
                let gap = next.stamp.since(base.stamp).as_secs_f64();
                base.motion.lerp(&next.motion, age_ns as f64 * 1e-9 / gap)
            }
            _ => base.motion,
        };
        Some(Aligned { motion, base, age_ns })
    }
}

/// `a - b` in nanoseconds.
pub fn signed_difference(a: Nanos, b: Nanos) -> i64 {
    (i128::from(a.0) - i128::from(b.0)).clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(ms: u64, seq: u64, speed: f64) -> Sample {
        let motion = Motion { speed_mps: Some(speed), ..Default::default() };
        Sample { stamp: Nanos::from_millis(ms), seq, trace: 0, motion, message: Arc::default() }
    }

    fn history() -> History {
        History::new(Duration::from_secs(2))
    }

    fn speed(h: &History, ms: u64) -> f64 {
        h.at(Nanos::from_millis(ms)).unwrap().motion.speed_mps.unwrap()
    }

    #[test]
    fn values_are_interpolated_between_samples_and_held_after_the_last() {
        let mut h = history();
        h.insert(sample(100, 0, 10.0));
        h.insert(sample(200, 1, 20.0));
        assert_eq!(speed(&h, 150), 15.0);
        assert_eq!(speed(&h, 100), 10.0);
        assert_eq!(speed(&h, 230), 20.0);
        assert_eq!(h.at(Nanos::from_millis(230)).unwrap().age_ns, 30_000_000);
        assert_eq!(h.at(Nanos::from_millis(90)).unwrap().age_ns, -10_000_000);
        assert!(history().at(Nanos(5)).is_none());
    }

    #[test]
    fn values_are_held_across_a_gap() {
        let mut h = history();
        h.insert(sample(100, 0, 10.0));
        h.insert(sample(1100, 1, 20.0));
        assert_eq!(speed(&h, 600), 10.0);
    }

    #[test]
    fn late_samples_are_inserted_in_order_and_duplicates_and_old_ones_are_dropped() {
        let mut h = history();
        assert_eq!(h.insert(sample(1000, 0, 10.0)), Inserted::Newest);
        assert_eq!(h.insert(sample(1200, 2, 30.0)), Inserted::Newest);
        assert_eq!(h.insert(sample(1100, 1, 12.0)), Inserted::Late);
        assert_eq!(h.insert(sample(1100, 1, 99.0)), Inserted::Duplicate);
        assert_eq!(speed(&h, 1100), 12.0);
        assert_eq!(h.insert(sample(4000, 3, 1.0)), Inserted::Newest);
        assert_eq!(h.insert(sample(1300, 4, 1.0)), Inserted::TooOld);
        assert_eq!(h.samples.len(), 1);
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_does_not_change_the_state(
            stamps in proptest::collection::hash_set(0u64..1500, 1..40),
            shuffled in any::<proptest::sample::Index>(),
            at in 0u64..2000,
        ) {
            let mut order: Vec<u64> = stamps.into_iter().collect();
            order.sort();
            let fill = |order: &[u64]| {
                let mut h = history();
                order.iter().for_each(|&t| { h.insert(sample(t, t, t as f64)); });
                let a = h.at(Nanos::from_millis(at)).unwrap();
                (a.motion, a.age_ns)
            };
            let sorted = fill(&order);
            let turn = shuffled.index(order.len());
            order.rotate_left(turn);
            prop_assert_eq!(fill(&order), sorted);
            order.reverse();
            prop_assert_eq!(fill(&order), sorted);
        }

        #[test]
        fn memory_is_bounded_and_stamps_stay_ordered(
            stamps in proptest::collection::vec((any::<u64>(), 0u64..3), 0..300),
        ) {
            let mut h = history();
            for (t, seq) in stamps {
                h.insert(Sample { stamp: Nanos(t), ..sample(0, seq, 1.0) });
                prop_assert!(h.samples.iter().is_sorted_by_key(|s| s.stamp));
                prop_assert!(h.samples.len() <= MAX_SAMPLES);
            }
        }
    }
}
