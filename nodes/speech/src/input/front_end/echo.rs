//! Echo cancellation: the signal of the node's own loudspeaker is removed from the microphone's signal.
//!
//! WebRTC's echo canceller (AEC3) in the pure-Rust port `sonora`. The loudspeaker's signal is known sample by sample; the
//! canceller estimates the acoustic path from loudspeaker to microphone and follows its changes.

use crate::input::{
    audio::{FULL_SCALE as CLIPPED, SAMPLE_NS, SAMPLE_RATE_HZ},
    front_end::{
        resample::{ResampleError, ToMono},
        sample_clock::SampleClock,
    },
    ring::RingReader,
};
use auriga_runtime::Nanos;
use sonora_aec3::{block::Block, block_processor::BlockProcessor, common::BLOCK_SIZE, config::EchoCanceller3Config};
use std::collections::VecDeque;

/// Samples of a frame and channel: 4 ms.
pub const FRAME: usize = BLOCK_SIZE;
/// Samples of the reference that are kept: 2 s. A frame of the microphone needs it much earlier.
const HISTORY: usize = 2 * SAMPLE_RATE_HZ as usize;
/// The reference is realigned when it is off by more than this (2 ms in samples); less is jitter of the stamps.
const MAX_OFFSET: i64 = (SAMPLE_RATE_HZ / 500) as i64;
/// Blocks after which AEC3 takes a near-end voice for real during playback; its default is 12 (48 ms). With 1 a barge-in
/// passes at once, at the cost of a little more residual echo.
const NEAREND_TRIGGER_BLOCKS: i32 = 1;
/// Full scale of AEC3's samples.
const FULL_SCALE: f32 = 32_768.0;

/// An echo canceller for one or two channels.
pub struct EchoCanceller {
    processor: BlockProcessor,
    channels: usize,
    /// Far-end (loudspeaker) and near-end (microphone) signal of a frame.
    far_end: Block,
    near_end: Block,
}

impl EchoCanceller {
    /// For this many interleaved channels.
    pub fn new(channels: usize) -> Self {
        let mut config = EchoCanceller3Config::default();
        config.suppressor.dominant_nearend_detection.trigger_threshold = NEAREND_TRIGGER_BLOCKS;
        Self {
            processor: BlockProcessor::new(&config, SAMPLE_RATE_HZ as usize, 1, channels),
            channels,
            far_end: Block::new(1, 1),
            near_end: Block::new(1, channels),
        }
    }

    /// Processes a frame (interleaved, [`FRAME`] samples of each channel) in place. `played` is the loudspeaker's signal of
    /// the same time, full scale being 1.
    pub fn process(&mut self, played: &[f32; FRAME], frame: &mut [i16]) {
        self.far_end.view_mut(0, 0).iter_mut().zip(played).for_each(|(to, s)| *to = s * FULL_SCALE);
        for channel in 0..self.channels {
            let of_channel = frame.iter().skip(channel).step_by(self.channels);
            self.near_end.view_mut(0, channel).iter_mut().zip(of_channel).for_each(|(to, &s)| *to = s.into());
        }
        let saturated = frame.iter().any(|s| s.unsigned_abs() >= CLIPPED);
        self.processor.buffer_render(&self.far_end);
        self.processor.process_capture(false, saturated, None, &mut self.near_end);
        for channel in 0..self.channels {
            let of_channel = frame.iter_mut().skip(channel).step_by(self.channels);
            // `as` saturates.
            of_channel.zip(self.near_end.view(0, channel)).for_each(|(to, s)| *to = s.round() as i16);
        }
    }
}

/// The loudspeaker's signal by the time it was played: the reference of the echo canceller.
pub struct EchoReference {
    ring: RingReader,
    converter: ToMono,
    clock: SampleClock,
    samples: VecDeque<i16>,
    /// Index in the stream of the first entry of `samples`.
    first: u64,
    /// Index in the stream of the next frame's first sample.
    next: Option<u64>,
    block: Vec<f32>,
    converted: Vec<i16>,
}

impl EchoReference {
    /// From a ring with one channel of this rate (Hz).
    ///
    /// # Errors
    /// When the rate is out of range.
    pub fn new(ring: RingReader, rate_hz: u32) -> Result<Self, ResampleError> {
        Ok(Self {
            ring,
            converter: ToMono::new(rate_hz, 1, SAMPLE_RATE_HZ)?,
            clock: SampleClock::new(rate_hz),
            samples: VecDeque::with_capacity(HISTORY),
            first: 0,
            next: None,
            block: Vec::new(),
            converted: Vec::new(),
        })
    }

    /// The frame that was played from `stamp` on; zeros where nothing was played. Stamps must not go back.
    ///
    /// # Errors
    /// When the resampler fails.
    pub fn frame(&mut self, stamp: Nanos) -> Result<[f32; FRAME], ResampleError> {
        self.read_ring()?;
        let mut frame = [0.0; FRAME];
        if self.first + self.samples.len() as u64 == 0 {
            return Ok(frame);
        }
        let first_time = self.clock.time_of(self.first);
        let by_time = self.first as i64 + (stamp.0 as i64 - first_time.0 as i64) / SAMPLE_NS as i64;
        let begins = match self.next {
            Some(next) if (next as i64 - by_time).abs() <= MAX_OFFSET => next as i64,
            _ => by_time,
        };
        self.next = u64::try_from(begins + FRAME as i64).ok();
        for (to, at) in frame.iter_mut().zip(begins - self.first as i64..) {
            let sample = usize::try_from(at).ok().and_then(|at| self.samples.get(at));
            *to = sample.map_or(0.0, |&s| f32::from(s) / FULL_SCALE);
        }
        Ok(frame)
    }

    fn read_ring(&mut self) -> Result<(), ResampleError> {
        while let Some(block) = self.ring.read(&mut self.block) {
            if block.after_loss {
                self.clock.restart();
            }
            self.clock.push(block.stamp, block.samples);
            self.converter.push(&self.block, &mut self.converted)?;
            self.samples.extend(self.converted.drain(..));
            let surplus = self.samples.len().saturating_sub(HISTORY);
            self.samples.drain(..surplus);
            self.first += surplus as u64;
        }
        Ok(())
    }
}
