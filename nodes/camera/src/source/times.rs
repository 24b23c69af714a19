//! The time of a frame: what a container states, or the exposure that a driver states.

use auriga_runtime::Nanos;
use std::time::Duration;

/// Rates taken as meant; files state 0 or 90000 when they do not know.
pub(super) const RATES_HZ: std::ops::RangeInclusive<f64> = 0.5..=1000.0;

/// A longer step between two frames is a jump of the clock, not a pause: dash cameras join files of hours.
const LONGEST_STEP_S: f64 = 3600.0;

/// Containers round to a millisecond: nearer than this to index / rate the exact time is meant.
const ROUNDING_S: f64 = 0.6e-3;

/// Times of a file's frames, from 0, each later than the one before.
#[derive(Debug)]
pub(super) struct FileTimes {
    /// Frames per second; `None`: the file does not know.
    rate_hz: Option<f64>,
    /// Every frame is at index / rate, whatever the container states.
    fixed: bool,
    index: u64,
    last_s: f64,
    /// What the container states for time 0.
    base_s: f64,
    /// All so far lie at index / rate.
    regular: bool,
}

impl FileTimes {
    /// `stated_hz`: the container's rate. `asked_hz`: in place of all that the container states; 0: nothing.
    pub fn new(stated_hz: f64, asked_hz: f64) -> Self {
        let fixed = asked_hz > 0.0;
        let rate_hz = Some(if fixed { asked_hz } else { stated_hz }).filter(|hz| RATES_HZ.contains(hz));
        Self { rate_hz, fixed, index: 0, last_s: 0.0, base_s: 0.0, regular: true }
    }

    /// The time of the next frame, for which the container states `stated_ms`. `None`: neither that nor the rate says it.
    pub fn next(&mut self, stated_ms: f64) -> Option<Nanos> {
        let index = self.index;
        self.index += 1;
        let stated_s = stated_ms * 1e-3;
        if index == 0 {
            self.base_s = if stated_s.is_finite() { stated_s } else { 0.0 };
            return Some(Nanos::ZERO);
        }
        let by_rate = self.rate_hz.map(|hz| index as f64 / hz);
        if let Some(time) = by_rate.filter(|_| self.fixed) {
            return Some(Nanos::from_secs_f64(time));
        }
        let step_s = stated_s - self.base_s - self.last_s;
        // Not-a-number is in no range. A clock that stands still, goes back or leaps says nothing; it is taken up again
        // from here.
        let time_s = if step_s > 0.0 && step_s <= LONGEST_STEP_S {
            let time_s = self.last_s + step_s;
            let exact = by_rate.filter(|exact| self.regular && (exact - time_s).abs() < ROUNDING_S);
            self.regular &= exact.is_some();
            exact.unwrap_or(time_s)
        } else {
            let time_s = if self.regular { by_rate? } else { self.last_s + 1.0 / self.rate_hz? };
            if stated_s.is_finite() {
                self.base_s = stated_s - time_s;
            }
            time_s
        };
        self.last_s = time_s;
        Some(Nanos::from_secs_f64(time_s))
    }
}

/// OpenCV's V4L2 backend states the buffer's own timestamp as POS_MSEC (`retrieveFrame` in cap_v4l.cpp), which UVC and
/// most drivers take from CLOCK_MONOTONIC at the start of the frame; others use the wall clock or one of their own.
pub(super) struct Stamps {
    opened: Nanos,
    /// A stamp has shown which clock they are of.
    monotonic: bool,
}

impl Stamps {
    /// `opened`: no frame is older.
    pub fn new(opened: Nanos) -> Self {
        Self { opened, monotonic: false }
    }

