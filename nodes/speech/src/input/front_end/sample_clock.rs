//! When samples were captured or played, out of the stamps of the blocks they came in.

use crate::turns::vad::SAMPLE_NS;
use auriga_runtime::Nanos;
use std::time::Duration;

/// Stamps further off than this from the count of samples mean that samples were lost.
const LOST: Duration = Duration::from_millis(50);
/// Share of the difference between stamps and count of samples that is taken over with each block: jitter goes, drift
/// is followed.
const DRIFT_SHARE: f64 = 1.0 / 16.0;

/// Times of samples out of stamps of blocks: free of the stamps' jitter, following the drift of the device's clock.
#[derive(Debug)]
pub struct SampleClock {
    ns_per_frame: f64,
    /// A frame, counted from the first, and its time.
    anchor: Option<(u64, f64)>,
    frames: u64,
}

impl SampleClock {
    pub fn new(rate_hz: u32) -> Self {
        Self { ns_per_frame: 1e9 / f64::from(rate_hz), anchor: None, frames: 0 }
    }

    /// What comes next has its own time: audio was lost before it.
    pub fn start_anew(&mut self) {
        self.anchor = None;
    }

    /// The next `frames` were captured from `stamp` on.
    pub fn block(&mut self, stamp: Nanos, frames: usize) {
        let stamp = stamp.0 as f64;
        let time = match self.anchor {
            None => stamp,
            Some((frame, time)) => {
                let expected = time + (self.frames - frame) as f64 * self.ns_per_frame;
                let off = stamp - expected;
                if off.abs() > LOST.as_nanos() as f64 { stamp } else { expected + off * DRIFT_SHARE }
            }
        };
        self.anchor = Some((self.frames, time));
        self.frames += frames as u64;
    }

    /// Time of a sample of the 16 kHz stream.
    pub fn time_of(&self, sample: u64) -> Nanos {
        let (frame, time) = self.anchor.unwrap_or_default();
        Nanos((time + sample as f64 * SAMPLE_NS as f64 - frame as f64 * self.ns_per_frame) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_of_stamps_is_smoothed_and_lost_samples_are_seen() {
        let mut clock = SampleClock::new(48_000);
        let start = 5_000_000_000u64;
        for block in 0..500u64 {
            let jitter = [0, 3_000_000, 1_000_000][block as usize % 3];
            clock.block(Nanos(start + block * 10_000_000 + jitter), 480);
        }
        let off = clock.time_of(16_000).0 as f64 - (start + 1_000_000_000) as f64;
        assert!(off.abs() < 3e6, "{off} ns");
        // A tenth of a second is missing: what follows is later by that.
        clock.block(Nanos(start + 5_100_000_000), 480);
        let off = clock.time_of(80_000).0 as f64 - (start + 5_100_000_000) as f64;
        assert!(off.abs() < 1e6, "{off} ns");
        // A loss that is known need not be long to be seen at once.
        clock.start_anew();
        clock.block(Nanos(start + 5_140_000_000), 480);
        let off = clock.time_of(80_160).0 as f64 - (start + 5_140_000_000) as f64;
        assert!(off.abs() < 1e5, "{off} ns");
    }
}
