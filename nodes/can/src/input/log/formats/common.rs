//! What the formats of recordings have in common.

use auriga_msgs::v1;

/// The time of a line, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// On the clock of the recording: since its start, or a date.
    At(i64),
    /// On that clock or since the line before: candump writes both alike.
    AtOrSince(i64),
    /// Since the line before.
    Since(i64),
    /// The line has none.
    None,
}

/// The frame of a line.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub time: Time,
    pub frame: v1::CanFrame,
}

/// Parses the lines of one format.
pub trait Format: Send {
    /// The frame of a line; `None` for a line without one. Errors state what was expected and found.
    fn line(&mut self, line: &str) -> Result<Option<Record>, String>;
}

const SECOND_NS: i64 = 1_000_000_000;

/// Decimal seconds as nanoseconds, also negative; `None` for anything else.
pub fn seconds(text: &str) -> Option<i64> {
    let (negative, number) = text.strip_prefix('-').map_or((false, text), |number| (true, number));
    let (integer, fraction) = number.split_once(['.', ',']).unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    // What is below a nanosecond is cut.
    let fraction = if digits(fraction) { &fraction[..fraction.len().min(9)] } else { return None };
    if !digits(integer) {
        return None;
    }
    let nanos = fraction.parse::<i64>().ok()? * 10i64.pow(9 - fraction.len() as u32);
    let total = integer.parse::<i64>().ok()?.checked_mul(SECOND_NS)?.checked_add(nanos)?;
    Some(if negative { -total } else { total })
}

/// A date and a time of day (`2015-07-10`, `08:17:32.249713`) as nanoseconds since 1970.
pub fn date(day: &str, time: &str) -> Option<i64> {
    let mut parts = day.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let mut parts = time.split(':');
    let (hour, minute) = (parts.next()?.parse::<i64>().ok()?, parts.next()?.parse::<i64>().ok()?);
    let second = seconds(parts.next()?)?;
    let plausible = (1970..2200).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..61 * SECOND_NS).contains(&second);
    // Days since 1970 of the proleptic Gregorian calendar, with years that begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    plausible.then(|| (((days * 24 + hour) * 60 + minute) * 60) * SECOND_NS + second)
}

/// A byte of two hexadecimal digits.
pub fn hex_byte(word: &str) -> Result<u8, String> {
    let digits = word.len() == 2 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let byte = digits.then(|| u8::from_str_radix(word, 16).ok()).flatten();
    byte.ok_or_else(|| format!("expected a byte of two hexadecimal digits, found {word:?}"))
}

/// Checks an identifier against its number of bits.
pub fn checked_id(id: u32, extended: bool) -> Result<u32, String> {
    let most = if extended { MAX_EXTENDED } else { MAX_STANDARD };
    if id > most { Err(format!("the identifier {id:X} is larger than {most:X}")) } else { Ok(id) }
}

/// Bytes by length code of CAN FD.
pub const FD_LENGTHS: [usize; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64];
pub const CLASSIC_BYTES: usize = 8;
/// Bytes of the longest frame.
pub const MAX_FRAME: usize = 64;

/// The error flag of an identifier, as in the kernel and candump.
pub const ERROR_FLAG: u32 = 0x2000_0000;
pub const MAX_STANDARD: u32 = 0x7ff;
pub const MAX_EXTENDED: u32 = 0x1fff_ffff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_nanoseconds() {
        for (text, expected) in [
            ("0.5", Some(500_000_000)),
            ("-0.25", Some(-250_000_000)),
            ("1398128223.803317", Some(1_398_128_223_803_317_000)),
            ("7", Some(7_000_000_000)),
            ("0,125", Some(125_000_000)),
            ("1.0123456789", Some(1_012_345_678)),
            ("", None),
            ("1e3", None),
            (".5", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
        assert_eq!(date("1970-01-01", "00:00:00.000001"), Some(1_000));
        assert_eq!(date("2014-04-22", "00:57:03.803317"), Some(1_398_128_223_803_317_000));
        assert_eq!(date("2024-02-29", "23:59:59"), Some(1_709_251_199_000_000_000));
        assert_eq!(date("2014-13-22", "00:57:03"), None);
        assert_eq!(date("2014-04-22", "25:57:03"), None);
    }
}
