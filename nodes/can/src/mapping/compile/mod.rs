//! Compiles `vss.toml`.

mod context;
mod conversion;
mod file;
mod radar;
mod targets;

use super::{
    combine::Combined,
    entries::{MessageMapping, SignalMapping},
    error::MappingError,
};
use crate::dbc::{Database, Message, Signal};
use context::Context;
use conversion::{checks, conversion};
use file::{File, SignalRow};
use std::{sync::Arc, time::Duration};
use targets::Targets;

/// The timeout of rows for which neither the mapping nor the database states one.
const DEFAULT_TIMEOUT: Duration = Duration::from_millis(500);
/// Of a message whose period the database states so many may be missed.
const PERIODS: u32 = 3;
/// Source addresses of J1939.
const ADDRESSES: std::ops::RangeInclusive<i64> = 0..=255;

/// A compiled mapping.
pub(super) struct Compiled {
    pub messages: Vec<MessageMapping>,
    pub signals: Vec<SignalMapping>,
    pub combined: Vec<Combined>,
}

/// Compiles a mapping; all that is wrong is reported at once.
pub(super) fn compile(text: &str, name: &str, database: &Database) -> Result<Compiled, MappingError> {
    let context = Context { text, name, database };
    let file: File = toml::from_str(text).map_err(|e| MappingError::Toml {
        name: name.to_owned(),
        line: e.span().map_or(0, |span| context.line(span.start)),
        text: e.message().to_owned(),
    })?;
    let mut errors = Vec::new();
    let timeout = file.timeout_ms.as_ref().map(|ms| context.timeout(ms)).transpose();
    let timeout = timeout.map_err(|e| errors.push(e)).ok().flatten();
    let rows: Vec<&SignalRow> = file.signal.iter().map(toml::Spanned::get_ref).collect();
    let targets = Targets::of(context, &rows, &mut errors);
    let compiler = Compiler { context, targets: &targets, timeout, bus: file.bus.as_deref() };
    let mut signals: Vec<Entry> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        if let Err(error) = compiler.row(index, row, &mut signals) {
            errors.push(error);
        }
    }
    let mut messages = vec![MessageMapping::default(); database.messages().len()];
    for row in &file.radar {
        if let Err(error) = radar::row(context, row.get_ref(), &mut messages) {
            errors.push(error);
        }
    }
    if let Some(error) = MappingError::of_all(errors) {
        return Err(error);
    }
    Ok(assemble(signals, messages, &targets))
}

/// A row's signal for one of its targets.
struct Entry {
    message: usize,
    /// The name of the target.
    to: String,
    mapping: SignalMapping,
}

/// Puts the signals of a message together, and finds those of combined targets among them.
fn assemble(mut entries: Vec<Entry>, mut messages: Vec<MessageMapping>, targets: &Targets) -> Compiled {
    // The place in the file, since the order of combined signals is that of their rows.
    let mut placed: Vec<(usize, Entry)> = entries.drain(..).enumerate().collect();
    // The stable sort keeps the file's order within a message.
    placed.sort_by_key(|(_, entry)| entry.message);
    for (i, (_, entry)) in placed.iter().enumerate() {
        let range = &mut messages[entry.message].signals;
        *range = if range.start == range.end { i..i + 1 } else { range.start..i + 1 };
    }
    let combined = targets.combined().map(|(to, rule)| {
        let of_target = placed.iter().enumerate().filter(|(_, (_, entry))| entry.to == to);
        let mut sources: Vec<(usize, usize)> = of_target.map(|(i, (place, _))| (*place, i)).collect();
        sources.sort_unstable();
        let sources: Box<[usize]> = sources.into_iter().map(|(_, i)| i).collect();
        let rule = rule.complete(sources.iter().map(|&i| &placed[i].1.mapping.conversion));
        Combined { sources, rule }
    });
    let combined = combined.collect();
    Compiled { messages, signals: placed.into_iter().map(|(_, entry)| entry.mapping).collect(), combined }
}

struct Compiler<'a> {
    context: Context<'a>,
    targets: &'a Targets<'a>,
    timeout: Option<Duration>,
    bus: Option<&'a str>,
}

impl Compiler<'_> {
    fn row(&self, index: usize, row: &SignalRow, signals: &mut Vec<Entry>) -> Result<(), MappingError> {
        let context = self.context;
        let from = row.from.get_ref();
        let (message, signal) = from
            .split_once('.')
            .ok_or_else(|| context.refuse(&row.from, "from", format!("expected MESSAGE.SIGNAL, found {from:?}")))?;
        let (message_index, message) = context.message(&row.from, "from", message)?;
        let (signal_index, signal) = context.signal(&row.from, "from", message, signal)?;
        if !(row.scale.is_finite() && row.scale != 0.0 && row.offset.is_finite()) {
            let text = format!("expected a number other than 0, found {} (offset {})", row.scale, row.offset);
            return Err(context.refuse(&row.from, "scale", text));
        }
        for raw in &row.absent {
            context.raw(raw, "absent", signal, raw.get_ref())?;
        }
        let timeout = self.timeout(row, message)?;
        let source = self.source(row, message)?;
        let bus: Option<Arc<str>> = row.bus.as_deref().or(self.bus).map(Arc::from);
        for to in row.to.get_ref().all() {
            let mapping = self.mapping(index, row, (message, signal), to)?;
            let Some(mapping) = mapping else { continue };
            let (bus, signal) = (bus.clone(), signal_index);
            let mapping = SignalMapping { signal, timeout, source, bus, ..mapping };
            signals.push(Entry { message: message_index, to: to.clone(), mapping });
        }
        Ok(())
    }

    /// The mapping to one target; `None` when the target has been reported.
    fn mapping(
        &self,
        index: usize,
        row: &SignalRow,
        (message, signal): (&Message, &Signal),
        to: &str,
    ) -> Result<Option<SignalMapping>, MappingError> {
        let Some(target) = self.targets.get(to) else { return Ok(None) };
        let plain = target.is_scale(index);
        let conversion = conversion(self.context, row, signal, to, &target.wanted, plain)?;
        let checks = checks(self.context, row, message, signal, &conversion)?;
        Ok(Some(SignalMapping {
            signal: 0,
            target: target.target.clone(),
            conversion,
            checks,
            timeout: DEFAULT_TIMEOUT,
            bus: None,
            source: None,
            is_combined: target.is_combined(),
        }))
    }

    /// The row's timeout, else the file's, else by the period that the database states.
    fn timeout(&self, row: &SignalRow, message: &Message) -> Result<Duration, MappingError> {
        if let Some(timeout) = &row.timeout_ms {
            return self.context.timeout(timeout);
        }
        let by_period = message.cycle_ms().map(|ms| PERIODS * Duration::from_millis(ms.min(60_000)));
        Ok(self.timeout.unwrap_or(by_period.unwrap_or_default().max(DEFAULT_TIMEOUT)))
    }

    fn source(&self, row: &SignalRow, message: &Message) -> Result<Option<u8>, MappingError> {
        let Some(source) = &row.source else { return Ok(None) };
        if !message.is_j1939() {
            let text = format!("{} is not a message of J1939, which alone has source addresses", message.name());
            return Err(self.context.refuse(source, "source", text));
        }
        let address = *source.get_ref();
        if !ADDRESSES.contains(&address) {
            return Err(self.context.refuse(source, "source", format!("expected 0x00 to 0xff, found {address}")));
        }
        Ok(Some(address as u8))
    }
}
