//! The text formats of can-utils' candump: that of log files (`candump -L`: `(1398128223.803317) can0 166#D0320009`) and
//! the readable one (`candump -ta`: `(1398128223.803317)  can0  166   [4]  D0 32 00 09`), with the time as it prints it
//! (`-t a`, `-t A`, `-t d`, `-t z`) or without.
//!
//! The log format is defined by `parse_canframe` in can-utils' `lib.h`. The crate `socketcan` reads it too, but not the
//! nanoseconds of `candump -N`, the raw length code (`_E`), or the readable format; the tests compare the two parsers.

use super::common::{CLASSIC_BYTES, ERROR_FLAG, Format, MAX_EXTENDED, MAX_STANDARD, Record, Time, date, seconds};
use auriga_msgs::v1;
use std::borrow::Cow;

const FD_BYTES: usize = 64;
/// Digits of the seconds of a date; candump writes fewer for times since the start or since the line before.
const DATE_DIGITS: usize = 10;

pub struct Candump;

impl Format for Candump {
    fn line(&mut self, line: &str) -> Result<Option<Record>, String> {
        let plain = without_colours(line);
        let (time, rest) = match plain.strip_prefix('(') {
            Some(rest) => {
                rest.split_once(')').ok_or_else(|| format!("expected (seconds) interface frame, found {line:?}"))?
            }
            None => ("", &*plain),
        };
        let mut words = rest.split_ascii_whitespace();
        let bus = words.next().ok_or("expected an interface's name after the time")?;
        let second = words.next().ok_or("expected a frame after the interface's name")?;
        let (mut frame, readable) = match second.split_once('#') {
            Some((id, data)) => (log_frame(id, data)?, false),
            None => (readable_frame(second, &mut words)?, true),
        };
        frame.bus = bus.to_owned();
        Ok(Some(Record { time: time_of(time.trim(), readable)?, frame }))
    }
}

fn time_of(text: &str, readable: bool) -> Result<Time, String> {
    if text.is_empty() {
        return Ok(Time::None);
    }
    let stamp = match text.split_once(' ') {
        Some((day, time)) => date(day, time.trim()),
        None => seconds(text),
    };
    let stamp = stamp.ok_or_else(|| format!("expected a time such as 1398128223.803317, found ({text})"))?;
    let short = text.find('.').is_some_and(|digits| digits < DATE_DIGITS);
    Ok(if readable && short { Time::AtOrSince(stamp) } else { Time::At(stamp) })
}

/// The line without the escape sequences of `candump -c`.
fn without_colours(line: &str) -> Cow<'_, str> {
    if !line.contains('\u{1b}') {
        return Cow::Borrowed(line.trim());
    }
    let mut plain = String::with_capacity(line.len());
    let mut pieces = line.split("\u{1b}[");
    plain.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        plain.push_str(piece.split_once('m').map_or(piece, |(_, text)| text));
    }
    Cow::Owned(plain.trim().to_owned())
}

/// `ID#DATA`, `ID#R[n]`, `ID##fDATA`.
fn log_frame(id: &str, data: &str) -> Result<v1::CanFrame, String> {
    if data.contains(':') {
        return Err("a CAN XL frame; only classic CAN and CAN FD are read".into());
    }
    let mut frame = identifier(id)?;
    if let Some(data) = data.strip_prefix('#') {
        let Some((_, data)) = data.split_at_checked(1).filter(|(f, _)| f.as_bytes()[0].is_ascii_hexdigit()) else {
            return Err(format!("expected a digit of flags and data after ##, found {data:?}"));
        };
        frame.fd = true;
        frame.data = bytes(data, FD_BYTES)?.into();
    } else if let Some(length) = data.strip_prefix(['R', 'r']) {
        let length = length.split('_').next().unwrap_or_default();
        if length.len() > 1 || !length.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(format!("expected at most one digit after R, found {length:?}"));
        }
        frame.remote = true;
    } else {
        // A raw length code above 8 means eight bytes.
        let data = data.split_once('_').map_or(data, |(data, _)| data);
        frame.data = bytes(data, CLASSIC_BYTES)?.into();
    }
    checked(frame)
}

