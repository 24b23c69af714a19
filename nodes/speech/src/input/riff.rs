//! A reader of WAV streams: RIFF, and RF64 for long files. It never seeks, so a pipe will do.
//!
//! The format is that of Microsoft's "Multiple Channel Audio Data and WAVE Files" and EBU Tech 3306. Read are integers of up
//! to 32 bits in any container, floats of 32 and 64 bits, A-law and μ-law. Programs that cannot go back to the header leave a
//! length there that is 0 or near the largest one; the data then ends with the stream.

use std::io::{self, Read};

/// A length near the largest one in a header stands for an unknown one.
const UNKNOWN_LENGTH_BYTES: u64 = 0x7fff_0000;
/// A longer format or size chunk is damaged.
const MAX_HEADER_BYTES: u64 = 1 << 16;
/// The last 14 bytes of the GUIDs of sample formats (KSDATAFORMAT_SUBTYPE), and of those of Ambisonic B-format.
const GUID_TAILS: [[u8; 14]; 2] = [
    [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71],
    [0, 0, 0x21, 0x07, 0xd3, 0x11, 0x86, 0x44, 0xc8, 0xc1, 0xca, 0, 0, 0],
];
const EXTENSIBLE: u16 = 0xfffe;

/// Why a stream is no WAV file that can be read.
#[derive(Debug, thiserror::Error)]
pub enum RiffError {
    /// The stream cannot be read.
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    /// It does not begin as a WAV file does.
    #[error("is no WAV file: expected RIFF or RF64 and WAVE at its beginning{0}")]
    NotWav(&'static str),
    /// It ends before its samples.
    #[error("has no samples: it ends before a `{0}` chunk")]
    Ends(&'static str),
    /// Its samples come before their format.
    #[error("is damaged: its `data` chunk comes before its `fmt ` chunk")]
    Order,
    /// A chunk of the header is too short or too long.
    #[error("is damaged: its `{chunk}` chunk has {bytes} bytes")]
    Chunk {
        /// The chunk.
        chunk: &'static str,
        /// Its length in bytes.
        bytes: u64,
    },
    /// Its samples are encoded in a way that is not supported.
    #[error(
        "has samples of format {tag:#06x}{name}: expected integers, floats, A-law or μ-law; convert it to 16-bit PCM"
    )]
    Encoding {
        /// The format tag.
        tag: u16,
        /// The name of the format, in brackets, where it is known.
        name: &'static str,
    },
    /// Its samples have a size that is not supported.
    #[error("expected samples of 8, 16, 24 or 32 bits, or floats of 32 or 64 bits, found {bits} bits in {bytes} bytes")]
    Bits {
        /// Bits of a sample.
        bits: u16,
        /// Bytes of a sample.
        bytes: usize,
    },
    /// It has no channel.
    #[error("has no channel")]
    Channels,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Integer,
    Float,
    ALaw,
    MuLaw,
}

/// The format of the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// Frames per second.
    pub rate_hz: u32,
    /// Interleaved channels; at least 1.
    pub channels: u16,
    encoding: Encoding,
    /// Bytes of a sample. Its valid bits are the highest of them.
    bytes: usize,
}

/// A WAV stream whose header has been read.
pub struct Samples<R> {
    source: R,
    /// The format.
    pub format: Format,
    /// Bytes of samples that are left; `None`: until the stream ends.
    left: Option<u64>,
    /// Whether the stream is cut if it ends before.
    is_length_known: bool,
    buffer: Vec<u8>,
}

/// The end of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// There are more samples.
    More,
    /// All samples have been read.
    Complete,
    /// The stream ends before the length in its header.
    Cut,
}

