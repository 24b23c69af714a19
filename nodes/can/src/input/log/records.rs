//! Reads the lines of a recording. Lines without a frame are passed over and noted.

use super::{
    error::LogError,
    formats::{Format, Record, recognise},
    notices::{Notices, shortened},
    options::Names,
};
use crate::text::encoding;
use std::io::{BufRead, Read};

/// Longest line in bytes: a file with other content must not fill the memory.
const MAX_LINE: u64 = 4096;
/// In so many lines there must be one of a known format.
const MAX_HEADING: usize = 10_000;

/// Formats that are not text: how their files begin, and how to convert them.
const UNSUPPORTED: [(&[u8], &str, &str); 6] = [
    (b"LOGG", "Vector BLF", "convert it: python -m can.logconvert FILE.blf FILE.log (package python-can)"),
    (b"MDF ", "ASAM MDF (MF4)", "export its bus logging as ASC or candump: python -m can.logconvert FILE.mf4 FILE.log"),
    (b"\x1f\x8b", "gzip", "unpack it: gunzip FILE"),
    (b"PK\x03\x04", "zip", "unpack it"),
    (b"\x0a\x0d\x0d\x0a", "pcapng", "record with candump -L"),
    (b"SQLite format 3", "SQLite", "convert it: python -m can.logconvert FILE.db FILE.log (package python-can)"),
];

/// A line of the recording that has a frame.
#[derive(Debug)]
pub(super) struct Numbered {
    pub line: usize,
    pub record: Record,
}

/// Reads the lines of a recording.
pub(super) struct Records {
    path: String,
    reader: Box<dyn BufRead + Send>,
    line: usize,
    buffer: Vec<u8>,
    format: Option<Box<dyn Format>>,
    names: Names,
    found: bool,
    pub notices: Notices,
}

/// A line as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Whole,
    /// Without the end of the line: the last one.
    Last,
    TooLong,
    End,
}

impl Records {
    pub fn new(mut reader: Box<dyn BufRead + Send>, path: String, names: Names) -> Result<Self, LogError> {
        let read_error = |source| LogError::Read { path: path.clone(), source };
        let head = reader.fill_buf().map_err(read_error)?;
        if let Some((_, format, remedy)) = UNSUPPORTED.iter().find(|(begin, ..)| head.starts_with(begin)) {
            return Err(LogError::Unsupported { path, format, remedy });
        }
        let reader = encoding::unmarked(reader).map_err(read_error)?;
        let notices = Notices::new(path.clone());
        Ok(Self { path, reader, line: 0, buffer: Vec::new(), format: None, names, found: false, notices })
    }

    /// Reads the next line into the buffer.
    fn read_line(&mut self) -> Result<Line, LogError> {
        self.buffer.clear();
        let mut kind = None;
        loop {
            let begin = self.buffer.len();
            let read = (&mut self.reader).take(MAX_LINE).read_until(b'\n', &mut self.buffer);
            let read = read.map_err(|source| LogError::Read { path: self.path.clone(), source })?;
            let ends = self.buffer.last() == Some(&b'\n');
            if read as u64 == MAX_LINE && !ends {
                // The rest of the line is passed over in pieces.
                kind = Some(Line::TooLong);
                self.buffer.truncate(begin.min(MAX_LINE as usize));
                continue;
            }
            self.line += 1;
            return Ok(match (kind, read) {
                (Some(kind), _) => kind,
                (None, 0) => Line::End,
                (None, _) if ends => Line::Whole,
                (None, _) => Line::Last,
            });
        }
    }

    /// The next line with a frame; `None` at the end.
    ///
    /// # Errors
    /// When the file cannot be read, or has no frame.
    pub fn next(&mut self) -> Result<Option<Numbered>, LogError> {
        loop {
            let kind = self.read_line()?;
            if kind == Line::End {
                break;
            }
            if kind == Line::TooLong {
                self.notices.add(self.line, format!("the line is longer than {MAX_LINE} bytes: it is left out"));
            } else if let Some(record) = self.frame(kind == Line::Last) {
                self.found = true;
                return Ok(Some(Numbered { line: self.line, record }));
            }
            if self.format.is_none() && self.line >= MAX_HEADING {
                break;
            }
        }
        self.notices.finish();
        if self.found { Ok(None) } else { Err(LogError::Empty { path: self.path.clone() }) }
    }

    /// The frame of the line in the buffer.
    fn frame(&mut self, last: bool) -> Option<Record> {
        // Comments may have any encoding; frames are ASCII.
        let text = String::from_utf8_lossy(&self.buffer);
        // What candump -e says of the error frame before begins with a tab: "\tcontroller-problem{…}".
        let explains = text.strip_prefix('\t').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()));
        if explains || text.trim().is_empty() {
            return None;
        }
        let text = text.trim();
        if self.format.is_none() {
            self.format = recognise(text, &self.names);
        }
        let parsed = match &mut self.format {
            Some(format) => format.line(text),
            None => Err(format!("expected candump, Vector ASC, PEAK TRC or CSV, found {}", shortened(text))),
        };
        match parsed {
            Ok(record) => record,
            Err(reason) => {
                let cut = if last { "the file ends within the line: " } else { "" };
                self.notices.add(self.line, format!("{cut}{reason}; the line is left out"));
                None
            }
        }
    }
}
