//! Compiles `vss.toml`.

use super::{
    entries::{Conversion, Linear, MessageMapping, RadarObject, SignalMapping},
    error::MappingError,
    file::{File, Meaning, RadarRow, Raw, SignalRow, VssType},
    target::{Field, Target, Value},
    units::Unit,
    vss::{self, Datatype},
};
use crate::dbc::{Database, Message, Signal};
use auriga_msgs::v1;
use auriga_runtime::suggestion::suggestion;
use std::{collections::HashMap, time::Duration};
use toml::Spanned;

/// Timeouts accepted.
const TIMEOUTS_MS: std::ops::RangeInclusive<u64> = 1..=3_600_000;

/// The mappings by message, and all signal mappings.
type Compiled = (Vec<MessageMapping>, Vec<SignalMapping>);

pub(super) fn compile(text: &str, name: &str, database: &Database) -> Result<Compiled, MappingError> {
    let file: File = toml::from_str(text).map_err(|e| MappingError::Toml {
        name: name.to_owned(),
        line: e.span().map_or(0, |span| line_of(text, span.start)),
        text: e.message().to_owned(),
    })?;
    let mut compiler = Compiler { text, name, database, seen: HashMap::new() };
    let timeout = compiler.timeout(&file.timeout_ms)?;
    let mut signals: Vec<(usize, SignalMapping)> = Vec::new();
    for row in &file.signal {
        compiler.signal_row(row.get_ref(), timeout, &mut signals)?;
    }
    let mut messages = vec![MessageMapping::default(); database.messages().len()];
    for row in &file.radar {
        compiler.radar_row(row.get_ref(), &mut messages)?;
    }
    // The stable sort keeps the file's order within a message.
    signals.sort_by_key(|(message, _)| *message);
    for (i, (message, _)) in signals.iter().enumerate() {
        let range = &mut messages[*message].signals;
        *range = if range.start == range.end { i..i + 1 } else { range.start..i + 1 };
    }
    Ok((messages, signals.into_iter().map(|(_, signal)| signal).collect()))
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes().iter().take(at).filter(|&&b| b == b'\n').count()
}

/// What values a target takes.
enum Wanted {
    Number(&'static str),
    /// A number whose unit the row states.
    NumberIn(String),
    Flag,
    /// One of these words; any word when the list is empty.
    Label(&'static [&'static str]),
    Gear,
    Indicator,
}

struct Compiler<'a> {
    text: &'a str,
    name: &'a str,
    database: &'a Database,
    /// The targets so far, with the line of each.
    seen: HashMap<String, usize>,
}

impl<'a> Compiler<'a> {
    fn refuse<T>(&self, at: &Spanned<T>, field: &'static str, text: impl Into<String>) -> MappingError {
        let line = line_of(self.text, at.span().start);
        MappingError::Row { name: self.name.to_owned(), line, field, text: text.into() }
    }

    fn timeout(&self, value: &Spanned<u64>) -> Result<Duration, MappingError> {
        let ms = *value.get_ref();
        if !TIMEOUTS_MS.contains(&ms) {
            let (low, high) = (TIMEOUTS_MS.start(), TIMEOUTS_MS.end());
            return Err(self.refuse(value, "timeout_ms", format!("expected {low} to {high}, found {ms}")));
        }
        Ok(Duration::from_millis(ms))
    }

    fn message(
        &self,
        at: &Spanned<impl Sized>,
        field: &'static str,
        name: &str,
    ) -> Result<(usize, &'a Message), MappingError> {
        let messages = self.database.messages();
        let found = messages.iter().position(|m| m.name() == name).map(|i| (i, &messages[i]));
        found.ok_or_else(|| {
            let like = suggestion(name, messages.iter().map(Message::name));
            self.refuse(at, field, format!("{} has no message {name}{like}", self.database.name()))
        })
    }

    fn signal(
        &self,
        at: &Spanned<impl Sized>,
        field: &'static str,
        message: &'a Message,
        name: &str,
    ) -> Result<(usize, &'a Signal), MappingError> {
        let signals = message.signals();
        let found = signals.iter().position(|s| s.name() == name).map(|i| (i, &signals[i]));
        found.ok_or_else(|| {
            let like = suggestion(name, signals.iter().map(Signal::name));
            self.refuse(at, field, format!("message {} has no signal {name}{like}", message.name()))
        })
    }

