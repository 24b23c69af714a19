//! Between the microphone's callback and the node: blocks of any rate and channels become chunks at 16 kHz, free of our
//! own voice. Deterministic: the same blocks give the same chunks; it knows no device.

pub mod echo;
pub mod noise;
pub mod resample;
pub mod sample_clock;

use crate::{
    input::front_end::echo::{self, EchoCanceller, Reference},
    input::front_end::noise::{self, NoiseSuppressor},
    input::front_end::resample::{Listen, ResampleError, To16k},
    input::front_end::sample_clock::SampleClock,
    input::ring::Block,
    turns::vad::SAMPLE_RATE_HZ,
};
use auriga_msgs::v1;

/// Why audio cannot be handed on.
#[derive(Debug, thiserror::Error)]
pub enum FrontEndError {
    #[error(transparent)]
    Resample(#[from] ResampleError),
    #[error("the noise suppressor: {0}")]
    Noise(#[from] sonora::Error),
}

/// What is done to the microphone's signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cleaning {
    pub echo: bool,
    pub noise: bool,
}

/// One stream of one device.
pub struct FrontEnd {
    converter: To16k,
    clock: SampleClock,
    channels_in: usize,
    channels: usize,
    echo: Option<EchoCanceller>,
    noise: Option<NoiseSuppressor>,
    /// Converted; freed of our own voice; and done. Interleaved.
    heard: Vec<i16>,
    unechoed: Vec<i16>,
    cleaned: Vec<i16>,
    /// Samples of each channel that the echo canceller has had, and that were handed on.
    unechoed_count: u64,
    given: u64,
}

impl FrontEnd {
    pub fn new(rate_hz: u32, channels: u16, listen: Listen, cleaning: Cleaning) -> Result<Self, ResampleError> {
        let converter = To16k::new(rate_hz, channels, listen)?;
        Ok(Self {
            clock: SampleClock::new(rate_hz),
            channels_in: channels.into(),
            channels: converter.channels_out(),
            echo: cleaning.echo.then(|| EchoCanceller::new(converter.channels_out())),
            noise: cleaning.noise.then(|| NoiseSuppressor::new(converter.channels_out())),
            converter,
            heard: Vec::new(),
            unechoed: Vec::new(),
            cleaned: Vec::new(),
            unechoed_count: 0,
            given: 0,
        })
    }

    /// Takes a block of interleaved samples and gives what is ready; `reference` is what our loudspeaker plays, if it does.
    pub fn block(
        &mut self,
        block: &Block,
        samples: &[f32],
        reference: &mut Option<Reference>,
    ) -> Result<Option<v1::AudioChunk>, FrontEndError> {
        if block.after_loss {
            self.clock.start_anew();
        }
        self.clock.block(block.stamp, samples.len() / self.channels_in);
        self.converter.push(samples, &mut self.heard)?;
        self.take_echo_out(reference)?;
        self.quieten()?;
        if self.cleaned.is_empty() {
            return Ok(None);
        }
        let stamp = self.clock.time_of(self.given);
        self.given += (self.cleaned.len() / self.channels) as u64;
        let pcm: Vec<u8> = self.cleaned.drain(..).flat_map(i16::to_le_bytes).collect();
        Ok(Some(v1::AudioChunk {
            header: Some(v1::Header::new(stamp.0, 0)),
            sample_rate_hz: SAMPLE_RATE_HZ,
            channels: self.channels as u32,
            pcm_s16le: pcm.into(),
        }))
    }

    fn take_echo_out(&mut self, reference: &mut Option<Reference>) -> Result<(), FrontEndError> {
        let Some(echo) = &mut self.echo else {
            self.unechoed.append(&mut self.heard);
            return Ok(());
        };
        let length = echo::FRAME * self.channels;
        let whole = self.heard.len() / length * length;
        for frame in self.heard[..whole].chunks_exact_mut(length) {
            let stamp = self.clock.time_of(self.unechoed_count);
            let played = match reference {
                Some(reference) => reference.frame(stamp)?,
                None => [0.0; echo::FRAME],
            };
            echo.clean(&played, frame);
            self.unechoed_count += echo::FRAME as u64;
        }
        self.unechoed.extend(self.heard.drain(..whole));
        Ok(())
    }

    fn quieten(&mut self) -> Result<(), FrontEndError> {
        let Some(noise) = &mut self.noise else {
            self.cleaned.append(&mut self.unechoed);
            return Ok(());
        };
        let length = noise::FRAME * self.channels;
        let whole = self.unechoed.len() / length * length;
        for frame in self.unechoed[..whole].chunks_exact_mut(length) {
            noise.quieten(frame)?;
        }
        self.cleaned.extend(self.unechoed.drain(..whole));
        Ok(())
    }
}
