//! A WAV file in place of a microphone: 20 ms chunks at 16 kHz, of one channel or of the seats' two.

use crate::input::{
    audio::{SAMPLE_NS, SAMPLE_RATE_HZ},
    front_end::resample::{ChannelSelection, ResampleError, To16k},
};
use auriga_msgs::v1;
use auriga_runtime::Nanos;
use hound::{SampleFormat, WavReader};
use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

/// Samples of a chunk: 20 ms.
pub const CHUNK: usize = SAMPLE_RATE_HZ as usize / 50;
/// Frames read from the file at a time.
const BLOCK_FRAMES: usize = 1024;
/// Programs that write to a pipe do not know the length; they write a number near the largest one into the header.
const UNKNOWN_LENGTH_BYTES: u64 = 0x7fff_0000;

/// Why a WAV file cannot be read, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum WavError {
    /// It cannot be opened or is no WAV file.
    #[error("WAV file {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: hound::Error,
    },
    /// Its rate or number of channels is out of range.
    #[error("WAV file {}: {source}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ResampleError,
    },
    /// Its sample type is not supported.
    #[error("WAV file {}: expected samples of 8, 16, 24 or 32 bits (or 32-bit floats), found {bits} bits", path.display())]
    Bits {
        /// The file.
        path: PathBuf,
        /// Bits of a sample.
        bits: u16,
    },
    /// It ends before the length in its header.
    #[error("WAV file {}: ends after {seconds:.2} s, before the length in its header; is it complete? ({source})", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Length that was read, in s.
        seconds: f64,
        /// Why reading stopped.
        source: hound::Error,
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
    let reader = WavReader::open(path).map_err(|source| WavError::Open { path: path.into(), source })?;
    let spec = reader.spec();
    match (spec.sample_format, spec.bits_per_sample) {
        (SampleFormat::Int, 8 | 16 | 24 | 32) | (SampleFormat::Float, 32) => {}
        (_, bits) => return Err(WavError::Bits { path: path.into(), bits }),
    }
    let format = |source| WavError::Format { path: path.into(), source };
    let selection = if spec.channels < selection.channels() { ChannelSelection::Mixed } else { selection };
    let converter = To16k::new(spec.sample_rate, spec.channels, selection).map_err(format)?;
    let bytes = u64::from(reader.len()) * u64::from(spec.bits_per_sample / 8);
    Ok(AudioChunks {
        path: path.into(),
        spec,
        frames_read: 0,
        length_known: bytes < UNKNOWN_LENGTH_BYTES,
        reader: Some(reader),
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
    spec: hound::WavSpec,
    frames_read: u64,
    length_known: bool,
    /// `None` once the file is read to its end.
    reader: Option<WavReader<BufReader<File>>>,
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
        let Some(reader) = &mut self.reader else { return };
        let wanted = BLOCK_FRAMES * usize::from(self.spec.channels);
        let full_scale = (1u64 << (self.spec.bits_per_sample - 1)) as f32;
        let (block, failed) = match self.spec.sample_format {
            SampleFormat::Float => take_samples(reader.samples::<f32>(), wanted, |s| s),
            SampleFormat::Int => take_samples(reader.samples::<i32>(), wanted, |s: i32| s as f32 / full_scale),
        };
        self.frames_read += block.len() as u64 / u64::from(self.spec.channels);
        if let Some(source) = failed
            && self.length_known
        {
            let seconds = self.frames_read as f64 / f64::from(self.spec.sample_rate);
            self.error = Some(WavError::Truncated { path: self.path.clone(), seconds, source });
        }
        let at_end = block.len() < wanted;
        let converted = match self.converter.as_mut().map(|c| c.push(&block, &mut self.ready)) {
            Some(Ok(())) if at_end => self.converter.take().map_or(Ok(()), |c| c.finish(&mut self.ready)),
            Some(other) => other,
            None => Ok(()),
        };
        if let Err(source) = converted {
            self.error = Some(WavError::Format { path: self.path.clone(), source });
            self.reader = None;
        }
        if at_end {
            self.reader = None;
        }
    }
}

/// Up to `wanted` samples, and the error that ended them early.
fn take_samples<S>(
    samples: impl Iterator<Item = Result<S, hound::Error>>,
    wanted: usize,
    convert: impl Fn(S) -> f32,
) -> (Vec<f32>, Option<hound::Error>) {
    let mut block = Vec::with_capacity(wanted);
    for sample in samples.take(wanted) {
        match sample {
            Ok(sample) => block.push(convert(sample)),
            Err(e) => return (block, Some(e)),
        }
    }
    (block, None)
}

impl Iterator for AudioChunks {
    type Item = Result<(Nanos, v1::AudioChunk), WavError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.len() < CHUNK * self.channels && self.reader.is_some() {
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
