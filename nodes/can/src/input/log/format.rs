//! What the formats of recordings have in common.

use auriga_msgs::v1;

/// What the times of a format mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Times {
    /// Since the start of the recording, or a date.
    Absolute,
    /// Since the line before.
    SinceLast,
}

/// The frame of a line, with its stamp as recorded.
#[derive(Debug, PartialEq)]
pub(super) struct Record {
    pub times: Times,
    pub frame: v1::CanFrame,
}

/// Parses the lines of one format.
pub(super) trait Format: Send {
    /// The frame of a line; `None` for a line without one. Errors state what was expected and found.
    fn line(&mut self, line: &str) -> Result<Option<Record>, String>;
}

/// Decimal seconds as nanoseconds; `None` for anything else.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let (integer, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(integer) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let scale = 10u64.pow(9 - fraction.len() as u32);
    let nanos = fraction.parse::<u64>().ok()? * scale;
    integer.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(nanos)
}

/// The error flag of an identifier, as in the kernel and candump.
pub(super) const ERROR_FLAG: u32 = 0x2000_0000;
pub(super) const MAX_STANDARD: u32 = 0x7ff;
pub(super) const MAX_EXTENDED: u32 = 0x1fff_ffff;
