//! The first pass over a recording: the positions and times of its chunks. It reads from the front, so that it needs no
//! summary and works on a truncated file. Where it finds no record it searches for the next chunk.

use super::damage::{ChunkHead, Found, find_chunk};
use mcap::{
    MAGIC, McapError,
    records::{Metadata, Record, op},
    sans_io::{LinearReadEvent, LinearReader, LinearReaderOptions},
};
use std::io::{self, BufReader, Read, Seek, SeekFrom};

/// Largest chunk or record that is read into memory; a larger one counts as damaged. The recorder's own are far smaller.
const MAX_RECORD_BYTES: usize = 256 << 20;
/// Largest header, metadata or statistics record that is looked at.
const MAX_FACT_BYTES: u64 = 1 << 20;
/// Opcodes from here to 0x7f are reserved by MCAP; from 0x80 on they are free for private records.
const FIRST_RESERVED: u8 = op::DATA_END + 1;
/// A record begins with its opcode and its length.
const PREFIX_BYTES: u64 = 9;
/// How files of other formats begin, and what they are.
const OTHER_FORMATS: [(&[u8], &str); 6] = [
    (b"SQLite format 3\0", "a database of SQLite, as rosbag2 writes with its storage sqlite3"),
    (b"#ROSBAG V", "a bag of ROS 1"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "compressed by gzip"),
    (b"BZh", "compressed by bzip2"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd"),
];

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

/// Bytes that are no records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damaged {
    pub offset: u64,
    pub bytes: u64,
}

/// The result of the first pass.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub sections: Vec<Section>,
    /// Schemas and channels once more, as the summary at the end of a complete file states them.
    pub summary: Vec<Section>,
    pub metadata: Vec<Metadata>,
    /// What wrote the file, and for which world.
    pub library: String,
    pub profile: String,
    /// Chunks found, and as the summary counts them.
    pub chunks: u64,
    pub counted_chunks: Option<u64>,
    pub damaged: Vec<Damaged>,
    /// Bytes after the last complete record of a truncated file; `None` for a complete one.
    pub truncated_bytes: Option<u64>,
    /// A truncated file ends as a complete one does: its end is damaged, not missing.
    pub has_end: bool,
}

/// Why a file is not a recording.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The magic is missing.
    #[error("it does not begin as an MCAP file does; expected a recording made by auriga-recorder")]
    NotMcap,
    /// It begins as a file of another format.
    #[error("it is {0}, not MCAP; expected a recording made by auriga-recorder")]
    Other(&'static str),
    /// A second file follows the first.
    #[error(
        "it is two recordings, one after the other; the second begins at byte {0}: split it there (head -c {0} FILE, tail -c \
         +$(({0} + 1)) FILE) and open one"
    )]
    Two(u64),
    /// The file cannot be read.
    #[error("reading it: {0}")]
    Io(#[from] io::Error),
}

/// What is at a position of the file.
enum Step {
    /// Opcode and length of a record.
    Record(u8, u64),
    /// For a chunk also the time of its earliest message.
    Chunk(u64, u64),
    /// The beginning of another file.
    Magic,
    /// No record, or one that is not complete.
    Damaged,
    /// The end of the file.
    End,
}

/// Scans the records of `source`.
pub(super) fn scan(source: &mut dyn ReadSeek) -> Result<Scan, OpenError> {
    let length = source.seek(SeekFrom::End(0))?;
    source.seek(SeekFrom::Start(0))?;
    let mut source = BufReader::new(source);
    check_magic(&mut source, length)?;
    let mut found = Scan::default();
    let mut at = (MAGIC.len() as u64).min(length);
    let mut after_chunk = at;
    loop {
        go(&mut source, at)?;
        match next_record(&mut source, at, length)? {
            Step::Magic => return Err(OpenError::Two(at)),
            Step::End => break,
            // One of the records after the last chunk may have led here by a wrong length.
            Step::Damaged => match find_chunk(&mut source, after_chunk + 1, length)? {
                Found::Nothing => break,
                Found::Magic(next) => return Err(OpenError::Two(next)),
                Found::Chunk(next) => {
                    let offset = if next > at { at } else { after_chunk };
                    found.damaged.push(Damaged { offset, bytes: next - offset });
                    at = next;
                }
            },
            Step::Chunk(bytes, start) => {
                found.sections.push(Section { offset: at, bytes, start });
                found.chunks += 1;
                at += bytes;
                after_chunk = at;
            }
            Step::Record(op::DATA_END, bytes) => {
                read_summary(&mut source, at + bytes, length, &mut found)?;
                found.has_end = ends_with_magic(&mut source, length)?;
                found.truncated_bytes = if found.has_end { None } else { Some(length - at) };
                return Ok(found);
            }
            Step::Record(kind, bytes) => {
                record(&mut source, kind, Section { offset: at, bytes, start: u64::MAX }, &mut found)?;
                at += bytes;
            }
        }
    }
    found.has_end = length >= 2 * MAGIC.len() as u64 && ends_with_magic(&mut source, length)?;
    found.truncated_bytes = Some(length - at);
    Ok(found)
}

