//! The way of samples out of a real-time thread: rings made beforehand. Writing neither waits nor allocates; what does
//! not fit is dropped and counted.

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

/// Samples that belong together, as a device's callback saw them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// When the first of them was captured or is heard.
    pub stamp: Nanos,
    pub samples: usize,
    /// Samples were lost before it.
    pub after_loss: bool,
}

/// What the callbacks tell other threads without waiting for them.
#[derive(Debug, Default)]
pub struct Counts {
    /// Times that the device's own buffer ran over or empty.
    pub xruns: AtomicU64,
    /// Samples that found the rings full.
    pub dropped: AtomicU64,
    /// The device is gone.
    pub failed: AtomicBool,
}

impl Counts {
    /// Of a stream's error callback: an overrun inside ALSA, after which the stream goes on, or its end.
    pub fn error(&self, error: &cpal::Error) {
        match error.kind() {
            cpal::ErrorKind::Xrun => drop(self.xruns.fetch_add(1, Ordering::Relaxed)),
            cpal::ErrorKind::DeviceChanged | cpal::ErrorKind::RealtimeDenied => {}
            _ => self.failed.store(true, Ordering::Relaxed),
        }
    }

    pub fn losses(&self) -> Losses {
        Losses { xruns: self.xruns.load(Ordering::Relaxed), dropped: self.dropped.load(Ordering::Relaxed) }
    }
}

/// Audio lost since the device was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Losses {
    pub xruns: u64,
    pub dropped: u64,
}

impl fmt::Display for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Losses { xruns, dropped } = self;
        write!(
            f,
            "audio is lost: the device's buffer ran over {xruns} times, ours by {dropped} samples; the machine is too \
             busy for the microphone: raise capture_period_ms, or give the device a deeper buffer (calibration/README.md)"
        )
    }
}

/// A pair of ends for so many samples.
pub fn tape(samples: usize) -> (Writer, Reader) {
    let (to_samples, from_samples) = RingBuffer::new(samples);
    let (to_blocks, from_blocks) = RingBuffer::new(BLOCKS);
    let counts = Arc::new(Counts::default());
    (
        Writer { samples: to_samples, blocks: to_blocks, counts: counts.clone(), seen: Losses::default() },
        Reader { samples: from_samples, blocks: from_blocks, counts },
    )
}

/// The real-time thread's end.
pub struct Writer {
    samples: Producer<f32>,
    blocks: Producer<Block>,
    counts: Arc<Counts>,
    /// Before the last block.
    seen: Losses,
}

impl Writer {
    pub fn counts(&self) -> Arc<Counts> {
        self.counts.clone()
    }

    pub fn write(&mut self, stamp: Nanos, samples: impl ExactSizeIterator<Item = f32>) {
        let count = samples.len();
        match self.samples.write_chunk_uninit(count) {
            Ok(chunk) if !self.blocks.is_full() => {
                let samples = chunk.fill_from_iter(samples);
                let losses = self.counts.losses();
                let after_loss = losses != std::mem::replace(&mut self.seen, losses);
                // There is room, seen just above; nobody else writes.
                let _ = self.blocks.push(Block { stamp, samples, after_loss });
            }
            _ => drop(self.counts.dropped.fetch_add(count as u64, Ordering::Relaxed)),
        }
    }
}

/// The other end.
pub struct Reader {
    samples: Consumer<f32>,
    blocks: Consumer<Block>,
    counts: Arc<Counts>,
}

impl Reader {
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The next block; `into` then holds its samples and nothing else.
    pub fn read(&mut self, into: &mut Vec<f32>) -> Option<Block> {
        let block = self.blocks.pop().ok()?;
        // The samples were put in before their block.
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
    fn what_does_not_fit_is_counted_and_told_with_the_next_block() {
        let (mut writer, mut reader) = tape(8);
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
        assert_eq!(reader.counts().losses(), Losses { xruns: 0, dropped: 5 });
    }
}