    fn signal_row(
        &mut self,
        row: &SignalRow,
        timeout: Duration,
        signals: &mut Vec<(usize, SignalMapping)>,
    ) -> Result<(), MappingError> {
        let from = row.from.get_ref();
        let (message, signal) = from
            .split_once('.')
            .ok_or_else(|| self.refuse(&row.from, "from", format!("expected MESSAGE.SIGNAL, found {from:?}")))?;
        let (message_index, message) = self.message(&row.from, "from", message)?;
        let (signal_index, signal) = self.signal(&row.from, "from", message, signal)?;
        if !(row.scale.is_finite() && row.scale != 0.0 && row.offset.is_finite()) {
            let text = format!("expected a number other than 0, found {} (offset {})", row.scale, row.offset);
            return Err(self.refuse(&row.from, "scale", text));
        }
        let timeout = row.timeout_ms.as_ref().map_or(Ok(timeout), |t| self.timeout(t))?;
        let absent =
            row.absent.iter().map(|raw| self.raw(raw, "absent", signal, raw.get_ref())).collect::<Result<_, _>>()?;
        for to in row.to.get_ref().all() {
            let (target, wanted) = self.target(row, to)?;
            let line = line_of(self.text, row.to.span().start);
            if let Some(other) = self.seen.insert(to.clone(), line) {
                return Err(self.refuse(&row.to, "to", format!("{to} already has a source, in line {other}")));
            }
            let conversion = self.conversion(row, signal, to, &wanted)?;
            let absent = Clone::clone(&absent);
            signals.push((message_index, SignalMapping { signal: signal_index, target, conversion, absent, timeout }));
        }
        Ok(())
    }

    fn target(&self, row: &SignalRow, to: &str) -> Result<(Target, Wanted), MappingError> {
        if let Some((_, field, unit)) = Field::ALL.iter().find(|(name, ..)| *name == to) {
            let wanted = match field {
                Field::Gear => Wanted::Gear,
                Field::Indicator => Wanted::Indicator,
                Field::PushToTalk => Wanted::Flag,
                _ => Wanted::Number(unit),
            };
            return Ok((Target::Field(*field), wanted));
        }
        let wanted = match (vss::datatype(to), row.vss_type) {
            (Some(Datatype::Number(unit)), _) => Wanted::Number(unit),
            (Some(Datatype::Flag), _) => Wanted::Flag,
            (Some(Datatype::Label(allowed)), _) => Wanted::Label(allowed),
            (None, Some(VssType::Number)) => {
                Wanted::NumberIn(row.vss_unit.as_ref().map(|u| u.get_ref().clone()).unwrap_or_default())
            }
            (None, Some(VssType::Flag)) => Wanted::Flag,
            (None, Some(VssType::Label)) => Wanted::Label(&[]),
            (None, None) => {
                let known = Field::ALL.iter().map(|(name, ..)| *name).chain(vss::signals().map(|(path, _)| path));
                let like = suggestion(to, known);
                let text = format!(
                    "{to} is neither a field of the vehicle state nor a VSS path of the catalogue{like}; \
                     for another VSS path state `vss_type`"
                );
                return Err(self.refuse(&row.to, "to", text));
            }
        };
        Ok((Target::Vss(to.into()), wanted))
    }

    fn conversion(
        &self,
        row: &SignalRow,
        signal: &Signal,
        to: &str,
        wanted: &Wanted,
    ) -> Result<Conversion, MappingError> {
        let number = |meaning: &Meaning| match meaning {
            Meaning::Number(n) if n.is_finite() => Some(Value::Number(*n)),
            _ => None,
        };
        let word = |meaning: &Meaning| match meaning {
            Meaning::Label(word) => Some(word.to_lowercase()),
            _ => None,
        };
        match wanted {
            Wanted::Number(_) | Wanted::NumberIn(_) if row.values.is_some() => {
                self.table(row, signal, to, "a number", number)
            }
            Wanted::Number(unit) => self.linear(row, signal, to, unit),
            Wanted::NumberIn(unit) => self.linear(row, signal, to, unit),
            Wanted::Flag if row.values.is_none() => Ok(Conversion::NonZero),
            Wanted::Flag => self.table(row, signal, to, "true or false", |meaning| match meaning {
                Meaning::Flag(flag) => Some(Value::Flag(*flag)),
                _ => None,
            }),
            Wanted::Label(allowed) => {
                let expected =
                    if allowed.is_empty() { "a word".to_owned() } else { format!("one of {}", allowed.join(", ")) };
                self.table(row, signal, to, &expected, |meaning| match meaning {
                    Meaning::Label(label) if allowed.is_empty() || allowed.contains(&label.as_str()) => {
                        Some(Value::Label(label.as_str().into()))
                    }
                    _ => None,
                })
            }
            Wanted::Gear => self.table(row, signal, to, "park, reverse, neutral or drive", |meaning| {
                let gear = match word(meaning)?.as_str() {
                    "park" => v1::Gear::Park,
                    "reverse" => v1::Gear::Reverse,
                    "neutral" => v1::Gear::Neutral,
                    "drive" => v1::Gear::Drive,
                    _ => return None,
                };
                Some(Value::Number(f64::from(gear as i32)))
            }),
            Wanted::Indicator => self.table(row, signal, to, "off, left, right or hazard", |meaning| {
                let side = match word(meaning)?.as_str() {
                    "off" => v1::Indicator::Off,
                    "left" => v1::Indicator::Left,
                    "right" => v1::Indicator::Right,
                    "hazard" => v1::Indicator::Hazard,
                    _ => return None,
                };
                Some(Value::Number(f64::from(side as i32)))
            }),
        }
    }

