//! Encodings of text files: UTF-8 and UTF-16 with or without a byte-order mark, else Windows-1252.

use std::{
    borrow::Cow,
    io::{self, BufRead, Read},
};

/// The mark at the start of UTF-8 text that some tools write.
const UTF8_MARK: &[u8] = &[0xef, 0xbb, 0xbf];
const UTF16_LITTLE_MARK: &[u8] = &[0xff, 0xfe];
const UTF16_BIG_MARK: &[u8] = &[0xfe, 0xff];

/// Windows-1252 from 0x80 to 0x9f; elsewhere it is Latin-1. Codes without a character are the replacement character.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{fffd}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{fffd}', 'Ž', '\u{fffd}', '\u{fffd}',
    '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{fffd}', 'ž', 'Ÿ',
];

/// The text of a whole file, without its byte-order mark. What is not Unicode is read as Windows-1252.
pub fn decode(bytes: &[u8]) -> Cow<'_, str> {
    if let Some(rest) = bytes.strip_prefix(UTF16_LITTLE_MARK) {
        return Cow::Owned(utf16(rest, u16::from_le_bytes));
    }
    if let Some(rest) = bytes.strip_prefix(UTF16_BIG_MARK) {
        return Cow::Owned(utf16(rest, u16::from_be_bytes));
    }
    let bytes = bytes.strip_prefix(UTF8_MARK).unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|&byte| windows_1252(byte)).collect()),
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

fn windows_1252(byte: u8) -> char {
    match byte {
        0x80..=0x9f => WINDOWS_1252[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

/// A reader of text lines without the file's byte-order mark: UTF-16 is read as UTF-8.
///
/// # Errors
/// When the first bytes cannot be read.
pub fn unmarked(mut reader: Box<dyn BufRead + Send>) -> io::Result<Box<dyn BufRead + Send>> {
    let mut head = Vec::with_capacity(UTF8_MARK.len());
    reader.by_ref().take(UTF8_MARK.len() as u64).read_to_end(&mut head)?;
    let unit: Option<fn([u8; 2]) -> u16> = match head.as_slice() {
        [0xff, 0xfe, ..] => Some(u16::from_le_bytes),
        [0xfe, 0xff, ..] => Some(u16::from_be_bytes),
        _ => None,
    };
    if let Some(unit) = unit {
        let rest = io::Cursor::new(head.split_off(UTF16_LITTLE_MARK.len())).chain(reader);
        return Ok(Box::new(io::BufReader::new(Utf16 { reader: rest, unit, ready: Vec::new() })));
    }
    if head == UTF8_MARK {
        head.clear();
    }
    Ok(Box::new(io::Cursor::new(head).chain(reader)))
}

/// UTF-16 as UTF-8.
struct Utf16<R> {
    reader: R,
    unit: fn([u8; 2]) -> u16,
    /// Bytes of characters that did not fit any more.
    ready: Vec<u8>,
}

impl<R: Read> Utf16<R> {
    /// The next unit; `None` at the end.
    fn unit(&mut self) -> io::Result<Option<u16>> {
        let mut pair = Vec::with_capacity(2);
        self.reader.by_ref().take(2).read_to_end(&mut pair)?;
        Ok(<[u8; 2]>::try_from(pair).ok().map(self.unit))
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.ready.len() < buffer.len() {
            let Some(first) = self.unit()? else { break };
            // The first half of a pair is followed by the second.
            let second = if (0xd800..0xdc00).contains(&first) { self.unit()? } else { None };
            let decoded = char::decode_utf16([Some(first), second].into_iter().flatten());
            let text: String = decoded.map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
            self.ready.extend_from_slice(text.as_bytes());
        }
        let count = self.ready.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.ready[..count]);
        self.ready.drain(..count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn as_utf16(text: &str, mark: &[u8], bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        mark.iter().copied().chain(text.encode_utf16().flat_map(bytes)).collect()
    }

    #[test]
    fn texts_of_all_encodings_are_read_without_their_mark() {
        let text = "SG_ T : \"°C\" € 𝄞\r\n";
        let marked = [UTF8_MARK, text.as_bytes()].concat();
        let little = as_utf16(text, UTF16_LITTLE_MARK, u16::to_le_bytes);
        let big = as_utf16(text, UTF16_BIG_MARK, u16::to_be_bytes);
        for bytes in [text.as_bytes().to_vec(), marked, little, big] {
            assert_eq!(decode(&bytes), text);
            let mut read = String::new();
            let reader = Box::new(io::Cursor::new(bytes));
            unmarked(reader).and_then(|mut r| r.read_to_string(&mut read)).unwrap();
            assert_eq!(read, text);
        }
        assert_eq!(decode(b"\xb0C \x80"), "°C €");
        for short in ["", "a", "ab"] {
            let mut read = String::new();
            unmarked(Box::new(io::Cursor::new(short))).and_then(|mut r| r.read_to_string(&mut read)).unwrap();
            assert_eq!(read, short);
        }
    }
}
