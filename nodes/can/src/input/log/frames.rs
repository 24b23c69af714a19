//! Reads a recording in batches.

use super::{error::LogError, notices::Notice, options::Options, records::Records, timeline::Timeline};
use auriga_msgs::v1;
use auriga_runtime::Nanos;
use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    time::Duration,
};

/// Frames within this time are one batch, as from a socket on a busy machine. It is the budget of the chain from a frame
/// to the vehicle state.
const BATCH_DURATION: Duration = Duration::from_millis(1);
const MAX_BATCH: usize = 64;

/// Opens a recording; time 0 of the drive becomes `base`. A recording that is stamped with dates, or that begins later
/// than a second on its own clock, begins with its first frame. Jumps of its clock are closed, lines without a frame are
/// passed over: [`Frames::take_notices`] reports both.
///
/// # Errors
/// When the file cannot be opened, or has a format that is not read.
pub fn frames(path: impl AsRef<Path>, base: Nanos) -> anyhow::Result<Frames> {
    frames_with(path, base, &Options::default())
}

/// As [`frames`], with options.
///
/// # Errors
/// When the file cannot be opened, or has a format that is not read.
pub fn frames_with(path: impl AsRef<Path>, base: Nanos, options: &Options) -> anyhow::Result<Frames> {
    let path = path.as_ref();
    let name = path.display().to_string();
    let file = File::open(path).map_err(|source| LogError::Read { path: name.clone(), source })?;
    Ok(Frames::new(Box::new(BufReader::new(file)), name, base, options)?)
}

/// An iterator over the batches of a recording; ends after the first error. A batch's time is that of its newest frame.
pub struct Frames {
    base: Nanos,
    timeline: Timeline,
    /// A frame of the next batch, already read.
    next: Option<v1::CanFrame>,
    time: Nanos,
    failure: Option<LogError>,
    ended: bool,
}

impl Frames {
    /// Reads from any reader; `path` is the file's name in errors and notices.
    ///
    /// # Errors
    /// When the start cannot be read, or is of a format that is not read.
    pub fn new(
        reader: Box<dyn BufRead + Send>,
        path: String,
        base: Nanos,
        options: &Options,
    ) -> Result<Frames, LogError> {
        let timeline = Timeline::new(Records::new(reader, path, options.names.clone())?, options);
        Ok(Frames { base, timeline, next: None, time: base, failure: None, ended: false })
    }

    /// What there is to say of the lines read since the last call: lines without a frame, jumps of the clock. Of many,
    /// the first 32 and how many more.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.timeline.take_notices()
    }

    /// The next frame, stamped on the node's clock.
    fn next_frame(&mut self) -> Result<Option<v1::CanFrame>, LogError> {
        if let Some(frame) = self.next.take() {
            return Ok(Some(frame));
        }
        let Some((time_ns, mut frame)) = self.timeline.next()? else { return Ok(None) };
        frame.stamp_ns = (self.base + Duration::from_nanos(time_ns.max(0).unsigned_abs())).0;
        Ok(Some(frame))
    }

    fn next_batch(&mut self) -> Result<Option<(Nanos, v1::CanFrames)>, LogError> {
        let Some(first) = self.next_frame()? else { return Ok(None) };
        let until = (Nanos(first.stamp_ns) + BATCH_DURATION).0;
        let mut newest = first.stamp_ns;
        let mut frames = vec![first];
        while frames.len() < MAX_BATCH {
            match self.next_frame() {
                Ok(Some(frame)) if frame.stamp_ns >= until => {
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
