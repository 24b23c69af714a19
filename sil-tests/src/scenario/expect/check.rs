//! One expectation held against what was seen.

use crate::{
    analysis::Observed,
    drive::{Event, Truth},
};

/// A part of the drive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Window(pub f64, pub f64);

pub(super) fn window(from_s: Option<f64>, to_s: Option<f64>) -> Window {
    Window(from_s.unwrap_or(0.0), to_s.unwrap_or(f64::INFINITY))
}

impl Window {
    pub fn has(self, t_s: f64) -> bool {
        (self.0..=self.1).contains(&t_s)
    }
    pub fn words(self) -> String {
        match (self.0, self.1) {
            (0.0, f64::INFINITY) => "at any time".into(),
            (from, f64::INFINITY) => format!("from {from} s on"),
            (0.0, to) => format!("until {to} s"),
            (from, to) => format!("between {from} s and {to} s"),
        }
    }
}

/// What the expectations are held against.
pub struct Seen<'a> {
    pub observed: &'a Observed,
    pub truth: &'a [Truth],
    pub events: &'a [Event],
    /// The part of the drive that was played.
    pub from_s: f64,
    pub to_s: f64,
}

/// An expectation and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    pub expected: String,
    pub found: String,
    pub passed: bool,
}

pub(super) fn check(expected: String, passed: bool, found: String) -> Check {
    Check { expected, found, passed }
}

pub(super) fn join(words: impl Iterator<Item = String>, nothing: &str) -> String {
    let words: Vec<String> = words.collect();
    if words.is_empty() { nothing.into() } else { words.join("; ") }
}