impl<R: Read> Samples<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// A stream that is no WAV file, or one of another encoding.
    pub fn new(source: R) -> Result<Self, RiffError> {
        let mut chunks = Chunks { source, read: 0, unpadded: None };
        let (id, size) = chunks.header()?.ok_or(RiffError::NotWav(""))?;
        let is_long = matches!(&id, b"RF64" | b"BW64");
        let mut kind = [0; 4];
        if !chunks.fill(&mut kind)? || &kind != b"WAVE" || !(is_long || &id == b"RIFF") {
            let big = if &id == b"RIFX" { ", found RIFX (big-endian), which is not supported" } else { "" };
            return Err(RiffError::NotWav(big));
        }
        let (mut format, mut long_data) = (None, None);
        loop {
            let wanted = if format.is_none() { "fmt " } else { "data" };
            let (id, size_here) = chunks.header()?.ok_or(RiffError::Ends(wanted))?;
            match &id {
                b"fmt " => format = Some(Format::parse(&chunks.body("fmt ", size_here, 16)?)?),
                b"ds64" if is_long => {
                    let sizes = chunks.body("ds64", size_here, 24)?;
                    long_data = Some(u64_at(&sizes, 8)).filter(|&bytes| bytes != 0 && bytes != u64::MAX);
                }
                b"data" => {
                    let format = format.ok_or(RiffError::Order)?;
                    let (left, is_length_known) = data_length(size, size_here, long_data, chunks.read);
                    let Chunks { source, .. } = chunks;
                    return Ok(Self { source, format, left, is_length_known, buffer: Vec::new() });
                }
                _ => {
                    let skipped = io::copy(&mut chunks.source.by_ref().take(size_here.into()), &mut io::sink())?;
                    chunks.read += skipped;
                    chunks.pad(size_here)?;
                }
            }
        }
    }

    /// Appends up to `frames` frames to `to`, −1 to 1.
    ///
    /// # Errors
    /// A stream that cannot be read.
    pub fn read(&mut self, frames: usize, to: &mut Vec<f32>) -> io::Result<End> {
        let frame = self.format.bytes * usize::from(self.format.channels);
        let wanted = (frames * frame) as u64;
        let limit = self.left.map_or(wanted, |left| wanted.min(left));
        self.buffer.clear();
        let found = self.source.by_ref().take(limit).read_to_end(&mut self.buffer)? as u64;
        let complete = self.buffer.len() / frame * frame;
        let format = self.format;
        to.extend(self.buffer[..complete].chunks_exact(format.bytes).map(|sample| format.value(sample)));
        let left = self.left.map(|left| left - found);
        self.left = left;
        Ok(match left {
            // A rest that is no whole frame is none of the samples.
            Some(left) if left < frame as u64 && found == limit => End::Complete,
            _ if found == wanted => End::More,
            Some(_) if self.is_length_known => End::Cut,
            _ => End::Complete,
        })
    }
}

/// The bytes of samples, and whether the stream is cut if it ends before. `riff`: length of the file by its header; `data`:
/// that of its data chunk, by its own header and by `ds64`; `read`: bytes up to the samples.
fn data_length(riff: u32, data: u32, long: Option<u64>, read: u64) -> (Option<u64>, bool) {
    match (data, long) {
        (u32::MAX, Some(bytes)) => (Some(bytes), true),
        (u32::MAX, None) => (None, false),
        // Chunks without samples may follow; a header that ends here, or knows no length, was never completed.
        (0, _) if riff == 0 || riff == u32::MAX || u64::from(riff) + 8 <= read => (None, false),
        (bytes, _) => (Some(bytes.into()), u64::from(bytes) < UNKNOWN_LENGTH_BYTES),
    }
}

/// The chunks of a stream.
struct Chunks<R> {
    source: R,
    /// Bytes read so far.
    read: u64,
    /// The first byte of the next chunk, if the one before has an odd length and no padding.
    unpadded: Option<u8>,
}

impl<R: Read> Chunks<R> {
    /// Fills `to`; false if the stream ends before.
    fn fill(&mut self, to: &mut [u8]) -> io::Result<bool> {
        match self.source.read_exact(to) {
            Ok(()) => self.read += to.len() as u64,
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(e) => return Err(e),
        }
        Ok(true)
    }

    /// Name and length of the next chunk; `None` at the end.
    fn header(&mut self) -> io::Result<Option<([u8; 4], u32)>> {
        let mut bytes = [0; 8];
        let known = self.unpadded.take().map_or(0, |first| {
            bytes[0] = first;
            1
        });
        if !self.fill(&mut bytes[known..])? {
            return Ok(None);
        }
        let [a, b, c, d, size @ ..] = bytes;
        Ok(Some(([a, b, c, d], u32::from_le_bytes(size))))
    }

