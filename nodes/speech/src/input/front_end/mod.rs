//! The acoustic front end between the capture ring and the node: resampling to 16 kHz, echo cancellation, noise
//! suppression. Deterministic: the same blocks give the same chunks. It never opens a device.

pub mod echo;
pub mod noise;
pub mod resample;
pub mod sample_clock;

use crate::input::{audio::SAMPLE_RATE_HZ, ring::Block};
use auriga_msgs::v1;
use echo::{EchoCanceller, EchoReference};
use noise::NoiseSuppressor;
use resample::{ChannelSelection, ResampleError, To16k};
use sample_clock::SampleClock;

/// Why a block cannot be processed.
#[derive(Debug, thiserror::Error)]
pub enum FrontEndError {
    /// The resampler failed.
    #[error(transparent)]
    Resample(#[from] ResampleError),
    /// The noise suppressor failed.
    #[error("the noise suppressor: {0}")]
    Noise(#[from] sonora::Error),
}

/// Which stages process the microphone's signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrontEndSettings {
    /// Echo cancellation.
    pub echo: bool,
    /// Noise suppression.
    pub noise: bool,
}

/// The front end of one stream of one device.
pub struct FrontEnd {
    converter: To16k,
    clock: SampleClock,
    channels_in: usize,
    channels: usize,
    echo: Option<EchoCanceller>,
    noise: Option<NoiseSuppressor>,
    /// Interleaved samples at 16 kHz: before the echo canceller, after it, and after the noise suppressor.
    captured: Vec<i16>,
    echo_free: Vec<i16>,
    processed: Vec<i16>,
    /// Samples of each channel that left the echo canceller, and the front end.
    echo_free_count: u64,
    processed_count: u64,
}

impl FrontEnd {
    /// For a stream of this rate (Hz) and number of channels.
    ///
    /// # Errors
    /// When rate or channels are out of range, or a seat's channel is missing.
    pub fn new(
        rate_hz: u32,
        channels: u16,
        selection: ChannelSelection,
        settings: FrontEndSettings,
    ) -> Result<Self, ResampleError> {
        let converter = To16k::new(rate_hz, channels, selection)?;
        Ok(Self {
            clock: SampleClock::new(rate_hz),
            channels_in: channels.into(),
            channels: converter.channels_out(),
            echo: settings.echo.then(|| EchoCanceller::new(converter.channels_out())),
            noise: settings.noise.then(|| NoiseSuppressor::new(converter.channels_out())),
            converter,
            captured: Vec::new(),
            echo_free: Vec::new(),
            processed: Vec::new(),
            echo_free_count: 0,
            processed_count: 0,
        })
    }

    /// Processes a block of interleaved samples. Returns a chunk when samples are ready. `reference` is the signal of the
    /// node's loudspeaker, if one is open.
    ///
    /// # Errors
    /// When a stage fails.
    pub fn process(
        &mut self,
        block: &Block,
        samples: &[f32],
        reference: &mut Option<EchoReference>,
    ) -> Result<Option<v1::AudioChunk>, FrontEndError> {
        if block.after_loss {
            self.clock.restart();
        }
        self.clock.push(block.stamp, samples.len() / self.channels_in);
        self.converter.push(samples, &mut self.captured)?;
        self.cancel_echo(reference)?;
        self.suppress_noise()?;
        if self.processed.is_empty() {
            return Ok(None);
        }
        let stamp = self.clock.time_of(self.processed_count);
        self.processed_count += (self.processed.len() / self.channels) as u64;
        let pcm: Vec<u8> = self.processed.drain(..).flat_map(i16::to_le_bytes).collect();
        Ok(Some(v1::AudioChunk {
            header: Some(v1::Header::new(stamp.0, 0)),
            sample_rate_hz: SAMPLE_RATE_HZ,
            channels: self.channels as u32,
            pcm_s16le: pcm.into(),
        }))
    }

    fn cancel_echo(&mut self, reference: &mut Option<EchoReference>) -> Result<(), FrontEndError> {
        let Some(echo) = &mut self.echo else {
            self.echo_free.append(&mut self.captured);
            return Ok(());
        };
        let length = echo::FRAME * self.channels;
        let complete = self.captured.len() / length * length;
        for frame in self.captured[..complete].chunks_exact_mut(length) {
            let stamp = self.clock.time_of(self.echo_free_count);
            let played = match reference {
                Some(reference) => reference.frame(stamp)?,
                None => [0.0; echo::FRAME],
            };
            echo.process(&played, frame);
            self.echo_free_count += echo::FRAME as u64;
        }
        self.echo_free.extend(self.captured.drain(..complete));
        Ok(())
    }

    fn suppress_noise(&mut self) -> Result<(), FrontEndError> {
        let Some(noise) = &mut self.noise else {
            self.processed.append(&mut self.echo_free);
            return Ok(());
        };
        let length = noise::FRAME * self.channels;
        let complete = self.echo_free.len() / length * length;
        for frame in self.echo_free[..complete].chunks_exact_mut(length) {
            noise.process(frame)?;
        }
        self.processed.extend(self.echo_free.drain(..complete));
        Ok(())
    }
}