/// `[RX B E]  ID   [n]  D0 32 …`, followed by `remote request` or `ERRORFRAME`; FD lengths have two digits.
fn readable_frame<'a>(second: &'a str, words: &mut impl Iterator<Item = &'a str>) -> Result<v1::CanFrame, String> {
    let mut id = second;
    // With -x: the direction, then a letter or a dash for each of two flags.
    while matches!(id, "RX" | "TX" | "-" | "B" | "E") {
        id = words.next().ok_or("expected an identifier after the direction")?;
    }
    let mut frame = identifier(id)?;
    let length = words.next().unwrap_or_default();
    let inner = length.strip_prefix('[').and_then(|l| l.strip_suffix(']'));
    let inner = inner.or_else(|| length.strip_prefix('{').and_then(|l| l.strip_suffix('}')));
    let inner = inner.ok_or_else(|| format!("expected a length such as [8], found {length:?}"))?;
    let count: usize = inner.trim().parse().map_err(|_| format!("expected a length such as [8], found {length:?}"))?;
    frame.fd = inner.len() > 1 && length.starts_with('[');
    if count > if frame.fd { FD_BYTES } else { CLASSIC_BYTES } {
        return Err(format!("{length} is more than a frame holds"));
    }
    let mut data = Vec::with_capacity(count);
    for word in words {
        match word {
            "remote" => {
                frame.remote = true;
                break;
            }
            _ if data.len() == count => break,
            _ if word.len() == 2 => data.extend(bytes(word, 1)?),
            // With -i: in binary. With -S: the last byte first, after each a backtick.
            _ if word.len() == 8 && word.bytes().all(|b| matches!(b, b'0' | b'1')) => {
                data.extend(u8::from_str_radix(word, 2).ok());
            }
            _ if word.contains('`') => {
                let swapped: Result<Vec<Vec<u8>>, String> = word.rsplit('`').map(|byte| bytes(byte, 1)).collect();
                data.extend(swapped?.concat());
            }
            _ => return Err(format!("expected a byte, found {word:?}")),
        }
    }
    if data.len() != count && !frame.remote {
        return Err(format!("expected {count} bytes, found {}", data.len()));
    }
    frame.data = if frame.remote { Vec::new() } else { data }.into();
    checked(frame)
}

/// Three digits are a standard identifier, eight an extended one or, with its flag, an error class.
fn identifier(text: &str) -> Result<v1::CanFrame, String> {
    let fault = || format!("expected an identifier of 3 or 8 hexadecimal digits, found {text:?}");
    let number = || u32::from_str_radix(text, 16).map_err(|_| fault());
    if !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(fault());
    }
    let mut frame = v1::CanFrame::default();
    match text.len() {
        3 => frame.id = number()?,
        8 => {
            frame.id = number()?;
            frame.error = frame.id & ERROR_FLAG != 0;
            frame.extended = !frame.error;
            frame.id &= !ERROR_FLAG;
        }
        _ => return Err(fault()),
    }
    let most = if frame.extended || frame.error { MAX_EXTENDED } else { MAX_STANDARD };
    if frame.id > most {
        return Err(format!("the identifier {text} is larger than {most:X}"));
    }
    Ok(frame)
}

fn checked(frame: v1::CanFrame) -> Result<v1::CanFrame, String> {
    if frame.error && (frame.fd || frame.remote) {
        return Err("an error frame is neither FD nor a remote request".into());
    }
    Ok(frame)
}

fn bytes(text: &str, most: usize) -> Result<Vec<u8>, String> {
    let fault = || format!("expected up to {most} bytes of two hexadecimal digits each, found {text:?}");
    let text = text.as_bytes();
    if !text.len().is_multiple_of(2) || text.len() > 2 * most {
        return Err(fault());
    }
    let digit = |b: u8| (b as char).to_digit(16).map(|d| d as u8);
    let byte = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
    text.chunks_exact(2).map(byte).collect::<Option<Vec<u8>>>().ok_or_else(fault)
}