    /// The content of a chunk of the header, of at least `least` bytes.
    fn body(&mut self, chunk: &'static str, size: u32, least: u64) -> Result<Vec<u8>, RiffError> {
        if !(least..=MAX_HEADER_BYTES).contains(&size.into()) {
            return Err(RiffError::Chunk { chunk, bytes: size.into() });
        }
        let mut body = vec![0; size as usize];
        if !self.fill(&mut body)? {
            return Err(RiffError::Ends("data"));
        }
        self.pad(size)?;
        Ok(body)
    }

    /// Skips the byte that follows a chunk of odd length. Some programs write none: what follows then is a name.
    fn pad(&mut self, size: u32) -> io::Result<()> {
        let mut byte = [0];
        if !size.is_multiple_of(2) && self.fill(&mut byte)? && byte[0].is_ascii_graphic() {
            self.unpadded = Some(byte[0]);
        }
        Ok(())
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 8].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

impl Format {
    /// From the content of a `fmt ` chunk, of at least 16 bytes.
    fn parse(fmt: &[u8]) -> Result<Self, RiffError> {
        let (channels, bits) = (u16_at(fmt, 2), u16_at(fmt, 14));
        let rate_hz = u32::from(u16_at(fmt, 4)) | u32::from(u16_at(fmt, 6)) << 16;
        if channels == 0 {
            return Err(RiffError::Channels);
        }
        let tag = match u16_at(fmt, 0) {
            EXTENSIBLE if fmt.len() >= 40 && GUID_TAILS.iter().any(|tail| tail == &fmt[26..40]) => u16_at(fmt, 24),
            tag => tag,
        };
        let encoding = match tag {
            1 => Encoding::Integer,
            3 => Encoding::Float,
            6 => Encoding::ALaw,
            7 => Encoding::MuLaw,
            _ => return Err(RiffError::Encoding { tag, name: name(tag) }),
        };
        // The container of a sample follows from the size of a frame; where that makes no sense, from the bits.
        let frame = u16_at(fmt, 12);
        let container = usize::from(frame / channels);
        let fits = frame.is_multiple_of(channels) && (1..=8).contains(&container) && usize::from(bits) <= 8 * container;
        let bytes = if fits { container } else { usize::from(bits.div_ceil(8)) };
        let is_supported = match encoding {
            Encoding::Integer => bits > 0 && (1..=4).contains(&bytes),
            Encoding::Float => matches!((bits, bytes), (32, 4) | (64, 8)),
            Encoding::ALaw | Encoding::MuLaw => bytes == 1,
        };
        if is_supported {
            Ok(Self { rate_hz, channels, encoding, bytes })
        } else {
            Err(RiffError::Bits { bits, bytes })
        }
    }

