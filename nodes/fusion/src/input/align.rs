//! Time alignment: the vehicle's state at any recent instant, from messages that come late, twice or out of order.

use super::checked::Motion;
use auriga_msgs::v1;
use auriga_runtime::Nanos;
use std::{collections::VecDeque, sync::Arc, time::Duration};

/// Samples kept at most, whatever their times: bounds memory against a flood. 100 Hz for 10 s.
const MAX_SAMPLES: usize = 1024;
/// Two samples further apart than this are not interpolated between: the earlier is held.
const MAX_GAP: Duration = Duration::from_millis(500);

/// A vehicle state, checked.
#[derive(Debug, Clone)]
pub struct Sample {
    pub stamp: Nanos,
    pub seq: u64,
    pub trace: u64,
    pub motion: Motion,
    pub message: Arc<v1::VehicleState>,
}

/// What became of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// Newer than all before.
    Newest,
    /// Put into its place among newer ones.
    Late,
    /// Known already: the same stamp and sequence number.
    Duplicate,
    /// Older than what is kept.
    TooOld,
}

/// The vehicle's state at an instant.
#[derive(Debug, Clone, Copy)]
pub struct Aligned<'a> {
    pub motion: Motion,
    /// The sample its discrete values are held from.
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
    pub fn new(horizon: Duration) -> Self {
        Self { samples: VecDeque::new(), horizon }
    }

    pub fn newest(&self) -> Option<&Sample> {
        self.samples.back()
    }

    pub fn insert(&mut self, sample: Sample) -> Inserted {
        let newest = self.samples.back().map_or(sample.stamp, |s| s.stamp.max(sample.stamp));
        if newest.since(sample.stamp) > self.horizon {
            return Inserted::TooOld;
        }
        // Samples almost always come in order, so the place is near the end.
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
    fn between_two_samples_is_interpolated_and_after_the_last_is_held() {
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
    fn a_hole_in_the_data_is_not_bridged_by_a_straight_line() {
        let mut h = history();
        h.insert(sample(100, 0, 10.0));
        h.insert(sample(1100, 1, 20.0));
        assert_eq!(speed(&h, 600), 10.0);
    }

    #[test]
    fn late_samples_find_their_place_and_duplicates_and_relics_are_refused() {
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
        fn any_order_of_the_same_samples_gives_the_same_state(
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
        fn memory_is_bounded_and_the_order_kept_whatever_comes(
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
