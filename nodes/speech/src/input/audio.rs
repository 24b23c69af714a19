//! The audio that comes in.

use crate::turns::vad::SAMPLE_RATE_HZ;
use auriga_msgs::v1;

/// A longer chunk is not audio as it comes.
const MAX_CHUNK_BYTES: usize = 10 * 2 * 2 * SAMPLE_RATE_HZ as usize;

/// The samples of a chunk; else what is wrong with it.
pub(crate) fn samples(chunk: &v1::AudioChunk) -> Result<Vec<i16>, String> {
    let (rate, channels) = (chunk.sample_rate_hz, chunk.channels);
    if rate != SAMPLE_RATE_HZ || !(1..=2).contains(&channels) {
        return Err(format!("expected {SAMPLE_RATE_HZ} Hz with 1 or 2 channels, found {rate} Hz with {channels}"));
    }
    let bytes = &chunk.pcm_s16le;
    if !bytes.len().is_multiple_of(2 * channels as usize) || bytes.len() > MAX_CHUNK_BYTES {
        return Err(format!("expected whole 16-bit samples of at most 10 s, found {} bytes", bytes.len()));
    }
    Ok(bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect())
}
