//! Allowed values of configuration keys: checked when a node starts, listed in the configuration reference.

use std::ops::RangeInclusive;

/// The allowed values of one key of a configuration, and the value it has.
///
/// A node's configuration gives one for each key that is a number or one of a few texts, from a method
/// `fn ranges(&self) -> Vec<Range>`, and checks them with [`check_ranges`]:
///
/// ```
/// use auriga_runtime::config::{ConfigError, Range, check_ranges};
///
/// struct Config { period_ms: u64, lease_ms: u64, mode: String }
///
/// impl Config {
///     fn ranges(&self) -> Vec<Range> {
///         vec![
///             Range::new("period_ms", self.period_ms, 1.0..=1000.0),
///             // A bound that depends on another key is worked out, and said in a note.
///             Range::new("lease_ms", self.lease_ms, 2.0 * self.period_ms as f64..=10_000.0).note("at least two periods"),
///             Range::one_of("mode", &self.mode, &["", "parked", "nominal"]),
///         ]
///     }
///     fn check(&self) -> Result<(), ConfigError> {
///         check_ranges(&self.ranges())
///     }
/// }
///
/// let wrong = Config { period_ms: 100, lease_ms: 150, mode: String::new() };
/// let error = wrong.check().unwrap_err().to_string();
/// assert_eq!(error, "lease_ms = 150: expected 200 to 10000 ms (at least two periods)");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Range {
    /// Dotted path of the key in the node's `config.toml`: `modes.exit_factor`.
    pub key: &'static str,
    /// Unit of a number, from the key's ending ([`unit_of`]) unless set; empty for counts, shares and texts.
    pub unit: &'static str,
    /// What the value may be.
    pub allowed: Allowed,
    /// What a number alone does not say: on which other key a bound depends, what a special value means. Often empty.
    pub note: &'static str,
    found: Found,
}

/// What a value may be.
#[derive(Debug, Clone, PartialEq)]
pub enum Allowed {
    /// A number of this range, both ends included. [`f64::MIN_POSITIVE`] as its start stands for "above 0",
    /// [`f64::MAX`] as its end for "without limit".
    Number(RangeInclusive<f64>),
    /// One of these texts.
    OneOf(&'static [&'static str]),
}

#[derive(Debug, Clone, PartialEq)]
enum Found {
    Number(f64),
    Text(String),
}

/// A number of a configuration.
pub trait Number {
    /// Its value; integers beyond 2^53 are rounded.
    fn to_f64(self) -> f64;
}

macro_rules! numbers {
    ($($t:ty)*) => { $(impl Number for $t { fn to_f64(self) -> f64 { self as f64 } })* };
}
numbers!(u8 u16 u32 u64 usize i32 i64 f32 f64);

impl Range {
    /// A number of `allowed`.
    pub fn new(key: &'static str, value: impl Number, allowed: RangeInclusive<f64>) -> Self {
        let (allowed, found) = (Allowed::Number(allowed), Found::Number(value.to_f64()));
        Self { key, unit: unit_of(key), allowed, note: "", found }
    }

