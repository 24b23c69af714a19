//! The result of one expectation, and how it is worded.

/// A part of the drive, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Interval(pub f64, pub f64);

impl Interval {
    /// An end that is not given is that of the drive.
    pub fn new(from_s: Option<f64>, to_s: Option<f64>) -> Interval {
        Interval(from_s.unwrap_or(0.0), to_s.unwrap_or(f64::INFINITY))
    }

    pub fn contains(self, t_s: f64) -> bool {
        (self.0..=self.1).contains(&t_s)
    }

    pub fn describe(self) -> String {
        match (self.0, self.1) {
            (0.0, f64::INFINITY) => "at any time".into(),
            (from, f64::INFINITY) => format!("from {from} s on"),
            (0.0, to) => format!("until {to} s"),
            (from, to) => format!("between {from} s and {to} s"),
        }
    }
}

/// An expectation and its result.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// The expectation in words.
    pub expected: String,
    /// What was found, in words.
    pub found: String,
    /// Whether the expectation was met.
    pub passed: bool,
}

pub(super) fn check(expected: String, passed: bool, found: String) -> Check {
    Check { expected, found, passed }
}

/// A list in words, or `none` when it is empty.
pub(super) fn join(items: impl Iterator<Item = String>, none: &str) -> String {
    let items: Vec<String> = items.collect();
    if items.is_empty() { none.into() } else { items.join("; ") }
}
