//! Reads a recording in batches.

use super::{
    asc, candump,
    format::{Format, Record, Times},
};
use auriga_msgs::v1;
use auriga_runtime::Nanos;
use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    time::Duration,
};

/// Why a recording cannot be read, with its file and line.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file cannot be read.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the operating system reported.
        source: std::io::Error,
    },
    /// A line is not a frame of the format.
    #[error("{path}:{line}: {text}")]
    Line {
        /// The file.
        path: String,
        /// Line, from 1.
        line: usize,
        /// What was expected and found.
        text: String,
    },
    /// There is no frame in the file.
    #[error("{path}: there is no frame in it; expected candump -L or Vector ASC")]
    Empty {
        /// The file.
        path: String,
    },
}

/// Frames within this time are one batch, as from a socket on a busy machine. It is the budget of the chain from a frame
/// to the vehicle state.
const BATCH_DURATION: Duration = Duration::from_millis(1);
const MAX_BATCH: usize = 64;

/// Longest line in bytes: a file with other content must not fill the memory.
const MAX_LINE: u64 = 4096;

/// Times from here on (a year) are dates, and the time of the first frame is subtracted.
const DATES_FROM_NS: u64 = 365 * 24 * 3600 * 1_000_000_000;

/// Opens a recording; its time 0 becomes `base`. Recordings stamped with a date begin at their first frame.
///
/// # Errors
/// When the file cannot be opened.
pub fn frames(path: impl AsRef<Path>, base: Nanos) -> anyhow::Result<Frames> {
    Ok(Frames::open(path.as_ref(), base)?)
}

/// An iterator over the batches of a recording; ends after the first error. A batch's time is that of its newest frame.
pub struct Frames {
    path: String,
    base: Nanos,
    reader: Box<dyn BufRead + Send>,
    line: usize,
    buffer: Vec<u8>,
    format: Option<Box<dyn Format>>,
    /// The time of the first frame in the recording, if that is a date; else 0.
    zero_ns: Option<u64>,
    last_ns: u64,
    /// A frame of the next batch, already read.
    next: Option<v1::CanFrame>,
    time: Nanos,
    failure: Option<LogError>,
    ended: bool,
}

impl Frames {
    fn open(path: &Path, base: Nanos) -> Result<Frames, LogError> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|source| LogError::Read { path: name.clone(), source })?;
        Ok(Self::new(Box::new(BufReader::new(file)), name, base))
    }

    /// Reads from any reader; `path` is the file's name in errors.
    pub fn new(reader: Box<dyn BufRead + Send>, path: String, base: Nanos) -> Frames {
        Frames {
            path,
            base,
            reader,
            line: 0,
            buffer: Vec::new(),
            format: None,
            zero_ns: None,
            last_ns: 0,
            next: None,
            time: base,
            failure: None,
            ended: false,
        }
    }

    /// Reads the next line into the buffer; false at the end.
    fn read_line(&mut self) -> Result<bool, LogError> {
        use std::io::Read;
        self.buffer.clear();
        let read = (&mut self.reader).take(MAX_LINE).read_until(b'\n', &mut self.buffer);
        let read = read.map_err(|source| LogError::Read { path: self.path.clone(), source })?;
        self.line += 1;
        if read as u64 == MAX_LINE && self.buffer.last() != Some(&b'\n') {
            return Err(
                self.error(format!("the line is longer than {MAX_LINE} bytes: this is not a recording of frames"))
            );
        }
        Ok(read > 0)
    }

    fn error(&self, text: String) -> LogError {
        LogError::Line { path: self.path.clone(), line: self.line, text }
    }

    /// The next frame, stamped on the node's clock.
    fn next_frame(&mut self) -> Result<Option<v1::CanFrame>, LogError> {
        if let Some(frame) = self.next.take() {
            return Ok(Some(frame));
        }
        while self.read_line()? {
            // Comments may have any encoding; frames are ASCII.
            let text = String::from_utf8_lossy(&self.buffer);
            let text = text.trim();
            if text.is_empty() {
                continue;
            }
            let format = self.format.get_or_insert_with(|| format_of(text));
            match format.line(text) {
                Ok(Some(record)) => return Ok(Some(self.stamped(record))),
                Ok(None) => {}
                Err(text) => return Err(self.error(text)),
            }
        }
        match self.zero_ns {
            Some(_) => Ok(None),
            None => Err(LogError::Empty { path: self.path.clone() }),
        }
    }

    fn stamped(&mut self, record: Record) -> v1::CanFrame {
        let mut frame = record.frame;
        let own = match record.times {
            Times::Absolute => frame.stamp_ns,
            Times::SinceLast => self.last_ns.saturating_add(frame.stamp_ns),
        };
        self.last_ns = own;
        let zero = *self.zero_ns.get_or_insert(if own >= DATES_FROM_NS { own } else { 0 });
        frame.stamp_ns = (self.base + Duration::from_nanos(own.saturating_sub(zero))).0;
        frame
    }

    fn next_batch(&mut self) -> Result<Option<(Nanos, v1::CanFrames)>, LogError> {
        let Some(first) = self.next_frame()? else { return Ok(None) };
        let until = (Nanos(first.stamp_ns) + BATCH_DURATION).0;
        let mut newest = first.stamp_ns;
        let mut frames = vec![first];
        while frames.len() < MAX_BATCH {
            match self.next_frame() {
                Ok(Some(frame)) if frame.stamp_ns > until => {
                    self.next = Some(frame);
                    break;
                }
                Ok(Some(frame)) => {
                    newest = newest.max(frame.stamp_ns);
                    frames.push(frame);
                }
                Ok(None) => break,
                // The frames read before the error are returned first.
                Err(error) => {
                    self.failure = Some(error);
                    break;
                }
            }
        }
        // Frames may be out of order, batches are not.
        self.time = self.time.max(Nanos(newest));
        let header = Some(v1::Header::new(self.time.0, 0));
        Ok(Some((self.time, v1::CanFrames { header, frames })))
    }
}

impl Iterator for Frames {
    type Item = anyhow::Result<(Nanos, v1::CanFrames)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = match self.failure.take() {
            Some(error) => Err(error),
            None => self.next_batch(),
        };
        self.ended = !matches!(item, Ok(Some(_)));
        item.map_err(anyhow::Error::from).transpose()
    }
}

/// The format that has such a first line.
fn format_of(line: &str) -> Box<dyn Format> {
    if line.starts_with('(') { Box::new(candump::Candump) } else { Box::new(asc::Asc::default()) }
}
