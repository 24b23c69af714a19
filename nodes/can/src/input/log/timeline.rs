//! Places the frames of a recording in time: from its own clock, which may start anywhere, jump, or be missing, to times
//! since the start of the drive.

use super::{
    error::LogError,
    formats::Time,
    notices::{Notice, Notices},
    options::Options,
    records::{Numbered, Records},
};
use auriga_msgs::v1;
use std::collections::VecDeque;

const SECOND_NS: i64 = 1_000_000_000;
/// Times from here on (a year) are dates: they say nothing of the start of the drive.
const DATES_FROM_NS: i64 = 365 * 24 * 3600 * SECOND_NS;
/// A recording that begins later than this is played at once, unless it is aligned with other files.
const LATE_NS: i64 = SECOND_NS;
/// A bus may be silent for so long; a longer gap is closed.
const LONGEST_GAP_NS: i64 = 60 * SECOND_NS;
/// Frames of two interfaces may be out of order by so much; a longer step back is one of the clock.
const REORDERED_NS: i64 = 20_000_000;
/// Between frames that have no time.
const EVEN_NS: i64 = 1_000_000;
/// Across a closed gap: the interval of the frames before it, of at most this.
const LONGEST_INTERVAL_NS: i64 = 100_000_000;
/// Frames by which times since the line before are told from times since the start, and the share of them, one in so
/// many, whose time goes back.
const COMPARED: usize = 64;
const GOING_BACK: usize = 8;

/// What the times of candump's short form are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Short {
    Unknown,
    SinceStart,
    SinceLast,
}

/// A frame with its time on the recording's clock.
struct Placed {
    line: usize,
    own_ns: i64,
    frame: v1::CanFrame,
}

/// The frames of a recording with their times.
pub(super) struct Timeline {
    records: Records,
    aligned: bool,
    short: Short,
    /// Read ahead, without times yet.
    ahead: VecDeque<Numbered>,
    /// Read ahead.
    peeked: Option<Placed>,
    /// Of the last frame that was read, on the recording's clock.
    last_read_ns: Option<i64>,
    /// Of the last frame that was played, on the recording's clock.
    last_ns: Option<i64>,
    /// Added to the recording's clock.
    shift_ns: i64,
    interval_ns: i64,
    without_time: bool,
}

