//! Our own voice is kept out of the microphone: what the loudspeaker played, known sample by sample, is taken out of
//! what was heard, by WebRTC's echo canceller (AEC3) in the pure-Rust port `sonora`. It finds the way from loudspeaker
//! to microphone by itself and follows when it changes.

use crate::{
    input::front_end::resample::{ResampleError, ToMono},
    input::front_end::sample_clock::SampleClock,
    input::ring::Reader,
    turns::vad::{SAMPLE_NS, SAMPLE_RATE_HZ},
};
use auriga_runtime::Nanos;
use sonora_aec3::{block::Block, block_processor::BlockProcessor, common::BLOCK_SIZE, config::EchoCanceller3Config};
use std::collections::VecDeque;

/// The canceller takes 4 ms at a time.
pub const FRAME: usize = BLOCK_SIZE;
/// What was played is remembered so long. A frame of the microphone is looked at much earlier.
const REMEMBERED: usize = 2 * SAMPLE_RATE_HZ as usize;
/// The reference is shifted when it is further off than this: by less it does not wander within a block's jitter.
const SLIP: i64 = (SAMPLE_RATE_HZ / 500) as i64;
/// AEC3 lets a voice through over our own after so many of its blocks, by default 12 (48 ms): who interrupts is to be
/// heard at once, and a little of our own voice more does no harm.
const BLOCKS_TO_BELIEVE_A_VOICE: i32 = 1;
/// AEC3 counts in 16 bits.
const FULL_SCALE: f32 = 32_768.0;

/// Takes our own voice out of one or two channels.
pub struct EchoCanceller {
    processor: BlockProcessor,
    channels: usize,
    played: Block,
    heard: Block,
}

impl EchoCanceller {
    pub fn new(channels: usize) -> Self {
        let mut config = EchoCanceller3Config::default();
        config.suppressor.dominant_nearend_detection.trigger_threshold = BLOCKS_TO_BELIEVE_A_VOICE;
        Self {
            processor: BlockProcessor::new(&config, SAMPLE_RATE_HZ as usize, 1, channels),
            channels,
            played: Block::new(1, 1),
            heard: Block::new(1, channels),
        }
    }

    /// Cleans a frame (interleaved, [`FRAME`] samples of each channel) in place; `played` is what the loudspeaker gave
    /// meanwhile.
    pub fn clean(&mut self, played: &[f32; FRAME], frame: &mut [i16]) {
        self.played.view_mut(0, 0).iter_mut().zip(played).for_each(|(to, s)| *to = s * FULL_SCALE);
        for channel in 0..self.channels {
            let of_channel = frame.iter().skip(channel).step_by(self.channels);
            self.heard.view_mut(0, channel).iter_mut().zip(of_channel).for_each(|(to, &s)| *to = s.into());
        }
        let saturated = frame.iter().any(|s| s.unsigned_abs() >= 32_700);
        self.processor.buffer_render(&self.played);
        self.processor.process_capture(false, saturated, None, &mut self.heard);
        for channel in 0..self.channels {
            let of_channel = frame.iter_mut().skip(channel).step_by(self.channels);
            // `as` saturates.
            of_channel.zip(self.heard.view(0, channel)).for_each(|(to, s)| *to = s.round() as i16);
        }
    }
}

/// What the loudspeaker played, by the time it was heard.
pub struct Reference {
    tape: Reader,
    converter: ToMono,
    clock: SampleClock,
    samples: VecDeque<i16>,
    /// Sample of the stream that stands first in `samples`.
    first: u64,
    /// Sample of the stream with which the next frame begins.
    next: Option<u64>,
    block: Vec<f32>,
    converted: Vec<i16>,
}

impl Reference {
    /// Of a tape with one channel of this rate.
    pub fn new(tape: Reader, rate_hz: u32) -> Result<Self, ResampleError> {
        Ok(Self {
            tape,
            converter: ToMono::new(rate_hz, 1, SAMPLE_RATE_HZ)?,
            clock: SampleClock::new(rate_hz),
            samples: VecDeque::with_capacity(REMEMBERED),
            first: 0,
            next: None,
            block: Vec::new(),
            converted: Vec::new(),
        })
    }

    /// The frame that was heard from `stamp` on; silence where nothing was played. Stamps only go forward.
    pub fn frame(&mut self, stamp: Nanos) -> Result<[f32; FRAME], ResampleError> {
        self.take_in()?;
        let mut frame = [0.0; FRAME];
        if self.first + self.samples.len() as u64 == 0 {
            return Ok(frame);
        }
        let first_time = self.clock.time_of(self.first);
        let by_time = self.first as i64 + (stamp.0 as i64 - first_time.0 as i64) / SAMPLE_NS as i64;
        let begins = match self.next {
            Some(next) if (next as i64 - by_time).abs() <= SLIP => next as i64,
            _ => by_time,
        };
        self.next = u64::try_from(begins + FRAME as i64).ok();
        for (to, at) in frame.iter_mut().zip(begins - self.first as i64..) {
            let sample = usize::try_from(at).ok().and_then(|at| self.samples.get(at));
            *to = sample.map_or(0.0, |&s| f32::from(s) / FULL_SCALE);
        }
        Ok(frame)
    }

    fn take_in(&mut self) -> Result<(), ResampleError> {
        while let Some(block) = self.tape.read(&mut self.block) {
            if block.after_loss {
                self.clock.start_anew();
            }
            self.clock.block(block.stamp, block.samples);
            self.converter.push(&self.block, &mut self.converted)?;
            self.samples.extend(self.converted.drain(..));
            let surplus = self.samples.len().saturating_sub(REMEMBERED);
            self.samples.drain(..surplus);
            self.first += surplus as u64;
        }
        Ok(())
    }
}
