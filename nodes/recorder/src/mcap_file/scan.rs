//! The first pass over a recording: the positions and times of its chunks. It reads from the front, so that it needs no
//! summary and works on a truncated file.

use mcap::{
    MAGIC, McapError,
    records::{Metadata, Record, op},
    sans_io::{LinearReadEvent, LinearReader, LinearReaderOptions},
};
use std::io::{self, BufReader, Read, Seek, SeekFrom};

/// Largest chunk or record that is read into memory; a larger one counts as damaged. The recorder's own are far smaller.
const MAX_RECORD_BYTES: usize = 256 << 20;
/// Opcodes from here to 0x7f are reserved by MCAP; from 0x80 on they are free for private records.
const FIRST_RESERVED: u8 = op::DATA_END + 1;
/// A record begins with its opcode and its length.
const PREFIX_BYTES: u64 = 9;

pub(super) trait ReadSeek: Read + Seek + Send {}
impl<T: Read + Seek + Send> ReadSeek for T {}

/// A record of the data section that is read: a chunk, or a schema, channel or message outside of chunks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section {
    pub offset: u64,
    pub bytes: u64,
    /// Log time of its earliest message; `u64::MAX` without messages.
    pub start: u64,
}

/// The result of the first pass.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub sections: Vec<Section>,
    pub metadata: Vec<Metadata>,
    /// Positions and opcodes of reserved records, which do not exist in a valid file.
    pub unknown: Vec<(u64, u8)>,
    /// Bytes after the last complete record of a truncated file; `None` for a complete one.
    pub truncated_bytes: Option<u64>,
}

/// Why a file is not a recording.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The magic is missing.
    #[error("it does not begin as an MCAP file does; expected a recording made by auriga-recorder")]
    NotMcap,
    /// The file cannot be read.
    #[error("reading it: {0}")]
    Io(#[from] io::Error),
}

/// Scans the records of `source`.
pub(super) fn scan(source: &mut dyn ReadSeek) -> Result<Scan, OpenError> {
    let length = source.seek(SeekFrom::End(0))?;
    source.seek(SeekFrom::Start(0))?;
    let mut source = BufReader::new(source);
    let mut magic = [0; MAGIC.len()];
    // A recorder that was killed at once leaves an empty file.
    if length > 0 && (length < MAGIC.len() as u64 || source.read_exact(&mut magic).is_err() || magic != MAGIC) {
        return Err(OpenError::NotMcap);
    }
    let mut found = Scan::default();
    let mut at = (MAGIC.len() as u64).min(length);
    while let Some((kind, bytes)) = next_record(&mut source, at, length)? {
        let body = bytes - PREFIX_BYTES;
        let mut used = 0;
        match kind {
            op::DATA_END => {
                found.truncated_bytes = if ends_with_magic(&mut source, length)? { None } else { Some(length - at) };
                return Ok(found);
            }
            op::CHUNK => {
                // Start time, end time.
                let times = read_array::<16>(&mut source, body, &mut used)?;
                let start = times.map_or(u64::MAX, |t| u64_at(&t, 0));
                found.sections.push(Section { offset: at, bytes, start });
            }
            op::MESSAGE => {
                // Channel, sequence, log time.
                let head = read_array::<14>(&mut source, body, &mut used)?;
                let start = head.map_or(u64::MAX, |h| u64_at(&h, 6));
                found.sections.push(Section { offset: at, bytes, start });
            }
            op::SCHEMA | op::CHANNEL => found.sections.push(Section { offset: at, bytes, start: u64::MAX }),
            op::METADATA if body < 1 << 20 => {
                let mut data = vec![0; body as usize];
                source.read_exact(&mut data)?;
                used = body;
                if let Ok(Record::Metadata(m)) = mcap::parse_record(op::METADATA, &data) {
                    found.metadata.push(m);
                }
            }
            kind @ FIRST_RESERVED..=0x7f => found.unknown.push((at, kind)),
            _ => {}
        }
        source.seek_relative((body - used) as i64)?;
        at += bytes;
    }
    found.truncated_bytes = Some(length - at);
    Ok(found)
}

/// Opcode and length of the record at `at`; `None` when it is not complete.
fn next_record(source: &mut impl Read, at: u64, length: u64) -> io::Result<Option<(u8, u64)>> {
    if length - at < PREFIX_BYTES {
        return Ok(None);
    }
    let mut prefix = [0; PREFIX_BYTES as usize];
    source.read_exact(&mut prefix)?;
    let body = u64_at(&prefix, 1);
    // Opcode 0 does not exist: zeros are blocks that were not written before a power cut.
    let complete = prefix[0] != 0 && body <= length - at - PREFIX_BYTES;
    Ok(complete.then_some((prefix[0], body.wrapping_add(PREFIX_BYTES))))
}

fn ends_with_magic(source: &mut (impl Read + Seek), length: u64) -> io::Result<bool> {
    let mut magic = [0; MAGIC.len()];
    source.seek(SeekFrom::Start(length - MAGIC.len() as u64))?;
    source.read_exact(&mut magic)?;
    Ok(magic == MAGIC)
}

fn read_array<const N: usize>(source: &mut impl Read, body: u64, used: &mut u64) -> io::Result<Option<[u8; N]>> {
    if body < N as u64 {
        return Ok(None);
    }
    let mut bytes = [0; N];
    source.read_exact(&mut bytes)?;
    *used = N as u64;
    Ok(Some(bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(value)
}

/// Calls `each` with the schemas, channels and messages of one section. Chunks are decompressed and their checksum is
/// verified first.
pub(super) fn read_section(
    source: &mut dyn ReadSeek,
    section: Section,
    mut each: impl FnMut(Record<'_>),
) -> Result<(), McapError> {
    if section.bytes > MAX_RECORD_BYTES as u64 {
        return Err(McapError::ChunkTooLarge(section.bytes));
    }
    source.seek(SeekFrom::Start(section.offset))?;
    let options = LinearReaderOptions::default()
        .with_skip_start_magic(true)
        .with_skip_end_magic(true)
        .with_prevalidate_chunk_crcs(true)
        .with_record_length_limit(MAX_RECORD_BYTES);
    let mut reader = LinearReader::new_with_options(options);
    let mut left = section.bytes as usize;
    while let Some(event) = reader.next_event() {
        match event? {
            LinearReadEvent::ReadRequest(wanted) => {
                let length = wanted.min(left);
                source.read_exact(reader.insert(length))?;
                reader.notify_read(length);
                left -= length;
            }
            LinearReadEvent::Record { data, opcode: opcode @ (op::SCHEMA | op::CHANNEL | op::MESSAGE) } => {
                each(mcap::parse_record(opcode, data)?);
            }
            LinearReadEvent::Record { .. } => {}
        }
    }
    Ok(())
}
