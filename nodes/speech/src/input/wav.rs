//! A WAV file in place of a microphone: 20 ms chunks at 16 kHz, of one channel or of the seats' two.

use crate::input::{
    audio::{SAMPLE_NS, SAMPLE_RATE_HZ},
    front_end::resample::{ChannelSelection, ResampleError, To16k},
    riff::{End, RiffError, Samples},
};
use auriga_msgs::v1;
use auriga_runtime::Nanos;
use std::{
    fs::File,
    io::{self, BufReader},
    path::{Path, PathBuf},
};

/// Samples of a chunk: 20 ms.
pub const CHUNK: usize = SAMPLE_RATE_HZ as usize / 50;
/// Frames read from the file at a time.
const BLOCK_FRAMES: usize = 1024;

/// Why a WAV file cannot be read, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum WavError {
    /// It cannot be opened, is no WAV file or has samples of another encoding.
    #[error("WAV file {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: RiffError,
    },
    /// Its rate or number of channels is out of range.
    #[error("WAV file {}: {source}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ResampleError,
    },
    /// It ends before the length in its header.
    #[error("WAV file {}: ends after {seconds:.2} s, before the length in its header; is it complete?", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Length that was read, in s.
        seconds: f64,
    },
    /// It cannot be read to its end.
    #[error("WAV file {}: cannot be read after {seconds:.2} s: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Length that was read, in s.
        seconds: f64,
        /// Why.
        source: io::Error,
    },
}

/// The chunks of a WAV file of any rate, channels and depth, in order, mixed to one channel. Each item has the time at
/// which a microphone would have delivered the chunk (the end of its last sample); its stamp is the time of its first
/// sample. `base` is time 0 of the file. A truncated file gives its chunks and then an error.
///
/// # Errors
/// When it cannot be opened or its format is not supported.
pub fn audio_chunks(path: &Path, base: Nanos) -> Result<AudioChunks, WavError> {
    audio_chunks_of(path, base, ChannelSelection::Mixed)
}

/// As [`audio_chunks`], of the selected channels; a file that lacks them is mixed to one.
///
/// # Errors
/// As [`audio_chunks`].
pub fn audio_chunks_of(path: &Path, base: Nanos, selection: ChannelSelection) -> Result<AudioChunks, WavError> {
    let open = |source| WavError::Open { path: path.into(), source };
    let file = File::open(path).map_err(|e| open(e.into()))?;
    let samples = Samples::new(BufReader::new(file)).map_err(open)?;
    let (rate_hz, channels) = (samples.format.rate_hz, samples.format.channels);
    let format = |source| WavError::Format { path: path.into(), source };
    let selection = if channels < selection.channels() { ChannelSelection::Mixed } else { selection };
    let converter = To16k::new(rate_hz, channels, selection).map_err(format)?;
    Ok(AudioChunks {
        path: path.into(),
        frames_read: 0,
        samples: Some(samples),
        rate_hz,
        channels_in: channels.into(),
        channels: converter.channels_out(),
        converter: Some(converter),
        ready: Vec::new(),
        chunks: 0,
        base,
        error: None,
    })
}

/// The chunks of a WAV file ([`audio_chunks`]).
pub struct AudioChunks {
    path: PathBuf,
    frames_read: u64,
    /// `None` once the file is read to its end.
    samples: Option<Samples<BufReader<File>>>,
    /// Of the file.
    rate_hz: u32,
    channels_in: usize,
    converter: Option<To16k>,
    /// Channels of the chunks.
    channels: usize,
    ready: Vec<i16>,
    chunks: u64,
    base: Nanos,
    error: Option<WavError>,
}

impl AudioChunks {
    /// Reads a block of the file into `ready`.
    fn read_block(&mut self) {
        let Some(samples) = &mut self.samples else { return };
        let mut block = Vec::with_capacity(BLOCK_FRAMES * self.channels_in);
        let end = samples.read(BLOCK_FRAMES, &mut block);
        self.frames_read += (block.len() / self.channels_in) as u64;
        let seconds = self.frames_read as f64 / f64::from(self.rate_hz);
        let at_end = !matches!(end, Ok(End::More));
        match end {
            Ok(End::More | End::Complete) => {}
            Ok(End::Cut) => self.error = Some(WavError::Truncated { path: self.path.clone(), seconds }),
            Err(source) => self.error = Some(WavError::Read { path: self.path.clone(), seconds, source }),
        }
        let converted = match self.converter.as_mut().map(|c| c.push(&block, &mut self.ready)) {
            Some(Ok(())) if at_end => self.converter.take().map_or(Ok(()), |c| c.finish(&mut self.ready)),
            Some(other) => other,
            None => Ok(()),
        };
        if at_end || converted.is_err() {
            self.samples = None;
        }
        if let Err(source) = converted {
            self.error = Some(WavError::Format { path: self.path.clone(), source });
        }
    }
}

impl Iterator for AudioChunks {
    type Item = Result<(Nanos, v1::AudioChunk), WavError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.len() < CHUNK * self.channels && self.samples.is_some() {
            self.read_block();
        }
        if self.ready.is_empty() {
            return self.error.take().map(Err);
        }
        // Only the last chunk can be shorter.
        let count = (self.ready.len() / self.channels).min(CHUNK);
        let pcm: Vec<u8> = self.ready.drain(..count * self.channels).flat_map(i16::to_le_bytes).collect();
        let at = |samples: u64| self.base.0.saturating_add(samples * SAMPLE_NS);
        let first = self.chunks * CHUNK as u64;
        self.chunks += 1;
        let chunk = v1::AudioChunk {
            header: Some(v1::Header::new(at(first), 0)),
            sample_rate_hz: SAMPLE_RATE_HZ,
            channels: self.channels as u32,
            pcm_s16le: pcm.into(),
        };
        Some(Ok((Nanos(at(first + count as u64)), chunk)))
    }
}