    fn linear(&self, row: &SignalRow, signal: &Signal, to: &str, unit: &str) -> Result<Conversion, MappingError> {
        let Linear { factor, offset } = match (unit, &row.unit) {
            ("", None) => Linear { factor: 1.0, offset: 0.0 },
            ("", Some(stated)) => {
                return Err(self.refuse(stated, "unit", format!("{to} has no unit to convert to; leave it out")));
            }
            (_, Some(stated)) => self.unit_conversion(stated, "unit", stated.get_ref(), to, unit)?,
            (_, None) => self.unit_conversion(&row.from, "from", signal.unit(), to, unit)?,
        };
        // unit(physical * scale + offset)
        Ok(Conversion::Linear(Linear { factor: row.scale * factor, offset: row.offset * factor + offset }))
    }

    fn unit_conversion(
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

    /// A table from the row's `values`. Labels of the DBC that it omits are added when `understand` accepts them.
    fn table(
        &self,
        row: &SignalRow,
        signal: &Signal,
        to: &str,
        expected: &str,
        understand: impl Fn(&Meaning) -> Option<Value>,
    ) -> Result<Conversion, MappingError> {
        let mut table: Vec<(i64, Value)> = Vec::new();
        if let Some(values) = &row.values {
            for (key, meaning) in values.get_ref() {
                let raw = self.raw(values, "values", signal, &Raw::Label(key.clone()))?;
                let value = understand(meaning).ok_or_else(|| {
                    self.refuse(values, "values", format!("{key}: expected {expected} for {to}, found {meaning:?}"))
                })?;
                table.push((raw, value));
            }
        }
        for (raw, label) in signal.labels() {
            if table.iter().all(|(known, _)| known != raw) {
                table.extend(understand(&Meaning::Label(label.clone())).map(|value| (*raw, value)));
            }
        }
        if table.is_empty() {
            let text = format!("no value of {} is {expected}, which {to} takes; state `values`", signal.name());
            return Err(self.refuse(&row.from, "from", text));
        }
        table.sort_by_key(|(raw, _)| *raw);
        if let Some(twice) = table.windows(2).find(|w| w[0].0 == w[1].0) {
            return Err(self.refuse(&row.from, "values", format!("the raw value {} has two meanings", twice[0].0)));
        }
        Ok(Conversion::Table(table.into()))
    }

    fn raw(
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

    fn radar_row(&self, row: &RadarRow, messages: &mut [MessageMapping]) -> Result<(), MappingError> {
        if !(row.y_scale.is_finite() && row.vx_scale.is_finite() && row.y_scale * row.vx_scale != 0.0) {
            return Err(self.refuse(&row.messages, "y_scale, vx_scale", "expected numbers other than 0"));
        }
        for (id, name) in (row.first_id..).zip(row.messages.get_ref()) {
            let (index, message) = self.message(&row.messages, "messages", name)?;
            let measure = |name: &Spanned<String>, field: &'static str, scale: f64, to: &str, unit: &str| {
                let (index, signal) = self.signal(name, field, message, name.get_ref())?;
                let Linear { factor, offset } = self.unit_conversion(name, field, signal.unit(), to, unit)?;
                Ok((index, Linear { factor: factor * scale, offset }))
            };
            let valid = row.valid.as_ref().map(|v| self.signal(v, "valid", message, v.get_ref())).transpose()?;
            let radar = RadarObject {
                id,
                x: measure(&row.x, "x", 1.0, "x", "m")?,
                y: measure(&row.y, "y", row.y_scale, "y", "m")?,
                vx: measure(&row.vx, "vx", row.vx_scale, "vx", "m/s")?,
                valid: valid.map(|(index, _)| index),
            };
            if messages[index].radar.replace(radar).is_some() {
                return Err(self.refuse(&row.messages, "messages", format!("{name} already has a radar object")));
            }
        }
        Ok(())
    }
}
