//! Our own voice is kept out of the microphone: what the loudspeaker played, known sample by sample, is taken out of
//! what was heard, by WebRTC's echo canceller (AEC3) in the pure-Rust port `sonora`. It finds the way from loudspeaker
//! to microphone by itself and follows when it changes.

use crate::{
    resample::{ResampleError, ToMono},
    sample_clock::SampleClock,
    tape::Reader,
    vad::{SAMPLE_NS, SAMPLE_RATE_HZ},
};
use auriga_runtime::Nanos;
use sonora::{
    AudioProcessing, StreamConfig,
    config::{EchoCanceller as Aec3, HighPassFilter, NoiseSuppression},
};
use std::collections::VecDeque;

/// The canceller takes 10 ms at a time.
pub const FRAME: usize = SAMPLE_RATE_HZ as usize / 100;
/// What was played is remembered so long. A frame of the microphone is looked at much earlier.
const REMEMBERED: usize = 2 * SAMPLE_RATE_HZ as usize;
/// The reference is shifted when it is further off than this: by less it does not wander within a block's jitter.
const SLIP: i64 = (SAMPLE_RATE_HZ / 500) as i64;

/// What is done to the microphone's signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cleaning {
    pub echo: bool,
    pub noise: bool,
}

/// Cleans one or two channels, 10 ms at a time.
pub struct Cleaner {
    processing: AudioProcessing,
    channels: usize,
    heard: Vec<Vec<f32>>,
    cleaned: Vec<Vec<f32>>,
}

impl Cleaner {
    /// `None` when there is nothing to do.
    pub fn new(channels: usize, cleaning: Cleaning) -> Option<Self> {
        if cleaning == (Cleaning { echo: false, noise: false }) {
            return None;
        }
        let config = sonora::Config {
            high_pass_filter: Some(HighPassFilter::default()),
            echo_canceller: cleaning.echo.then(Aec3::default),
            noise_suppression: cleaning.noise.then(NoiseSuppression::default),
            ..Default::default()
        };
        let processing = AudioProcessing::builder()
            .config(config)
            .capture_config(StreamConfig::new(SAMPLE_RATE_HZ, channels as u16))
            .render_config(StreamConfig::new(SAMPLE_RATE_HZ, 1))
            .build();
        let frames = vec![vec![0.0; FRAME]; channels];
        Some(Self { processing, channels, heard: frames.clone(), cleaned: frames })
    }

    /// Cleans a frame (interleaved, [`FRAME`] samples of each channel) in place; `played` is what the loudspeaker gave
    /// meanwhile. A frame that cannot be cleaned stays as it is.
    pub fn clean(&mut self, played: &[f32; FRAME], frame: &mut [i16]) -> Result<(), sonora::Error> {
        for (channel, samples) in self.heard.iter_mut().enumerate() {
            let of_channel = frame.iter().skip(channel).step_by(self.channels);
            samples.iter_mut().zip(of_channel).for_each(|(to, &s)| *to = f32::from(s) / 32_768.0);
        }
        let mut unchanged = [0.0; FRAME];
        self.processing.process_render_f32(&[played], &mut [&mut unchanged])?;
        let heard: Vec<&[f32]> = self.heard.iter().map(Vec::as_slice).collect();
        let mut cleaned: Vec<&mut [f32]> = self.cleaned.iter_mut().map(Vec::as_mut_slice).collect();
        self.processing.process_capture_f32(&heard, &mut cleaned)?;
        for (channel, samples) in self.cleaned.iter().enumerate() {
            let of_channel = frame.iter_mut().skip(channel).step_by(self.channels);
            // `as` saturates.
            of_channel.zip(samples).for_each(|(to, s)| *to = (s * 32_768.0).round() as i16);
        }
        Ok(())
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
            *to = sample.map_or(0.0, |&s| f32::from(s) / 32_768.0);
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
