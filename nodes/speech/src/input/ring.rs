//! A single-producer, single-consumer (SPSC) ring of samples and their time stamps, out of a real-time thread.
//!
//! Memory is allocated when the ring is made. The writer neither waits nor allocates: a block that does not fit is
//! dropped and counted.

use auriga_runtime::Nanos;
use rtrb::{Consumer, Producer, RingBuffer};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// Blocks that fit beside the samples: two seconds of the shortest usual period (1 ms).
const BLOCKS: usize = 2048;

/// The samples of one device callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// When the first sample was captured, or will be played.
    pub stamp: Nanos,
    /// Number of samples, of all channels together.
    pub samples: usize,
    /// Samples were lost before this block.
    pub after_loss: bool,
}

/// Counters that the callbacks share with other threads without locks.
#[derive(Debug, Default)]
pub struct Counters {
    /// Overruns or underruns of the device's own buffer.
    pub xruns: AtomicU64,
    /// Samples dropped because the ring was full.
    pub dropped: AtomicU64,
    /// The device is gone.
    pub failed: AtomicBool,
}

impl Counters {
    /// For a stream's error callback: an xrun inside ALSA, after which the stream goes on, or the end of the stream.
    pub fn record_error(&self, error: &cpal::Error) {
        match error.kind() {
            cpal::ErrorKind::Xrun => drop(self.xruns.fetch_add(1, Ordering::Relaxed)),
            cpal::ErrorKind::DeviceChanged | cpal::ErrorKind::RealtimeDenied => {}
            _ => self.failed.store(true, Ordering::Relaxed),
        }
    }

    /// What was lost until now.
    pub fn losses(&self) -> Losses {
        Losses { xruns: self.xruns.load(Ordering::Relaxed), dropped: self.dropped.load(Ordering::Relaxed) }
    }
}

/// Audio lost since the device was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Losses {
    /// Overruns or underruns of the device's own buffer.
    pub xruns: u64,
    /// Samples dropped because the ring was full.
    pub dropped: u64,
}

impl fmt::Display for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Losses { xruns, dropped } = self;
        write!(
            f,
            "audio is lost: {xruns} overruns of the device's buffer, {dropped} samples dropped at the node's ring; the \
             machine is too busy for the microphone: raise capture_period_ms, or give the device a deeper buffer \
             (calibration/README.md)"
        )
    }
}

/// Both ends of a ring for this many samples.
pub fn ring(samples: usize) -> (RingWriter, RingReader) {
    let (to_samples, from_samples) = RingBuffer::new(samples);
    let (to_blocks, from_blocks) = RingBuffer::new(BLOCKS);
    let counters = Arc::new(Counters::default());
    (
        RingWriter { samples: to_samples, blocks: to_blocks, counters: counters.clone(), seen: Losses::default() },
        RingReader { samples: from_samples, blocks: from_blocks, counters },
    )
}

/// The real-time thread's end.
pub struct RingWriter {
    samples: Producer<f32>,
    blocks: Producer<Block>,
    counters: Arc<Counters>,
    /// Losses before the last block.
    seen: Losses,
}

impl RingWriter {
    /// The counters of this ring.
    pub fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    /// Writes one block, or drops and counts it when it does not fit.
    pub fn write(&mut self, stamp: Nanos, samples: impl ExactSizeIterator<Item = f32>) {
        let count = samples.len();
        match self.samples.write_chunk_uninit(count) {
            Ok(chunk) if !self.blocks.is_full() => {
                let samples = chunk.fill_from_iter(samples);
                let losses = self.counters.losses();
                let after_loss = losses != std::mem::replace(&mut self.seen, losses);
                // Cannot fail: there was room just above, and nobody else writes.
                let _ = self.blocks.push(Block { stamp, samples, after_loss });
            }
            _ => drop(self.counters.dropped.fetch_add(count as u64, Ordering::Relaxed)),
        }
    }
}

/// The reading end.
pub struct RingReader {
    samples: Consumer<f32>,
    blocks: Consumer<Block>,
    counters: Arc<Counters>,
}

impl RingReader {
    /// The counters of this ring.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The next block; its samples replace the content of `into`. `None` when the ring is empty.
    pub fn read(&mut self, into: &mut Vec<f32>) -> Option<Block> {
        let block = self.blocks.pop().ok()?;
        // The writer puts the samples in before their block.
        let chunk = self.samples.read_chunk(block.samples).ok()?;
        into.clear();
        into.extend(chunk);
        Some(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_block_is_counted_and_the_next_block_says_after_loss() {
        let (mut writer, mut reader) = ring(8);
        let mut block = |at, from: usize, count: usize| {
            writer.write(Nanos(at), (from..from + count).map(|i| i as f32));
        };
        block(1, 0, 5);
        block(2, 5, 5);
        let mut samples = Vec::new();
        assert_eq!(reader.read(&mut samples), Some(Block { stamp: Nanos(1), samples: 5, after_loss: false }));
        assert_eq!(samples, [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(reader.read(&mut samples), None);
        block(3, 10, 8);
        assert_eq!(reader.read(&mut samples), Some(Block { stamp: Nanos(3), samples: 8, after_loss: true }));
        assert_eq!(samples[7], 17.0);
        assert_eq!(reader.counters().losses(), Losses { xruns: 0, dropped: 5 });
    }
}