    /// The value of a sample, −1 to 1 (floats: as they are; 0 if not finite).
    fn value(self, sample: &[u8]) -> f32 {
        match (self.encoding, sample) {
            (Encoding::Integer, &[byte]) => (f32::from(byte) - 128.0) / 128.0,
            (Encoding::ALaw, &[byte]) => a_law(byte),
            (Encoding::MuLaw, &[byte]) => mu_law(byte),
            (Encoding::Float, &[a, b, c, d]) => finite(f32::from_le_bytes([a, b, c, d])),
            (Encoding::Float, &[a, b, c, d, e, f, g, h]) => finite(f64::from_le_bytes([a, b, c, d, e, f, g, h]) as f32),
            // Integers are left-aligned: the highest byte is the last.
            (_, bytes) => {
                let value = bytes.iter().rev().take(4).fold(0u32, |value, byte| value << 8 | u32::from(*byte));
                let shift = 32 - 8 * bytes.len().min(4) as u32;
                (value << shift) as i32 as f32 / 2f32.powi(31)
            }
        }
    }
}

fn finite(value: f32) -> f32 {
    if value.is_finite() { value } else { 0.0 }
}

/// ITU-T G.711, 13 bits.
fn a_law(byte: u8) -> f32 {
    let code = byte ^ 0x55;
    let (exponent, mantissa) = (code >> 4 & 7, i32::from(code & 15));
    let value = if exponent == 0 { 2 * mantissa + 1 } else { (2 * mantissa + 33) << (exponent - 1) };
    let value = value as f32 / 4096.0;
    if code & 0x80 == 0 { -value } else { value }
}

/// ITU-T G.711, 14 bits.
fn mu_law(byte: u8) -> f32 {
    let code = !byte;
    let (exponent, mantissa) = (code >> 4 & 7, i32::from(code & 15));
    let value = (((2 * mantissa + 33) << exponent) - 33) as f32 / 8192.0;
    if code & 0x80 == 0 { value } else { -value }
}

/// The name of a format that is not supported, in brackets.
fn name(tag: u16) -> &'static str {
    match tag {
        0x0002 | 0x0011 => " (ADPCM)",
        0x0031 => " (GSM)",
        0x0050 | 0x0055 => " (MPEG audio)",
        0x00ff | 0x1600..=0x1610 => " (AAC)",
        EXTENSIBLE => " (extensible, without a known subformat)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The samples of a stream of one channel whose format chunk has this tag and container and whose data is `data`.
    fn values(tag: u16, bytes: u16, bits: u16, data: &[u8]) -> Vec<f32> {
        let fmt: Vec<u8> = [tag, 1, 16_000, 0, 0, 0, bytes, bits].iter().flat_map(|v| v.to_le_bytes()).collect();
        let format = Format::parse(&fmt).unwrap();
        data.chunks_exact(format.bytes).map(|sample| format.value(sample)).collect()
    }

    #[test]
    fn samples_of_each_encoding_have_their_value() {
        assert_eq!(values(1, 1, 8, &[0, 128, 192]), [-1.0, 0.0, 0.5]);
        assert_eq!(values(1, 2, 16, &[0, 0x80, 0, 0x40]), [-1.0, 0.5]);
        // 12 bits in 16, and 20 in 24 or 32: the valid bits are the highest.
        assert_eq!(values(1, 2, 12, &[0, 0x40]), [0.5]);
        assert_eq!(values(1, 3, 20, &[0, 0, 0xc0]), [-0.5]);
        assert_eq!(values(1, 4, 24, &[0, 0, 0, 0x20]), [0.25]);
        assert_eq!(values(3, 4, 32, &[0.75f32.to_le_bytes(), f32::NAN.to_le_bytes()].concat()), [0.75, 0.0]);
        assert_eq!(values(3, 8, 64, &(-0.125f64).to_le_bytes()), [-0.125]);
        // The largest codes of both laws, and the smallest: ITU-T G.711, tables 1 and 2.
        assert_eq!(values(6, 1, 8, &[0xaa, 0x2a, 0xd5]), [4032.0 / 4096.0, -4032.0 / 4096.0, 1.0 / 4096.0]);
        assert_eq!(values(7, 1, 8, &[0x80, 0x00, 0xff]), [8031.0 / 8192.0, -8031.0 / 8192.0, 0.0]);
    }

    #[test]
    fn the_length_of_the_data_is_that_of_its_header_or_unknown() {
        for (riff, data, long, expected) in [
            (1044, 1000, None, (Some(1000), true)),
            // Headers of programs that write to a pipe, and of recordings that were never closed.
            (u32::MAX, u32::MAX, None, (None, false)),
            (0, 0, None, (None, false)),
            (36, 0, None, (None, false)),
            (0x7fff_0024, 0x7fff_0000, None, (Some(0x7fff_0000), false)),
            (0, 1000, None, (Some(1000), true)),
            // Other chunks follow an empty one.
            (100, 0, None, (Some(0), true)),
            (u32::MAX, u32::MAX, Some(5_000_000_000), (Some(5_000_000_000), true)),
        ] {
            assert_eq!(data_length(riff, data, long, 44), expected, "{riff} {data}");
        }
    }
}
