//! Allowed ranges of configuration values.

/// A field out of its range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{field} = {found}: expected {expected}")]
pub struct ConfigError {
    pub field: &'static str,
    pub found: String,
    pub expected: &'static str,
}

/// A field, its value, the least and the greatest it may be, and the same in words.
pub type Range = (&'static str, f64, f64, f64, &'static str);

/// Every value in its range, or the first that is not. Not-a-number is in no range.
pub fn check_ranges(ranges: &[Range]) -> Result<(), ConfigError> {
    match ranges.iter().find(|(_, found, least, most, _)| !(least..=most).contains(&found)) {
        Some(&(field, found, .., expected)) => Err(ConfigError { field, found: found.to_string(), expected }),
        None => Ok(()),
    }
}
