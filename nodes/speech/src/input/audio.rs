//! The cabin's audio as the node takes it: 16 kHz, 16 bits, one channel or the seats' two.

use auriga_msgs::v1;
use std::{collections::VecDeque, time::Duration};

/// Sample rate of all audio in the node, in Hz: what the detector and the recogniser take.
pub const SAMPLE_RATE_HZ: u32 = 16_000;
/// Duration of one sample at [`SAMPLE_RATE_HZ`], in ns; a whole number.
pub const SAMPLE_NS: u64 = 1_000_000_000 / SAMPLE_RATE_HZ as u64;
/// A sample of this magnitude or more counts as full scale (clipped).
pub const FULL_SCALE: u16 = 32_700;
/// Upper bound of a chunk: 10 s of two channels.
const MAX_CHUNK_BYTES: usize = 10 * 2 * 2 * SAMPLE_RATE_HZ as usize;
/// A chunk with more than one clipped sample in this many is overdriven; fewer are single peaks.
const CLIPPED_SHARE: usize = 20;

/// Duration of this many samples at [`SAMPLE_RATE_HZ`].
pub fn duration(samples: usize) -> Duration {
    Duration::from_nanos(samples as u64 * SAMPLE_NS)
}

/// The samples of a chunk (interleaved when it has two channels); else what is wrong with it.
pub(crate) fn samples(chunk: &v1::AudioChunk) -> Result<Vec<i16>, String> {
    let (rate, channels) = (chunk.sample_rate_hz, chunk.channels);
    if rate != SAMPLE_RATE_HZ || !(1..=2).contains(&channels) {
        return Err(format!("expected {SAMPLE_RATE_HZ} Hz with 1 or 2 channels, found {rate} Hz with {channels}"));
    }
    let bytes = &chunk.pcm_s16le;
    if !bytes.len().is_multiple_of(2 * channels as usize) || bytes.len() > MAX_CHUNK_BYTES {
        return Err(format!("expected complete 16-bit samples of at most 10 s, found {} bytes", bytes.len()));
    }
    Ok(bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect())
}

/// Whether the microphone is overdriven in these samples.
pub(crate) fn is_overdriven(samples: &[i16]) -> bool {
    let clipped = samples.iter().filter(|s| s.unsigned_abs() >= FULL_SCALE).count();
    clipped * CLIPPED_SHARE > samples.len()
}

/// The last 300 ms before a turn. The detector needs some voice to be sure of a turn; the recogniser gets the turn from
/// its first sound on.
#[derive(Default)]
pub(crate) struct LeadIn(VecDeque<i16>);

impl LeadIn {
    /// Samples kept.
    pub(crate) const CAPACITY: usize = SAMPLE_RATE_HZ as usize * 3 / 10;

    /// Appends samples; the oldest beyond the capacity are dropped.
    pub(crate) fn push(&mut self, samples: &[i16]) {
        let kept = &samples[samples.len().saturating_sub(Self::CAPACITY)..];
        let surplus = (self.0.len() + kept.len()).saturating_sub(Self::CAPACITY);
        self.0.drain(..surplus.min(self.0.len()));
        self.0.extend(kept);
    }

    /// Takes the newest samples, at most this many; the others are dropped.
    pub(crate) fn take_last(&mut self, count: usize) -> Vec<i16> {
        let surplus = self.0.len().saturating_sub(count);
        self.0.drain(..).skip(surplus).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lead_in_keeps_the_newest_300_ms() {
        let mut lead_in = LeadIn::default();
        let numbered: Vec<i16> = (0..10_000).collect();
        numbered.chunks(320).for_each(|piece| lead_in.push(piece));
        assert_eq!(lead_in.take_last(LeadIn::CAPACITY), numbered[10_000 - 4800..]);
        lead_in.push(&numbered);
        assert_eq!(lead_in.take_last(100), numbered[9900..]);
        assert!(lead_in.take_last(100).is_empty());
    }
}
