//! Between the microphone's callback and the node: blocks of any rate and channels become chunks at 16 kHz, free of our
//! own voice. Deterministic: the same blocks give the same chunks; it knows no device.

use crate::{
    echo::{Cleaner, Cleaning, FRAME, Reference},
    resample::{Listen, ResampleError, To16k},
    sample_clock::SampleClock,
    tape::Block,
    vad::SAMPLE_RATE_HZ,
    wav::CHUNK,
};
use auriga_msgs::v1;

/// Why audio cannot be handed on.
#[derive(Debug, thiserror::Error)]
pub enum FrontEndError {
    #[error(transparent)]
    Resample(#[from] ResampleError),
    #[error("the echo canceller: {0}")]
    Clean(#[from] sonora::Error),
}

/// One stream of one device.
pub struct FrontEnd {
    converter: To16k,
    clock: SampleClock,
    channels_in: usize,
    channels: usize,
    cleaner: Option<Cleaner>,
    /// Converted, not cleaned yet; interleaved.
    heard: Vec<i16>,
    /// Cleaned, not yet a chunk.
    cleaned: Vec<i16>,
    /// Samples of each channel that were cleaned or handed on.
    cleaned_count: u64,
    given: u64,
}

impl FrontEnd {
    pub fn new(rate_hz: u32, channels: u16, listen: Listen, cleaning: Cleaning) -> Result<Self, ResampleError> {
        let converter = To16k::new(rate_hz, channels, listen)?;
        Ok(Self {
            clock: SampleClock::new(rate_hz),
            channels_in: channels.into(),
            channels: converter.channels_out(),
            cleaner: Cleaner::new(converter.channels_out(), cleaning),
            converter,
            heard: Vec::new(),
            cleaned: Vec::new(),
            cleaned_count: 0,
            given: 0,
        })
    }

    /// Takes a block of interleaved samples; `reference` is what our loudspeaker plays, if it does.
    pub fn block(
        &mut self,
        block: &Block,
        samples: &[f32],
        reference: &mut Option<Reference>,
        mut on: impl FnMut(v1::AudioChunk),
    ) -> Result<(), FrontEndError> {
        if block.after_loss {
            self.clock.start_anew();
        }
        self.clock.block(block.stamp, samples.len() / self.channels_in);
        self.converter.push(samples, &mut self.heard)?;
        self.clean(reference)?;
        while self.cleaned.len() >= CHUNK * self.channels {
            let stamp = self.clock.time_of(self.given);
            self.given += CHUNK as u64;
            let pcm: Vec<u8> = self.cleaned.drain(..CHUNK * self.channels).flat_map(i16::to_le_bytes).collect();
            on(v1::AudioChunk {
                header: Some(v1::Header::new(stamp.0, 0)),
                sample_rate_hz: SAMPLE_RATE_HZ,
                channels: self.channels as u32,
                pcm_s16le: pcm.into(),
            });
        }
        Ok(())
    }

    fn clean(&mut self, reference: &mut Option<Reference>) -> Result<(), FrontEndError> {
        let Some(cleaner) = &mut self.cleaner else {
            self.cleaned.append(&mut self.heard);
            return Ok(());
        };
        let length = FRAME * self.channels;
        let whole = self.heard.len() / length * length;
        for frame in self.heard[..whole].chunks_exact_mut(length) {
            let stamp = self.clock.time_of(self.cleaned_count);
            let played = match reference {
                Some(reference) => reference.frame(stamp)?,
                None => [0.0; FRAME],
            };
            cleaner.clean(&played, frame)?;
            self.cleaned_count += FRAME as u64;
        }
        self.cleaned.extend(self.heard.drain(..whole));
        Ok(())
    }
}
