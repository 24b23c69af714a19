//! Recordings of a bus: candump's two text forms and Vector's ASC, told apart by what is in them.
//!
//! ```no_run
//! use auriga_runtime::Nanos;
//! for batch in auriga_can::log::frames("can.log", Nanos::ZERO)? {
//!     let (time, frames) = batch?;
//!     println!("{time:?}: {} frames", frames.frames.len());
//! }
//! # Ok::<(), anyhow::Error>(())
//! ```

use super::{asc, candump};
use auriga_msgs::v1;
use auriga_runtime::Nanos;
use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    time::Duration,
};

/// A recording that cannot be read, with its file and line.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("{path}: cannot be read: {source}")]
    Read { path: String, source: std::io::Error },
    #[error("{path}:{line}: {text}")]
    Line { path: String, line: usize, text: String },
    #[error("{path}: there is no frame in it; expected candump -L or Vector ASC")]
    Empty { path: String },
}

/// Frames this close together travel together, as they would from a socket read by a busy machine: within the budget
/// of a frame's way to the vehicle state.
const BATCH: Duration = Duration::from_millis(1);
const BATCH_FRAMES: usize = 64;

/// No line of a frame is longer: a file of other content must not fill the memory.
const LONGEST_LINE: u64 = 4096;

/// Times beyond a year cannot be of a drive: they are dates, and the log's first frame is its time 0.
const DATES_FROM_NS: u64 = 365 * 24 * 3600 * 1_000_000_000;

/// Where times of a format start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Times {
    /// Since the log's time 0, or a date.
    Absolute,
    /// Since the line before.
    SinceLast,
}

/// A frame of a line, its stamp in the log's own time.
#[derive(Debug, PartialEq)]
pub(super) struct Record {
    pub times: Times,
    pub frame: v1::CanFrame,
}

/// Reads lines of one format.
pub(super) trait Format: Send {
    /// The frame of a line; `None` for a line that is none. Errors say what was expected and found.
    fn line(&mut self, line: &str) -> Result<Option<Record>, String>;
}

/// Opens a recording; time 0 of the log is `base`. Logs stamped with a date begin at their first frame.
pub fn frames(path: impl AsRef<Path>, base: Nanos) -> anyhow::Result<Frames> {
    Ok(Frames::open(path.as_ref(), base)?)
}

/// The batches of a recording, in order; ends after the first error. A batch's time is that of its newest frame.
pub struct Frames {
    path: String,
    base: Nanos,
    reader: Box<dyn BufRead + Send>,
    line: usize,
    buffer: Vec<u8>,
    format: Option<Box<dyn Format>>,
    /// The log's own time of its first frame, when that is a date; else 0.
    zero_ns: Option<u64>,
    last_ns: u64,
    /// Read already, but of the next batch.
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

    /// From any reader; `path` stands for the file in errors.
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

    /// The next line's text; `None` at the end.
    fn read_line(&mut self) -> Result<bool, LogError> {
        use std::io::Read;
        self.buffer.clear();
        let read = (&mut self.reader).take(LONGEST_LINE).read_until(b'\n', &mut self.buffer);
        let read = read.map_err(|source| LogError::Read { path: self.path.clone(), source })?;
        self.line += 1;
        if read as u64 == LONGEST_LINE && self.buffer.last() != Some(&b'\n') {
            return Err(self.error(format!("the line is longer than {LONGEST_LINE} bytes: this is no log of frames")));
        }
        Ok(read > 0)
    }

    fn error(&self, text: String) -> LogError {
        LogError::Line { path: self.path.clone(), line: self.line, text }
    }

    /// The next frame, stamped.
    fn next_frame(&mut self) -> Result<Option<v1::CanFrame>, LogError> {
        if let Some(frame) = self.next.take() {
            return Ok(Some(frame));
        }
        while self.read_line()? {
            // Comments may be in any encoding; frames are ASCII.
            let text = String::from_utf8_lossy(&self.buffer);
            let text = text.trim();
            if text.is_empty() {
                continue;
            }
            let format = self.format.get_or_insert_with(|| recognise(text));
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
        let until = (Nanos(first.stamp_ns) + BATCH).0;
        let mut newest = first.stamp_ns;
        let mut frames = vec![first];
        while frames.len() < BATCH_FRAMES {
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
                // What was read before the error counts: it comes out first.
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

/// The format whose first line this is.
fn recognise(line: &str) -> Box<dyn Format> {
    if line.starts_with('(') { Box::new(candump::Candump) } else { Box::new(asc::Asc::default()) }
}

/// Whole and decimal seconds as nanoseconds; `None` for anything else.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let scale = 10u64.pow(9 - fraction.len() as u32);
    let nanos = fraction.parse::<u64>().ok()? * scale;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(nanos)
}

/// Flags within an identifier, as the kernel and candump have them.
pub(super) const ERROR_FLAG: u32 = 0x2000_0000;
pub(super) const MAX_STANDARD: u32 = 0x7ff;
pub(super) const MAX_EXTENDED: u32 = 0x1fff_ffff;
