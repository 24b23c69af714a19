//! The first look at a recording: where its chunks lie and what times they hold, read from the front, so that it needs
//! no summary and works on a file that was cut off.

use mcap::{
    MAGIC, McapError,
    records::{Metadata, Record, op},
    sans_io::{LinearReadEvent, LinearReader, LinearReaderOptions},
};
use std::io::{self, BufReader, Read, Seek, SeekFrom};

/// No chunk and no record of ours comes near it; a larger one is not read into memory but counts as damaged.
const MAX_PIECE_BYTES: usize = 256 << 20;
/// Kinds from here to 0x7f are not given out yet; from 0x80 on they are free for everybody's own.
const FIRST_RESERVED: u8 = op::DATA_END + 1;
/// A record begins with its kind and its length.
const PREFIX_BYTES: u64 = 9;

pub(super) trait ReadSeek: Read + Seek + Send {}
impl<T: Read + Seek + Send> ReadSeek for T {}

/// A record of the data section that matters: a chunk, or a schema, channel or message outside of chunks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub offset: u64,
    pub bytes: u64,
    /// Log time of the earliest message in it; the greatest there is when it holds none.
    pub start: u64,
}

/// What the first look found.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    pub pieces: Vec<Piece>,
    pub metadata: Vec<Metadata>,
    /// Where a record lies of a kind that does not exist.
    pub unknown: Vec<(u64, u8)>,
    /// Bytes after the last whole record of a file that does not end as an MCAP file does; `None` when it does.
    pub cut_off: Option<u64>,
}

/// Why a file is no recording.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("it does not begin as an MCAP file does; expected a recording made by auriga-recorder")]
    NotMcap,
    #[error("reading it: {0}")]
    Io(#[from] io::Error),
}

/// Goes through the records of `source`.
pub(super) fn find(source: &mut dyn ReadSeek) -> Result<Pieces, OpenError> {
    let length = source.seek(SeekFrom::End(0))?;
    source.seek(SeekFrom::Start(0))?;
    let mut source = BufReader::new(source);
    let mut magic = [0; MAGIC.len()];
    // An empty file is a recorder killed at once.
    if length > 0 && (length < MAGIC.len() as u64 || source.read_exact(&mut magic).is_err() || magic != MAGIC) {
        return Err(OpenError::NotMcap);
    }
    let mut found = Pieces::default();
    let mut at = (MAGIC.len() as u64).min(length);
    while let Some((kind, bytes)) = next_record(&mut source, at, length)? {
        let body = bytes - PREFIX_BYTES;
        let mut used = 0;
        match kind {
            op::DATA_END => {
                found.cut_off = if ends_with_magic(&mut source, length)? { None } else { Some(length - at) };
                return Ok(found);
            }
            op::CHUNK => {
                // Start time, end time.
                let times = read_array::<16>(&mut source, body, &mut used)?;
                let start = times.map_or(u64::MAX, |t| u64_at(&t, 0));
                found.pieces.push(Piece { offset: at, bytes, start });
            }
            op::MESSAGE => {
                // Channel, sequence, log time.
                let head = read_array::<14>(&mut source, body, &mut used)?;
                let start = head.map_or(u64::MAX, |h| u64_at(&h, 6));
                found.pieces.push(Piece { offset: at, bytes, start });
            }
            op::SCHEMA | op::CHANNEL => found.pieces.push(Piece { offset: at, bytes, start: u64::MAX }),
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
    found.cut_off = Some(length - at);
    Ok(found)
}

/// Kind and whole length of the record at `at`; `None` where no whole record lies.
fn next_record(source: &mut impl Read, at: u64, length: u64) -> io::Result<Option<(u8, u64)>> {
    if length - at < PREFIX_BYTES {
        return Ok(None);
    }
    let mut prefix = [0; PREFIX_BYTES as usize];
    source.read_exact(&mut prefix)?;
    let body = u64_at(&prefix, 1);
    // Kind 0 does not exist: zeros are what a power cut leaves of blocks that were never written.
    let whole = prefix[0] != 0 && body <= length - at - PREFIX_BYTES;
    Ok(whole.then_some((prefix[0], body.wrapping_add(PREFIX_BYTES))))
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

/// Hands the records of one piece to `each`, chunks unpacked and their checksum compared before anything of it is.
pub(super) fn read_piece(
    source: &mut dyn ReadSeek,
    piece: Piece,
    mut each: impl FnMut(Record<'_>),
) -> Result<(), McapError> {
    if piece.bytes > MAX_PIECE_BYTES as u64 {
        return Err(McapError::ChunkTooLarge(piece.bytes));
    }
    source.seek(SeekFrom::Start(piece.offset))?;
    let options = LinearReaderOptions::default()
        .with_skip_start_magic(true)
        .with_skip_end_magic(true)
        .with_prevalidate_chunk_crcs(true)
        .with_record_length_limit(MAX_PIECE_BYTES);
    let mut reader = LinearReader::new_with_options(options);
    let mut left = piece.bytes as usize;
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