/// Goes to a position, within what is buffered where possible.
fn go<R: Read + Seek>(source: &mut BufReader<R>, to: u64) -> io::Result<()> {
    let at = source.stream_position()?;
    source.seek_relative(to as i64 - at as i64)
}

fn check_magic(source: &mut impl Read, length: u64) -> Result<(), OpenError> {
    // A recorder that was killed at once leaves an empty file.
    if length == 0 {
        return Ok(());
    }
    let mut begin = Vec::new();
    source.take(16).read_to_end(&mut begin)?;
    if begin.starts_with(MAGIC) {
        return Ok(());
    }
    let other = OTHER_FORMATS.iter().find(|(magic, _)| begin.starts_with(magic));
    Err(other.map_or(OpenError::NotMcap, |(_, what)| OpenError::Other(what)))
}

/// Takes in a record of the data section that is no chunk.
fn record(source: &mut impl Read, kind: u8, at: Section, found: &mut Scan) -> io::Result<()> {
    let body = at.bytes - PREFIX_BYTES;
    match kind {
        op::MESSAGE => {
            // Channel, sequence, log time.
            let mut head = [0; 14];
            let start = match body >= head.len() as u64 {
                true => {
                    source.read_exact(&mut head)?;
                    u64_at(&head, 6)
                }
                false => u64::MAX,
            };
            found.sections.push(Section { start, ..at });
        }
        op::SCHEMA | op::CHANNEL => found.sections.push(at),
        op::METADATA | op::HEADER if body < MAX_FACT_BYTES => match fact(source, kind, body)? {
            Some(Record::Metadata(metadata)) => found.metadata.push(metadata),
            Some(Record::Header(header)) => (found.profile, found.library) = (header.profile, header.library),
            _ => {}
        },
        _ => {}
    }
    Ok(())
}

fn fact(source: &mut impl Read, kind: u8, body: u64) -> io::Result<Option<Record<'static>>> {
    let mut data = vec![0; body as usize];
    source.read_exact(&mut data)?;
    Ok(mcap::parse_record(kind, &data).ok().map(Record::into_owned))
}

/// Takes in the summary, as far as it can be read.
///
/// # Errors
/// When another file follows.
fn read_summary<R: Read + Seek>(
    source: &mut BufReader<R>,
    mut at: u64,
    length: u64,
    found: &mut Scan,
) -> Result<(), OpenError> {
    loop {
        go(source, at)?;
        let Step::Record(kind, bytes) = next_record(source, at, length)? else { return Ok(()) };
        let body = bytes - PREFIX_BYTES;
        match kind {
            op::SCHEMA | op::CHANNEL => found.summary.push(Section { offset: at, bytes, start: u64::MAX }),
            op::STATISTICS if body < MAX_FACT_BYTES => {
                if let Some(Record::Statistics(statistics)) = fact(source, kind, body)? {
                    found.counted_chunks = Some(u64::from(statistics.chunk_count));
                }
            }
            op::FOOTER => {
                let end = at + bytes + MAGIC.len() as u64;
                go(source, end.min(length))?;
                let second = end < length && matches!(next_record(source, end, length)?, Step::Magic);
                return if second { Err(OpenError::Two(end)) } else { Ok(()) };
            }
            _ => {}
        }
        at += bytes;
    }
}

/// What is at `at`, where `source` stands.
fn next_record(source: &mut impl Read, at: u64, length: u64) -> io::Result<Step> {
    let left = length.saturating_sub(at);
    if left == 0 {
        return Ok(Step::End);
    }
    let mut bytes = [0; (PREFIX_BYTES as usize) + ChunkHead::MAX_BYTES];
    let wanted = (left as usize).min(bytes.len());
    let mut head = vec![0; wanted];
    // Only what is needed: the record's body is read by others.
    let first = wanted.min(PREFIX_BYTES as usize);
    source.read_exact(&mut head[..first])?;
    bytes[..first].copy_from_slice(&head[..first]);
    if left >= MAGIC.len() as u64 && bytes.starts_with(MAGIC) {
        return Ok(Step::Magic);
    }
    let kind = bytes[0];
    let body = u64_at(&bytes, 1);
    // Opcode 0 does not exist: zeros are blocks that were not written before a power cut.
    let known = kind != 0 && !(FIRST_RESERVED..=0x7f).contains(&kind);
    if left < PREFIX_BYTES || !known || body > left - PREFIX_BYTES {
        return Ok(Step::Damaged);
    }
    if kind != op::CHUNK {
        return Ok(Step::Record(kind, body + PREFIX_BYTES));
    }
    source.read_exact(&mut head[first..])?;
    Ok(match ChunkHead::read(&head[first..], body) {
        Some(chunk) => Step::Chunk(body + PREFIX_BYTES, chunk.start),
        None => Step::Damaged,
    })
}

fn ends_with_magic(source: &mut (impl Read + Seek), length: u64) -> io::Result<bool> {
    let mut magic = [0; MAGIC.len()];
    source.seek(SeekFrom::Start(length - MAGIC.len() as u64))?;
    source.read_exact(&mut magic)?;
    Ok(magic == MAGIC)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
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
