//! Vector's ASC format: a header, then one line for each event with its time in seconds.
//!
//! ```text
//! base hex  timestamps absolute
//!    0.003040 1  166             Rx   d 4 D0 32 00 09
//!    0.004100 1  18FEF1FEx       Rx   d 8 01 02 03 04 05 06 07 08
//!    0.005000 1  166             Rx   r
//!    0.006000 1  ErrorFrame
//!    0.007000 CANFD   1 Rx        123                  1 0 9 12 01 02 …
//! ```
//! Other events (statistics, chip states, triggers) contain no frame and are ignored, and so are lines of the heading.
//! Identifiers are numbers or, in symbolic recordings, the names of messages.

use super::common::{CLASSIC_BYTES, FD_LENGTHS, Format, Record, Time, checked_id, seconds};
use crate::input::log::options::Names;
use auriga_msgs::v1;

/// First words of lines that are not events.
const HEADER: [&str; 8] = ["date", "base", "begin", "end", "internal", "no", "previous", "//"];

/// The settings in the header.
pub struct Asc {
    radix: u32,
    relative: bool,
    names: Names,
    /// A line with a time was read: the heading is over.
    begun: bool,
}

impl Asc {
    /// `names`: of the messages in symbolic recordings.
    pub fn new(names: Names) -> Self {
        Self { radix: 16, relative: false, names, begun: false }
    }

    /// Whether a recording begins with such a line.
    pub fn begins(line: &str) -> bool {
        let lower = line.to_ascii_lowercase();
        let dated = lower.strip_prefix("date ").is_some();
        dated
            || lower.starts_with("base hex")
            || lower.starts_with("base dec")
            || lower.starts_with("begin triggerblock")
    }
}

impl Format for Asc {
    fn line(&mut self, line: &str) -> Result<Option<Record>, String> {
        let mut words = line.split_ascii_whitespace();
        let first = words.next().unwrap_or_default();
        let Some(stamp) = seconds(first) else {
            return self.header(first, line);
        };
        self.begun = true;
        let words: Vec<&str> = words.collect();
        let frame = match words.as_slice() {
            ["CANFD", rest @ ..] => self.fd(rest)?,
            [channel, "ErrorFrame", ..] => Some(error_frame(channel)),
            [channel, id, "Rx" | "Tx" | "TxRq", rest @ ..] if is_number(channel) => match rest {
                [kind @ ("d" | "r"), rest @ ..] => Some(self.classic(channel, id, *kind == "r", rest)?),
                [] => return Err("the line ends before the frame's data".into()),
                _ => None,
            },
            _ => None,
        };
        let time = if self.relative { Time::Since(stamp) } else { Time::At(stamp) };
        Ok(frame.map(|frame| Record { time, frame }))
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

impl Asc {
    fn header(&mut self, first: &str, line: &str) -> Result<Option<Record>, String> {
        let lower = line.to_lowercase();
        if first.eq_ignore_ascii_case("base") {
            self.radix = if lower.contains("dec") { 10 } else { 16 };
            self.relative = lower.contains("relative");
        }
        let known = !self.begun || HEADER.iter().any(|word| lower.starts_with(word));
        if known { Ok(None) } else { Err(format!("expected a line of Vector's ASC, found {line:?}")) }
    }

    fn number(&self, text: &str, what: &str) -> Result<u32, String> {
        let number = u32::from_str_radix(text, self.radix).ok().filter(|_| !text.starts_with('+'));
        number.ok_or_else(|| format!("expected {what} (base {}), found {text:?}", self.radix))
    }

    fn identifier(&self, text: &str, frame: &mut v1::CanFrame) -> Result<(), String> {
        let digits = text.strip_suffix(['x', 'X']);
        // A name first: that of a message may look like a number.
        if let Some(&(id, extended)) = self.names.get(text) {
            (frame.id, frame.extended) = (id, extended);
            return Ok(());
        }
        frame.extended = digits.is_some();
        frame.id = self.number(digits.unwrap_or(text), "an identifier, or the name of a message of the database")?;
        frame.id = checked_id(frame.id, frame.extended)?;
        Ok(())
    }

    fn bytes(&self, words: &[&str], count: usize) -> Result<Vec<u8>, String> {
        let words = words.get(..count).ok_or_else(|| format!("expected {count} bytes, found {}", words.len()))?;
        let byte = |word: &&str| {
            let number = self.number(word, "a byte")?;
            u8::try_from(number).map_err(|_| format!("expected a byte, found {word:?}"))
        };
        words.iter().map(byte).collect()
    }

    fn classic(&self, channel: &str, id: &str, remote: bool, rest: &[&str]) -> Result<v1::CanFrame, String> {
        let mut frame = v1::CanFrame { bus: channel.to_owned(), remote, ..Default::default() };
        self.identifier(id, &mut frame)?;
        if remote {
            return Ok(frame);
        }
        let (length, data) = rest.split_first().ok_or("expected a length after d")?;
        // Length codes above 8 mean eight bytes; they are hexadecimal in either base.
        let length = usize::from_str_radix(length, 16).ok().filter(|l| *l < FD_LENGTHS.len());
        let length = length.ok_or_else(|| format!("expected a length of 0 to 8, found {:?}", rest[0]))?;
        frame.data = self.bytes(data, length.min(CLASSIC_BYTES))?.into();
        Ok(frame)
    }

    /// `channel Rx|Tx id [name] brs esi code length data…`
    fn fd(&self, words: &[&str]) -> Result<Option<v1::CanFrame>, String> {
        let (channel, id, rest) = match words {
            [channel, "Rx" | "Tx", "ErrorFrame", ..] => return Ok(Some(error_frame(channel))),
            [channel, "Rx" | "Tx", id, rest @ ..] => (channel, id, rest),
            _ => return Ok(None),
        };
        let mut frame = v1::CanFrame { bus: (*channel).to_owned(), fd: true, ..Default::default() };
        self.identifier(id, &mut frame)?;
        // Here is the message's name, if the logger knew it.
        let rest = if rest.first().is_some_and(|w| !matches!(*w, "0" | "1")) { &rest[1..] } else { rest };
        let [_brs, _esi, code, length, data @ ..] = rest else {
            return Err("expected two flags, length code, length and data after the identifier".into());
        };
        let stated = usize::from_str_radix(code, 16).ok().and_then(|c| FD_LENGTHS.get(c));
        let length: usize = length.parse().map_err(|_| format!("expected a length, found {length:?}"))?;
        // Remote requests have a length code but no data.
        if length != 0 && stated != Some(&length) {
            return Err(format!("the length code {code} does not stand for {length} bytes"));
        }
        frame.data = self.bytes(data, length)?.into();
        Ok(Some(frame))
    }
}

/// Vector does not write the kernel's error classes, so the class is the general bus error.
fn error_frame(channel: &str) -> v1::CanFrame {
    const BUS_ERROR: u32 = 0x80;
    v1::CanFrame { id: BUS_ERROR, error: true, bus: channel.to_owned(), ..Default::default() }
}