impl Timeline {
    pub fn new(records: Records, options: &Options) -> Self {
        Self {
            records,
            aligned: options.aligned,
            short: Short::Unknown,
            ahead: VecDeque::new(),
            peeked: None,
            last_read_ns: None,
            last_ns: None,
            shift_ns: 0,
            interval_ns: EVEN_NS,
            without_time: false,
        }
    }

    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.records.notices.take()
    }

    fn notices(&mut self) -> &mut Notices {
        &mut self.records.notices
    }

    /// The next frame and its time in nanoseconds since the start of the drive.
    pub fn next(&mut self) -> Result<Option<(i64, v1::CanFrame)>, LogError> {
        while let Some(placed) = self.read()? {
            if let Some(time_ns) = self.played(&placed)? {
                return Ok(Some((time_ns, placed.frame)));
            }
        }
        Ok(None)
    }

    /// When a frame is played; `None` for one whose time stands alone.
    fn played(&mut self, placed: &Placed) -> Result<Option<i64>, LogError> {
        let own_ns = placed.own_ns;
        let Some(last_ns) = self.last_ns else {
            self.start(placed);
            self.last_ns = Some(own_ns);
            return Ok(Some(own_ns.saturating_add(self.shift_ns)));
        };
        let step_ns = own_ns.saturating_sub(last_ns);
        if (-REORDERED_NS..=LONGEST_GAP_NS).contains(&step_ns) {
            if step_ns > 0 {
                self.interval_ns = step_ns.min(LONGEST_INTERVAL_NS);
            }
            self.last_ns = Some(own_ns.max(last_ns));
            return Ok(Some(own_ns.saturating_add(self.shift_ns)));
        }
        let seconds = step_ns.unsigned_abs() as f64 / SECOND_NS as f64;
        let way = if step_ns > 0 { "ahead of" } else { "behind" };
        // The frame after it shows whether the clock was set or this time alone is wrong.
        let next_ns = self.peek()?.map(|next| next.own_ns);
        if next_ns.is_some_and(|next| (last_ns..=last_ns.saturating_add(LONGEST_GAP_NS)).contains(&next)) {
            let text = format!("the frame's time is {seconds:.3} s {way} the frames around it; the frame is left out");
            self.notices().add(placed.line, text);
            return Ok(None);
        }
        let resumed_ns = last_ns.saturating_add(self.shift_ns).saturating_add(self.interval_ns);
        self.shift_ns = resumed_ns.saturating_sub(own_ns);
        self.last_ns = Some(own_ns);
        let text = format!(
            "the frames from here on are {seconds:.3} s {way} those before; they are played {:.3} s after them",
            self.interval_ns as f64 / SECOND_NS as f64
        );
        self.notices().add(placed.line, text);
        Ok(Some(resumed_ns))
    }

    /// Takes the first frame as the start where its time does not count from the start of the drive.
    fn start(&mut self, first: &Placed) {
        let own_ns = first.own_ns;
        let late = !self.aligned && own_ns >= LATE_NS;
        if late || !(0..DATES_FROM_NS).contains(&own_ns) {
            self.shift_ns = -own_ns;
        }
        if late && own_ns < DATES_FROM_NS {
            let text = format!(
                "the recording begins at {:.3} s of its clock; it is played from there at once",
                own_ns as f64 / SECOND_NS as f64
            );
            self.notices().add(first.line, text);
        }
    }

    fn peek(&mut self) -> Result<Option<&Placed>, LogError> {
        if self.peeked.is_none() {
            self.peeked = self.read()?;
        }
        Ok(self.peeked.as_ref())
    }

    /// The next frame with its time on the recording's clock.
    fn read(&mut self) -> Result<Option<Placed>, LogError> {
        if let Some(placed) = self.peeked.take() {
            return Ok(Some(placed));
        }
        let next = match self.ahead.pop_front() {
            Some(next) => Some(next),
            None => self.records.next()?,
        };
        let Some(Numbered { line, record }) = next else { return Ok(None) };
        let since = |from: Option<i64>, by: i64| from.unwrap_or(0).saturating_add(by);
        let own_ns = match record.time {
            Time::At(ns) => ns,
            Time::Since(ns) => since(self.last_read_ns, ns),
            Time::AtOrSince(ns) => match self.short(ns)? {
                Short::SinceLast => since(self.last_read_ns, ns),
                _ => ns,
            },
            Time::None => {
                if self.last_read_ns.is_none() && !std::mem::replace(&mut self.without_time, true) {
                    let text = "the lines have no time: their frames are played 1 ms apart; record with candump -L";
                    self.notices().add(line, text.into());
                }
                match self.without_time {
                    true => self.last_read_ns.map_or(0, |last| last.saturating_add(EVEN_NS)),
                    // One line among others.
                    false => self.last_read_ns.unwrap_or(0),
                }
            }
        };
        self.last_read_ns = Some(own_ns);
        Ok(Some(Placed { line, own_ns, frame: record.frame }))
    }

    /// What candump's short times are, by the first frames.
    fn short(&mut self, first_ns: i64) -> Result<Short, LogError> {
        if self.short == Short::Unknown {
            while self.ahead.len() < COMPARED {
                let Some(next) = self.records.next()? else { break };
                self.ahead.push_back(next);
            }
            let mut times = vec![first_ns];
            times.extend(self.ahead.iter().filter_map(|next| match next.record.time {
                Time::AtOrSince(ns) => Some(ns),
                _ => None,
            }));
            self.short = told_apart(&times);
        }
        Ok(self.short)
    }
}

/// Times since the start grow; times since the line before go up and down, or are all the same.
fn told_apart(times: &[i64]) -> Short {
    let after_first = times.get(1..).unwrap_or_default();
    let back = after_first.windows(2).filter(|pair| pair[1] < pair[0]).count();
    let even = after_first.len() > 1 && after_first[0] > 0 && after_first.windows(2).all(|pair| pair[0] == pair[1]);
    if even || back * GOING_BACK > after_first.len() { Short::SinceLast } else { Short::SinceStart }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_since_the_line_before_are_told_from_times_since_the_start() {
        let short = |times: &[i64]| told_apart(times);
        assert_eq!(short(&[0, 50, 50, 50]), Short::SinceLast);
        assert_eq!(short(&[0, 50, 49, 51, 50]), Short::SinceLast);
        assert_eq!(short(&[0, 50, 100, 150]), Short::SinceStart);
        assert_eq!(short(&[0, 0, 0, 1, 1, 2]), Short::SinceStart);
        assert_eq!(short(&[0, 0, 0]), Short::SinceStart);
        assert_eq!(short(&[7]), Short::SinceStart);
        // Two interfaces, slightly out of order.
        assert_eq!(short(&[0, 10, 9, 20, 30, 40, 50, 60, 70, 80, 90]), Short::SinceStart);
    }
}
