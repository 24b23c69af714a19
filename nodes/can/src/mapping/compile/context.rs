//! What all rows are checked against, and how what is wrong is reported.

use super::file::Raw;
use crate::{
    dbc::{Database, Message, Signal},
    mapping::{entries::Linear, error::MappingError, units::Unit},
};
use auriga_runtime::suggestion::suggestion;
use std::time::Duration;
use toml::Spanned;

/// Timeouts accepted.
const TIMEOUTS_MS: std::ops::RangeInclusive<u64> = 1..=3_600_000;

/// The mapping's text and the database.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub text: &'a str,
    pub name: &'a str,
    pub database: &'a Database,
}

impl<'a> Context<'a> {
    /// The line of a place in the text, from 1.
    pub fn line(&self, at: usize) -> usize {
        1 + self.text.as_bytes().iter().take(at).filter(|&&b| b == b'\n').count()
    }

    /// The error that a value is wrong.
    pub fn refuse<T>(&self, at: &Spanned<T>, field: &'static str, text: impl Into<String>) -> MappingError {
        MappingError::Row { name: self.name.to_owned(), line: self.line(at.span().start), field, text: text.into() }
    }

    /// A timeout, checked.
    pub fn timeout(&self, value: &Spanned<u64>) -> Result<Duration, MappingError> {
        let ms = *value.get_ref();
        if !TIMEOUTS_MS.contains(&ms) {
            let (low, high) = (TIMEOUTS_MS.start(), TIMEOUTS_MS.end());
            return Err(self.refuse(value, "timeout_ms", format!("expected {low} to {high}, found {ms}")));
        }
        Ok(Duration::from_millis(ms))
    }

    /// The message with this name and its index.
    pub fn message(
        &self,
        at: &Spanned<impl Sized>,
        field: &'static str,
        name: &str,
    ) -> Result<(usize, &'a Message), MappingError> {
        let messages = self.database.messages();
        let found = messages.iter().position(|m| m.name() == name).map(|i| (i, &messages[i]));
        found.ok_or_else(|| {
            if let Some(reason) = self.database.reason_left_out(name) {
                return self.refuse(at, field, format!("{}: {reason}", self.database.name()));
            }
            let like = suggestion(name, messages.iter().map(Message::name));
            self.refuse(at, field, format!("{} has no message {name}{like}", self.database.name()))
        })
    }

    /// The signal of a message with this name and its index.
    pub fn signal(
        &self,
        at: &Spanned<impl Sized>,
        field: &'static str,
        message: &'a Message,
        name: &str,
    ) -> Result<(usize, &'a Signal), MappingError> {
        let signals = message.signals();
        let found = signals.iter().position(|s| s.name() == name).map(|i| (i, &signals[i]));
        found.ok_or_else(|| {
            if let Some(reason) = self.database.reason_left_out(&format!("{}.{name}", message.name())) {
                return self.refuse(at, field, format!("{}: {reason}", self.database.name()));
            }
            let like = suggestion(name, signals.iter().map(Signal::name));
            self.refuse(at, field, format!("message {} has no signal {name}{like}", message.name()))
        })
    }

    /// The conversion between two units, by their names.
    pub fn unit_conversion(
        &self,
        at: &Spanned<impl Sized>,
        field: &'static str,
        from: &str,
        to: &str,
        unit: &str,
    ) -> Result<Linear, MappingError> {
        let Some(source) = Unit::named(from) else {
            let text = format!("the unit {from:?} is not known, {to} is in {unit}; state `unit`");
            return Err(self.refuse(at, field, text));
        };
        let (factor, offset) = Unit::named(unit)
            .and_then(|wanted| source.to(wanted))
            .ok_or_else(|| self.refuse(at, field, format!("{from} cannot be converted to {unit}, the unit of {to}")))?;
        Ok(Linear { factor, offset })
    }

    /// A raw value, by number or by its label in the DBC.
    pub fn raw(
        &self,
        at: &Spanned<impl Sized>,
        field: &'static str,
        signal: &Signal,
        raw: &Raw,
    ) -> Result<i64, MappingError> {
        let label = match raw {
            Raw::Number(number) => return Ok(*number),
            Raw::Label(label) => label,
        };
        let known = signal.labels().iter().find(|(_, known)| known == label).map(|(raw, _)| *raw);
        known.or_else(|| label.parse().ok()).ok_or_else(|| {
            let like = suggestion(label, signal.labels().iter().map(|(_, label)| label.as_str()));
            self.refuse(at, field, format!("{label:?} is neither a label of {} nor a number{like}", signal.name()))
        })
    }
}
