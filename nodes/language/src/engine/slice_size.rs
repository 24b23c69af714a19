//! How many layers make a slice: as many as fit into its target length at what a layer has taken lately.
//!
//! The times are measured outside ([`Slice`]) and come in here as numbers; where nothing is measured, in replay, the
//! size stays as configured and the same work is cut into the same slices each time.

use crate::engine::interface::Slice;
use std::time::Duration;

/// A slice of more layers than this would be a whole turn.
const MAX_LAYERS: usize = 4096;
/// The estimate follows a slower layer quickly and a faster one slowly, so that it settles near the slowest of them: a
/// slice that is too long holds up a revocation, one that is too short costs a little time.
const RATE_UP: f64 = 0.25;
const RATE_DOWN: f64 = 0.02;
/// A layer that seems slower than the estimate by more than this had to wait for the processor; it counts as this much.
const OUTLIER: f64 = 3.0;

/// The size of one class's slices.
#[derive(Debug, Clone, PartialEq)]
pub struct SliceSizer {
    target_ns: f64,
    configured: usize,
    /// Of one layer.
    cost_ns: Option<f64>,
}

impl SliceSizer {
    /// `configured`: layers of a slice until something has been measured.
    pub fn new(target: Duration, configured: usize) -> Self {
        Self { target_ns: target.as_nanos() as f64, configured: configured.max(1), cost_ns: None }
    }

    /// Layers of the next slice; at least one.
    pub fn layers(&self) -> usize {
        match self.cost_ns {
            None => self.configured,
            // A cost of nothing is infinitely many layers: the cast makes them the most there are.
            Some(cost) => ((self.target_ns / cost) as usize).clamp(1, MAX_LAYERS),
        }
    }

    /// Takes in what a slice has taken.
    pub fn took(&mut self, slice: &Slice) {
        if slice.layers == 0 {
            return;
        }
        let sample = slice.wall.as_nanos() as f64 / slice.layers as f64;
        let cost = *self.cost_ns.get_or_insert(self.target_ns / self.configured as f64);
        let rate = if sample > cost { RATE_UP } else { RATE_DOWN };
        self.cost_ns = Some(cost + rate * (sample.min(cost * OUTLIER) - cost));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ran(layers: usize, per_layer_us: u64) -> Slice {
        let time = Duration::from_micros(per_layer_us * layers as u64);
        Slice { layers, wall: time, cpu: time }
    }

    /// Runs slices whose layers take what `cost_us` says of the slice's number.
    fn run(pace: &mut SliceSizer, slices: usize, cost_us: impl Fn(usize) -> u64) {
        for i in 0..slices {
            let layers = pace.layers();
            pace.took(&ran(layers, cost_us(i)));
        }
    }

    const TARGET: Duration = Duration::from_millis(2);

    #[test]
    fn without_measurements_the_size_is_the_configured_one() {
        assert_eq!(SliceSizer::new(TARGET, 4).layers(), 4);
        assert_eq!(SliceSizer::new(TARGET, 0).layers(), 1);
    }

    #[test]
    fn a_machine_that_becomes_slower_gets_shorter_slices_at_once_and_longer_ones_when_it_recovers() {
        let mut pace = SliceSizer::new(TARGET, 4);
        run(&mut pace, 400, |_| 200);
        assert_eq!(pace.layers(), 9, "2 ms of layers that take little more than 0.2 ms by the estimate");
        // Hot, or on a slower core: three times as long.
        run(&mut pace, 12, |_| 600);
        assert_eq!(pace.layers(), 3);
        run(&mut pace, 400, |_| 200);
        assert_eq!(pace.layers(), 9);
    }

    #[test]
    fn one_slice_that_waited_for_the_processor_changes_little() {
        let mut pace = SliceSizer::new(TARGET, 8);
        run(&mut pace, 400, |_| 200);
        let before = pace.layers();
        pace.took(&ran(before, 50_000));
        assert!(pace.layers() * 2 > before, "{} of {before}", pace.layers());
        run(&mut pace, 100, |_| 200);
        assert_eq!(pace.layers(), before);
    }

    #[test]
    fn slices_keep_to_the_target_when_one_layer_in_ten_takes_twice_as_long() {
        let mut pace = SliceSizer::new(TARGET, 4);
        let cost = |i: usize| if i.is_multiple_of(10) { 400 } else { 200 };
        run(&mut pace, 500, cost);
        let (mut over, mut longest) = (0, 0);
        for i in 0..1000 {
            let layers = pace.layers();
            let us = layers as u64 * cost(i);
            over += usize::from(us > 2000);
            longest = longest.max(us);
            pace.took(&ran(layers, cost(i)));
        }
        assert!(over <= 100 && longest <= 4000, "{over} of 1000 over 2 ms, the longest {longest} µs");
    }

    proptest! {
        #[test]
        fn whatever_is_measured_a_slice_has_layers_and_no_end_of_them_is_asked_for(
            slices in prop::collection::vec((0usize..5000, any::<u64>()), 0..50),
        ) {
            let mut pace = SliceSizer::new(TARGET, 4);
            for (layers, ns) in slices {
                pace.took(&Slice { layers, wall: Duration::from_nanos(ns), cpu: Duration::ZERO });
                prop_assert!((1..=MAX_LAYERS).contains(&pace.layers()));
            }
        }
    }
}
