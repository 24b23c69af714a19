//! How many layers make a slice: as many as fit into its target length at the present cost of a layer.
//!
//! The cost is measured outside ([`Slice`]). Where nothing is measured, as in replay, the size stays as configured, so
//! that the same work is cut into the same slices each time.

use super::interface::Slice;
use std::time::Duration;

/// Upper bound of layers per slice; a whole turn has fewer.
const MAX_LAYERS: usize = 4096;
/// Smoothing factors of the estimate: it follows slower layers quickly and faster ones slowly, so that it settles near
/// the slowest. A slice that is too long delays a revocation; one that is too short costs a little time.
const RATE_UP: f64 = 0.25;
const RATE_DOWN: f64 = 0.02;
/// Samples above this multiple of the estimate are clipped to it: such a layer had to wait for the processor.
const OUTLIER: f64 = 3.0;

/// The slice size of one class, by asymmetric exponential smoothing of the cost of a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct SliceSizer {
    target_ns: f64,
    configured: usize,
    /// Estimated cost of one layer; `None` before the first measurement.
    cost_ns: Option<f64>,
}

impl SliceSizer {
    /// `target`: length of a slice; `configured`: layers per slice until something has been measured.
    pub fn new(target: Duration, configured: usize) -> Self {
        Self { target_ns: target.as_nanos() as f64, configured: configured.max(1), cost_ns: None }
    }

    /// Layers of the next slice, at least one.
    pub fn layers(&self) -> usize {
        match self.cost_ns {
            None => self.configured,
            // A cost of zero gives infinity, which the cast saturates.
            Some(cost) => ((self.target_ns / cost) as usize).clamp(1, MAX_LAYERS),
        }
    }

    /// Updates the estimate with a measured slice.
    pub fn record(&mut self, slice: &Slice) {
        if slice.layers == 0 {
            return;
        }
        let sample = slice.elapsed.as_nanos() as f64 / slice.layers as f64;
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
        Slice { layers, elapsed: time, cpu: time }
    }

    /// Runs slices; `cost_us`: cost of a layer in slice number i, in microseconds.
    fn run(sizer: &mut SliceSizer, slices: usize, cost_us: impl Fn(usize) -> u64) {
        for i in 0..slices {
            let layers = sizer.layers();
            sizer.record(&ran(layers, cost_us(i)));
        }
    }

    const TARGET: Duration = Duration::from_millis(2);

    #[test]
    fn without_measurements_the_size_is_the_configured_one() {
        assert_eq!(SliceSizer::new(TARGET, 4).layers(), 4);
        assert_eq!(SliceSizer::new(TARGET, 0).layers(), 1);
    }

    #[test]
    fn slices_shrink_quickly_on_a_slower_machine_and_grow_again_when_it_recovers() {
        let mut sizer = SliceSizer::new(TARGET, 4);
        run(&mut sizer, 400, |_| 200);
        assert_eq!(sizer.layers(), 9, "the estimate is a little above 0.2 ms per layer");
        // For example a hot processor or a slower core.
        run(&mut sizer, 12, |_| 600);
        assert_eq!(sizer.layers(), 3);
        run(&mut sizer, 400, |_| 200);
        assert_eq!(sizer.layers(), 9);
    }

    #[test]
    fn one_outlier_changes_the_size_little() {
        let mut sizer = SliceSizer::new(TARGET, 8);
        run(&mut sizer, 400, |_| 200);
        let before = sizer.layers();
        sizer.record(&ran(before, 50_000));
        assert!(sizer.layers() * 2 > before, "{} of {before}", sizer.layers());
        run(&mut sizer, 100, |_| 200);
        assert_eq!(sizer.layers(), before);
    }

    #[test]
    fn slices_keep_to_the_target_when_one_in_ten_takes_twice_as_long() {
        let mut sizer = SliceSizer::new(TARGET, 4);
        let cost = |i: usize| if i.is_multiple_of(10) { 400 } else { 200 };
        run(&mut sizer, 500, cost);
        let (mut over, mut longest) = (0, 0);
        for i in 0..1000 {
            let layers = sizer.layers();
            let us = layers as u64 * cost(i);
            over += usize::from(us > 2000);
            longest = longest.max(us);
            sizer.record(&ran(layers, cost(i)));
        }
        assert!(over <= 100 && longest <= 4000, "{over} of 1000 over 2 ms, the longest {longest} µs");
    }

    proptest! {
        #[test]
        fn the_size_stays_within_its_bounds_for_any_measurement(
            slices in prop::collection::vec((0usize..5000, any::<u64>()), 0..50),
        ) {
            let mut sizer = SliceSizer::new(TARGET, 4);
            for (layers, ns) in slices {
                sizer.record(&Slice { layers, elapsed: Duration::from_nanos(ns), cpu: Duration::ZERO });
                prop_assert!((1..=MAX_LAYERS).contains(&sizer.layers()));
            }
        }
    }
}
