//! Reads the header of an OpenFst transducer and its table of output words.

use crate::recognition::model::error::{ModelError, open, unexpected};
use std::{
    collections::BTreeSet,
    io::{BufReader, Error, ErrorKind, Read, Result as IoResult},
    path::Path,
};

/// First bytes of an OpenFst transducer and of a symbol table, little endian.
const FST_MAGIC: u32 = 0x7eb2_fdd6;
const SYMBOLS_MAGIC: u32 = 0x7eb2_fb74;
/// Flags of a transducer's header.
const HAS_INPUT_SYMBOLS: u32 = 1;
const HAS_OUTPUT_SYMBOLS: u32 = 2;
/// Bytes after the flags: properties, start, numbers of states and arcs.
const REST_OF_HEADER: usize = 32;
const LONGEST_WORD: u32 = 1000;
const MOST_WORDS: u64 = 20_000_000;

/// Checks that the file is a transducer.
pub(super) fn check_fst(path: &Path) -> Result<(), ModelError> {
    output_words(path).map(drop)
}

/// The output words of a transducer; `None` when the file does not hold them.
pub(super) fn output_words(path: &Path) -> Result<Option<BTreeSet<String>>, ModelError> {
    let mut reader = BufReader::new(open(path)?);
    match words(&mut reader) {
        Ok(words) => Ok(words),
        Err(e) if matches!(e.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) => {
            let mut head = Vec::new();
            // For the error text only: what cannot be read is left out.
            let _ = open(path)?.take(32).read_to_end(&mut head);
            Err(unexpected(path, "an OpenFst transducer", &head))
        }
        Err(source) => Err(ModelError::Unreadable { path: path.into(), source }),
    }
}

fn invalid<T>() -> IoResult<T> {
    Err(Error::from(ErrorKind::InvalidData))
}

fn words(reader: &mut impl Read) -> IoResult<Option<BTreeSet<String>>> {
    if u32_of(reader)? != FST_MAGIC {
        return invalid();
    }
    for _kind in ["transducer", "arc"] {
        let name = text(reader)?;
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic()) {
            return invalid();
        }
    }
    let _version = u32_of(reader)?;
    let flags = u32_of(reader)?;
    reader.read_exact(&mut [0; REST_OF_HEADER])?;
    if flags & HAS_INPUT_SYMBOLS != 0 {
        table(reader)?;
    }
    if flags & HAS_OUTPUT_SYMBOLS == 0 {
        return Ok(None);
    }
    let words = table(reader)?;
    if words.is_empty() { invalid() } else { Ok(Some(words)) }
}

fn table(reader: &mut impl Read) -> IoResult<BTreeSet<String>> {
    if u32_of(reader)? != SYMBOLS_MAGIC {
        return invalid();
    }
    let _name = text(reader)?;
    let _next_key = u64_of(reader)?;
    let count = u64_of(reader)?;
    if count > MOST_WORDS {
        return invalid();
    }
    let mut words = BTreeSet::new();
    for _ in 0..count {
        words.insert(text(reader)?);
        let _key = u64_of(reader)?;
    }
    Ok(words)
}

fn u32_of(reader: &mut impl Read) -> IoResult<u32> {
    let mut bytes = [0; 4];
    reader.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn u64_of(reader: &mut impl Read) -> IoResult<u64> {
    let mut bytes = [0; 8];
    reader.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn text(reader: &mut impl Read) -> IoResult<String> {
    let length = u32_of(reader)?;
    if length > LONGEST_WORD {
        return invalid();
    }
    let mut bytes = vec![0; length as usize];
    reader.read_exact(&mut bytes)?;
    String::from_utf8(bytes).or_else(|_| invalid())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn string(text: &str) -> Vec<u8> {
        [&(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
    }
    fn transducer(flags: u32, symbols: &[&str]) -> Vec<u8> {
        let mut bytes = FST_MAGIC.to_le_bytes().to_vec();
        bytes.extend([string("vector"), string("standard")].concat());
        bytes.extend([2u32.to_le_bytes(), flags.to_le_bytes()].concat());
        bytes.extend([0; REST_OF_HEADER]);
        if flags != 0 {
            bytes.extend(SYMBOLS_MAGIC.to_le_bytes());
            bytes.extend(string("words"));
            bytes.extend([symbols.len() as u64, symbols.len() as u64].map(u64::to_le_bytes).concat());
            for (key, word) in (0u64..).zip(symbols) {
                bytes.extend([string(word), key.to_le_bytes().to_vec()].concat());
            }
        }
        bytes
    }

    #[test]
    fn output_words_are_read_from_a_transducer() {
        let with = transducer(HAS_OUTPUT_SYMBOLS, &["<eps>", "hey", "auriga"]);
        let found = words(&mut with.as_slice()).unwrap().unwrap();
        assert!(found.contains("auriga") && found.len() == 3);
        assert!(words(&mut transducer(0, &[]).as_slice()).unwrap().is_none());
    }

    proptest! {
        #[test]
        fn a_damaged_transducer_never_panics(at in 0usize..120, value in any::<u8>(), cut in 0usize..120) {
            let mut bytes = transducer(HAS_OUTPUT_SYMBOLS, &["<eps>", "hey", "auriga"]);
            let at = at % bytes.len();
            bytes[at] = value;
            bytes.truncate(bytes.len().saturating_sub(cut));
            let _ = words(&mut bytes.as_slice());
        }
    }
}
