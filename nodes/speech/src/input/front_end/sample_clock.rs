//! Times of samples from the stamps of their blocks: free of the stamps' jitter, following the drift of the device's
//! clock.

use crate::input::audio::SAMPLE_NS;
use auriga_runtime::Nanos;
use std::time::Duration;

/// A stamp that differs from the count of samples by more than this means that samples were lost.
const MAX_JITTER: Duration = Duration::from_millis(50);
/// Gain of the filter: the share of the difference between stamp and count of samples that is corrected per block.
const DRIFT_GAIN: f64 = 1.0 / 16.0;

/// Gives each sample of a stream its time.
#[derive(Debug)]
pub struct SampleClock {
    ns_per_frame: f64,
    /// A frame, counted from the first, and its time in ns.
    anchor: Option<(u64, f64)>,
    frames: u64,
}

impl SampleClock {
    /// For a device of this rate (Hz).
    pub fn new(rate_hz: u32) -> Self {
        Self { ns_per_frame: 1e9 / f64::from(rate_hz), anchor: None, frames: 0 }
    }

    /// The next block's stamp counts as it is: audio was lost before it.
    pub fn restart(&mut self) {
        self.anchor = None;
    }

    /// The next `frames` frames were captured from `stamp` on.
    pub fn push(&mut self, stamp: Nanos, frames: usize) {
        let stamp = stamp.0 as f64;
        let time = match self.anchor {
            None => stamp,
            Some((frame, time)) => {
                let expected = time + (self.frames - frame) as f64 * self.ns_per_frame;
                let off = stamp - expected;
                if off.abs() > MAX_JITTER.as_nanos() as f64 { stamp } else { expected + off * DRIFT_GAIN }
            }
        };
        self.anchor = Some((self.frames, time));
        self.frames += frames as u64;
    }

    /// Time of a sample of the 16 kHz stream, counted from the first.
    pub fn time_of(&self, sample: u64) -> Nanos {
        let (frame, time) = self.anchor.unwrap_or_default();
        Nanos((time + sample as f64 * SAMPLE_NS as f64 - frame as f64 * self.ns_per_frame) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamp_jitter_is_filtered_and_lost_samples_shift_the_time() {
        let mut clock = SampleClock::new(48_000);
        let start = 5_000_000_000u64;
        for block in 0..500u64 {
            let jitter = [0, 3_000_000, 1_000_000][block as usize % 3];
            clock.push(Nanos(start + block * 10_000_000 + jitter), 480);
        }
        let off = clock.time_of(16_000).0 as f64 - (start + 1_000_000_000) as f64;
        assert!(off.abs() < 3e6, "{off} ns");
        // 100 ms are missing: what follows is later by that.
        clock.push(Nanos(start + 5_100_000_000), 480);
        let off = clock.time_of(80_000).0 as f64 - (start + 5_100_000_000) as f64;
        assert!(off.abs() < 1e6, "{off} ns");
        // After a known loss a short shift counts, too.
        clock.restart();
        clock.push(Nanos(start + 5_140_000_000), 480);
        let off = clock.time_of(80_160).0 as f64 - (start + 5_140_000_000) as f64;
        assert!(off.abs() < 1e5, "{off} ns");
    }
}
