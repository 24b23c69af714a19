//! Finds the next chunk after bytes that are no record.

use mcap::{MAGIC, records::op};
use std::io::{self, Read, Seek, SeekFrom};

/// Bytes that are searched at a time.
const WINDOW: usize = 1 << 20;
/// Names of the compressions that MCAP knows; empty: none.
const COMPRESSIONS: [&[u8]; 3] = [b"", b"lz4", b"zstd"];
/// An opcode and a length.
const PREFIX_BYTES: usize = 9;

/// The beginning of a chunk's body, whose lengths agree with each other: by chance that does not happen.
pub(super) struct ChunkHead {
    /// Log time of its earliest message.
    pub start: u64,
}

impl ChunkHead {
    /// Times, size and checksum of the uncompressed records; the compression's name with its length; the records' length.
    pub const MAX_BYTES: usize = 8 + 8 + 8 + 4 + 4 + 4 + 8;

    /// Reads the beginning of a body of `body` bytes. `None`: it is not a chunk's.
    pub fn read(head: &[u8], body: u64) -> Option<ChunkHead> {
        let u64_at = |at: usize| Some(u64::from_le_bytes(head.get(at..at + 8)?.try_into().ok()?));
        let (start, end) = (u64_at(0)?, u64_at(8)?);
        let name_bytes = u32::from_le_bytes(head.get(28..32)?.try_into().ok()?) as usize;
        let name = head.get(32..32usize.checked_add(name_bytes)?)?;
        let records = u64_at(32 + name_bytes)?;
        let whole = (32 + name_bytes + 8) as u64;
        (COMPRESSIONS.contains(&name) && whole.checked_add(records) == Some(body) && start <= end)
            .then_some(ChunkHead { start })
    }
}

/// The result of a search.
pub(super) enum Found {
    Nothing,
    /// A chunk begins there.
    Chunk(u64),
    /// Another file begins there.
    Magic(u64),
}

/// Searches from `from` on.
pub(super) fn find_chunk(source: &mut (impl Read + Seek), from: u64, length: u64) -> io::Result<Found> {
    let overlap = PREFIX_BYTES + ChunkHead::MAX_BYTES;
    let mut window = vec![0; WINDOW];
    let mut at = from;
    while at < length {
        let bytes = ((length - at) as usize).min(WINDOW);
        let last = at + bytes as u64 == length;
        source.seek(SeekFrom::Start(at))?;
        source.read_exact(&mut window[..bytes])?;
        // What begins near the end of the window is found in the next one.
        let begins = if last { bytes } else { bytes - overlap };
        for i in 0..begins {
            let (here, left) = (&window[i..bytes], length - at - i as u64);
            // The magic at the very end is the file's own.
            if here.starts_with(MAGIC) && left > MAGIC.len() as u64 {
                return Ok(Found::Magic(at + i as u64));
            }
            if here[0] == op::CHUNK && is_chunk(here, left) {
                return Ok(Found::Chunk(at + i as u64));
            }
        }
        at += begins as u64;
    }
    Ok(Found::Nothing)
}

fn is_chunk(here: &[u8], left: u64) -> bool {
    let body = here.get(1..PREFIX_BYTES).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes);
    body.is_some_and(|body| {
        body <= left.saturating_sub(PREFIX_BYTES as u64) && ChunkHead::read(&here[PREFIX_BYTES..], body).is_some()
    })
}