    /// One of a few texts.
    pub fn one_of(key: &'static str, value: &str, allowed: &'static [&'static str]) -> Self {
        let (allowed, found) = (Allowed::OneOf(allowed), Found::Text(value.to_owned()));
        Self { key, unit: "", allowed, note: "", found }
    }

    /// With a unit that the key's ending does not tell.
    pub fn unit(self, unit: &'static str) -> Self {
        Self { unit, ..self }
    }

    /// With a note.
    pub fn note(self, note: &'static str) -> Self {
        Self { note, ..self }
    }

    /// The allowed values, for people: `0 to 500 ms`, `"parked" or "nominal"`.
    pub fn expected(&self) -> String {
        let allowed = match &self.allowed {
            Allowed::Number(range) => {
                let start = match *range.start() {
                    f64::MIN_POSITIVE => "above 0".to_owned(),
                    start => start.to_string(),
                };
                let numbers = match *range.end() {
                    f64::MAX if start.starts_with("above") => start,
                    f64::MAX => format!("{start} or more"),
                    end => format!("{start} to {end}"),
                };
                if self.unit.is_empty() { numbers } else { format!("{numbers} {}", self.unit) }
            }
            Allowed::OneOf(texts) => {
                let quoted: Vec<String> = texts.iter().map(|t| format!("{t:?}")).collect();
                match quoted.split_last() {
                    Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
                    _ => quoted.concat(),
                }
            }
        };
        if self.note.is_empty() { allowed } else { format!("{allowed} ({})", self.note) }
    }

    /// Whether the value is allowed. Not-a-number is not.
    pub fn holds(&self) -> bool {
        match (&self.allowed, &self.found) {
            (Allowed::Number(range), Found::Number(value)) => range.contains(value),
            (Allowed::OneOf(texts), Found::Text(value)) => texts.contains(&value.as_str()),
            _ => false,
        }
    }
}

/// A value that is not allowed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{field} = {found}: expected {expected}")]
pub struct ConfigError {
    /// Dotted path of the key.
    pub field: &'static str,
    /// Its value.
    pub found: String,
    /// What it may be.
    pub expected: String,
}

/// Checks that every value is allowed.
///
/// # Errors
/// The first that is not.
pub fn check_ranges(ranges: &[Range]) -> Result<(), ConfigError> {
    match ranges.iter().find(|range| !range.holds()) {
        Some(range) => {
            let found = match &range.found {
                Found::Number(value) => value.to_string(),
                Found::Text(value) => format!("{value:?}"),
            };
            Err(ConfigError { field: range.key, found, expected: range.expected() })
        }
        None => Ok(()),
    }
}

/// The unit that the ending of a key's name stands for: `ms` of `lease_ms`, `1/min` of `changes_per_min`. Empty where
/// the name has none of the endings.
pub fn unit_of(key: &str) -> &'static str {
    const UNITS: [(&str, &str); 25] = [
        ("_per_min", "1/min"),
        ("_per_s", "1/s"),
        ("_per_m", "1/m"),
        ("_ns", "ns"),
        ("_us", "µs"),
        ("_ms", "ms"),
        ("_s", "s"),
        ("_min", "min"),
        ("_hz", "Hz"),
        ("_km", "km"),
        ("_m", "m"),
        ("_mps", "m/s"),
        ("_mps2", "m/s²"),
        ("_kmh", "km/h"),
        ("_rad", "rad"),
        ("_radps", "rad/s"),
        ("_px", "px"),
        ("_db", "dB"),
        ("_dbfs", "dBFS"),
        ("_percent", "%"),
        ("_bytes", "bytes"),
        ("_kib", "KiB"),
        ("_mib", "MiB"),
        ("_gib", "GiB"),
        ("_c", "°C"),
    ];
    UNITS.iter().find(|(ending, _)| key.ends_with(ending)).map_or("", |(_, unit)| unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_out_of_range_is_named_with_what_is_allowed() {
        let number = |value: f64| Range::new("sensors.lost_ms", value, 50.0..=60_000.0);
        assert_eq!(check_ranges(&[number(50.0), number(60_000.0)]), Ok(()));
        let error = check_ranges(&[number(60.0), number(49.0)]).unwrap_err();
        assert_eq!(error.to_string(), "sensors.lost_ms = 49: expected 50 to 60000 ms");
        assert!(check_ranges(&[number(f64::NAN)]).is_err());
        let text = |value| Range::one_of("mode", value, &["", "parked", "nominal"]);
        assert_eq!(check_ranges(&[text("parked"), text("")]), Ok(()));
        let error = check_ranges(&[text("fast")]).unwrap_err();
        assert_eq!(error.to_string(), r#"mode = "fast": expected "", "parked" or "nominal""#);
    }

    #[test]
    fn allowed_values_are_readable() {
        let words = |range: Range| range.expected();
        assert_eq!(words(Range::new("a_mps2", 1u8, f64::MIN_POSITIVE..=20.0)), "above 0 to 20 m/s²");
        assert_eq!(words(Range::new("misses_per_s", 1u8, f64::MIN_POSITIVE..=f64::MAX)), "above 0 1/s");
        assert_eq!(words(Range::new("count", 1u64, 1.0..=f64::MAX)), "1 or more");
        assert_eq!(
            words(Range::new("psd", 1.0, 0.01..=100.0).unit("m²/s³").note("0.5: default")),
            "0.01 to 100 m²/s³ (0.5: default)"
        );
    }

    #[test]
    fn units_follow_from_the_endings_of_keys() {
        for (key, unit) in
            [("a.curvature_per_m", "1/m"), ("width_m", "m"), ("t_s", "s"), ("gate", ""), ("v_mps", "m/s")]
        {
            assert_eq!(unit_of(key), unit, "{key}");
        }
    }
}
