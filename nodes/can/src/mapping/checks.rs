//! Which raw values of a signal are no values: those that stand for "error" or "not available", and those outside the
//! range that the database states.

use crate::dbc::{Bits, Kind, Message, Signal};

/// Why a frame has no value of a signal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Missing {
    /// The raw value stands for "error" or "not available".
    NotAvailable,
    /// The DBC's value, which is outside the range.
    OutOfRange(f64),
    /// The raw value has no meaning in the mapping, or is no number.
    Meaningless,
}

/// What is checked before a raw value is converted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Checks {
    /// Raw values that stand for "no value", in ascending order.
    pub absent: Box<[i64]>,
    /// Greater raw values stand for "no value".
    pub greatest: Option<u64>,
    /// Of the DBC's value, both ends included.
    pub range: Option<(f64, f64)>,
    /// By so much the value may be outside the range, which is rounded.
    pub slack: f64,
}

impl Checks {
    /// The raw value, unless it is absent.
    #[inline]
    pub fn raw(&self, signal: &Signal, bits: &Bits) -> Result<i64, Missing> {
        let raw = signal.raw(bits);
        let beyond = self.greatest.is_some_and(|greatest| raw as u64 > greatest);
        if beyond || self.absent.binary_search(&raw).is_ok() { Err(Missing::NotAvailable) } else { Ok(raw) }
    }

    /// The DBC's value, unless it is absent or out of range.
    #[inline]
    pub fn physical(&self, signal: &Signal, bits: &Bits) -> Result<f64, Missing> {
        self.raw(signal, bits)?;
        let value = signal.physical(bits);
        // Only floating-point signals can have a value that is not finite.
        if !value.is_finite() {
            return Err(Missing::Meaningless);
        }
        match self.range {
            Some((low, high)) if value < low - self.slack || value > high + self.slack => {
                Err(Missing::OutOfRange(value))
            }
            _ => Ok(value),
        }
    }
}

/// The greatest raw value that is not one of J1939's codes; `None` where there are no codes. From 8 bits on the highest
/// byte says it: FBh to FDh are reserved, FEh is an error, FFh is not available. Shorter signals have the two highest
/// values for that, a single bit none (SAE J1939-71, table of ranges).
pub fn greatest_of_j1939(message: &Message, signal: &Signal) -> Option<u64> {
    const GREATEST_BYTE: u64 = 0xfa;
    if !message.is_j1939() || signal.kind() != Kind::Unsigned {
        return None;
    }
    match signal.bits() {
        0 | 1 => None,
        bits @ 2..=7 => Some((1 << bits) - 3),
        bits => Some(((GREATEST_BYTE + 1) << (bits - 8)) - 1),
    }
}

/// Raw values whose label in the DBC says that there is no value: SNA, not available, unavailable; error and invalid at
/// the end of the signal's values.
pub fn absent_by_label(signal: &Signal) -> impl Iterator<Item = i64> + '_ {
    let bits = signal.bits();
    let highest = if bits >= 64 { u64::MAX } else { (1 << bits) - 1 };
    let at_end = move |raw: i64| match signal.kind() {
        Kind::Signed => raw == -1 << (bits - 1) || raw.cast_unsigned() >= (highest >> 1) - 1 && raw > 0,
        _ => raw.cast_unsigned() >= highest - 1,
    };
    let labels = signal.labels().iter().filter(move |_| bits > 1);
    labels.filter(move |(raw, label)| says_absent(label, at_end(*raw))).map(|(raw, _)| *raw)
}

fn says_absent(label: &str, at_end: bool) -> bool {
    let lower = label.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
    let has = |names: &[&str]| words.iter().any(|word| names.contains(word));
    let pair = words.windows(2).any(|pair| matches!(pair, ["not", "available"] | ["no", "signal"] | ["no", "data"]));
    // NOT_PRESSED_SNA stands for both.
    let state_too = has(&["off", "pressed", "none", "ok"]) && words.len() > 1;
    let absent = has(&["sna", "notavailable", "unavailable"]) && !state_too || pair || lower == "n/a";
    absent || at_end && has(&["error", "invalid", "undefined"]) && !has(&["no", "not", "without"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dbc::Database;

    #[test]
    fn j1939_codes_are_those_of_the_standard_for_each_width() {
        let widths = [1u32, 2, 3, 4, 8, 10, 12, 16, 24, 32];
        let signals: String =
            widths.iter().map(|bits| format!(" SG_ S{bits} : 0|{bits}@1+ (1,0) [0|0] \"\" X\n")).collect();
        let text = format!("BO_ 2364540158 M: 8 X\n{signals}");
        let database = Database::parse(&text, "x.dbc").unwrap();
        let message = &database.messages()[0];
        let greatest = widths.map(|bits| greatest_of_j1939(message, message.signal(&format!("S{bits}")).unwrap()));
        let expected = [
            None,
            Some(0b01),
            Some(0b101),
            Some(0xd),
            Some(0xfa),
            Some(0x3eb),
            Some(0xfaf),
            Some(0xfaff),
            Some(0xfa_ffff),
            Some(0xfaff_ffff),
        ];
        assert_eq!(greatest, expected);
        let text = "BO_ 2364540160 M: 8 X\n SG_ S : 0|8@1+ (1,0) [0|0] \"\" X\n";
        let other = Database::parse(text, "x.dbc").unwrap();
        assert_eq!(greatest_of_j1939(&other.messages()[0], &other.messages()[0].signals()[0]), None);
    }

    #[test]
    fn labels_that_say_that_there_is_no_value_are_found() {
        for label in
            ["SNA", "DI_GEAR_SNA", "Not available", "Signal not available", "unavailable", "N/A", "NoSignal SNA"]
        {
            assert!(says_absent(label, false), "{label}");
        }
        for label in ["Error", "INVALID", "DI_GEAR_INVALID", "Error indicator", "undefined"] {
            assert!(says_absent(label, true) && !says_absent(label, false), "{label}");
        }
        for label in ["OFF", "available", "No error", "NOT_PRESSED_SNA", "HEATER_OFF_SNA", "NA", "Snap", "FAULT"] {
            assert!(!says_absent(label, true), "{label}");
        }
    }

    #[test]
    fn absent_labels_of_signed_and_unsigned_signals_are_found_by_their_place() {
        let text = "BO_ 1 M: 8 X\n SG_ U : 0|8@1+ (1,0) [0|0] \"\" X\n SG_ S : 8|8@1- (1,0) [0|0] \"\" X\n \
                    SG_ B : 16|1@1+ (1,0) [0|0] \"\" X\n SG_ W : 0|64@1+ (1,0) [0|0] \"\" X\n\
                    VAL_ 1 U 0 \"Ok\" 1 \"Error\" 254 \"Error\" 255 \"SNA\" ;\n\
                    VAL_ 1 S -128 \"Invalid\" 127 \"Error\" 5 \"Error\" ;\nVAL_ 1 B 1 \"SNA\" ;\n\
                    VAL_ 1 W 18446744073709551615 \"SNA\" ;\n";
        let database = Database::parse(text, "x.dbc").unwrap();
        let message = &database.messages()[0];
        let found = |name: &str| -> Vec<i64> { absent_by_label(message.signal(name).unwrap()).collect() };
        assert_eq!(found("U"), [254, 255]);
        assert_eq!(found("S"), [-128, 127]);
        assert!(found("B").is_empty());
        assert_eq!(found("W"), [-1]);
    }
}