    /// The first stamp shortly before its frame's arrival shows the clock. From then on a frame may have waited for as
    /// long as the device is open: a node that stood still must not take what it finds for new.
    pub fn exposure(&mut self, stated_ms: f64, arrival: Nanos) -> Option<Nanos> {
        const LONGEST_TRANSFER: Duration = Duration::from_secs(1);
        let stated = Nanos::from_secs_f64(stated_ms * 1e-3);
        let oldest = if self.monotonic { self.opened } else { self.opened.max(arrival - LONGEST_TRANSFER) };
        let possible = stated_ms > 0.0 && stated >= oldest && stated <= arrival;
        self.monotonic |= possible;
        possible.then_some(stated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn times(rate: f64, asked: f64, stated_ms: &[f64]) -> Vec<u64> {
        let mut times = FileTimes::new(rate, asked);
        stated_ms.iter().map(|&ms| times.next(ms).expect("a time").0 / 1000).collect()
    }

    #[test]
    fn the_containers_times_are_taken_and_rounded_ones_are_made_exact() {
        // Twenty-five, then five frames a second: the mean rate is that of no frame.
        assert_eq!(times(12.0, 0.0, &[0.0, 40.0, 80.0, 280.0, 480.0]), [0, 40_000, 80_000, 280_000, 480_000]);
        // 30 Hz in Matroska's milliseconds.
        assert_eq!(times(30.0, 0.0, &[0.0, 33.0, 67.0, 100.0]), [0, 33_333, 66_666, 100_000]);
        // A file that begins late begins at 0.
        assert_eq!(times(25.0, 0.0, &[1400.0, 1440.0, 1480.0]), [0, 40_000, 80_000]);
    }

    #[test]
    fn a_rate_that_is_asked_for_replaces_the_containers_times() {
        assert_eq!(times(12.0, 10.0, &[0.0, 40.0, 80.0, 280.0]), [0, 100_000, 200_000, 300_000]);
    }

    #[test]
    fn without_times_the_rate_counts_and_without_both_there_is_no_time() {
        assert_eq!(times(20.0, 0.0, &[0.0, 0.0, 0.0, 0.0]), [0, 50_000, 100_000, 150_000]);
        let mut unknown = FileTimes::new(90_000.0, 0.0);
        assert_eq!((unknown.next(0.0), unknown.next(0.0)), (Some(Nanos::ZERO), None));
        assert_eq!(times(0.0, 0.0, &[0.0, 31.0, 70.0]), [0, 31_000, 70_000]);
    }

    #[test]
    fn a_clock_that_wraps_or_leaps_goes_on_with_the_rate() {
        let wrapped = [95_443_600.0, 95_443_640.0, 0.0, 40.0, 80.0];
        assert_eq!(times(25.0, 0.0, &wrapped), [0, 40_000, 80_000, 120_000, 160_000]);
        let leap = [0.0, 40.0, 9e9, 9e9 + 40.0];
        assert_eq!(times(25.0, 0.0, &leap), [0, 40_000, 80_000, 120_000]);
    }

    proptest! {
        #[test]
        fn times_increase_whatever_a_container_states(
            rate in prop_oneof![0.5..1000.0f64, any::<f64>()],
            stated in proptest::collection::vec(prop_oneof![0.0..5000.0f64, any::<f64>()], 1..60),
        ) {
            let mut times = FileTimes::new(rate, 0.0);
            let mut last = None;
            for ms in stated {
                let Some(time) = times.next(ms) else { break };
                prop_assert!(last.is_none_or(|l| time >= l));
                last = Some(time);
            }
        }
    }

    #[test]
    fn driver_stamps_of_the_monotonic_clock_are_used() {
        let (opened, arrival) = (Nanos::from_millis(90_000), Nanos::from_millis(100_000));
        let mut stamps = Stamps::new(opened);
        // None given, the wall clock, the future, a clock of its own, not a number.
        for stated in [0.0, 1_700_000_000_000.0, 100_001.0, 95_000.0, -5.0, f64::NAN, f64::INFINITY] {
            assert_eq!(stamps.exposure(stated, arrival), None, "{stated}");
        }
        assert_eq!(stamps.exposure(99_960.0, arrival), Some(Nanos::from_millis(99_960)));
        let later = Nanos::from_millis(110_000);
        assert_eq!(stamps.exposure(100_000.0, later), Some(Nanos::from_millis(100_000)));
        // Of before the device was opened, or after the frame came.
        assert_eq!(stamps.exposure(89_999.0, later), None);
        assert_eq!(stamps.exposure(110_001.0, later), None);
    }
}
