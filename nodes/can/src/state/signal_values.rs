//! The newest value of each mapped signal, with its age.

use super::origins::Origin;
use crate::{
    dbc::{Bits, Message},
    mapping::{Combined, Field, Mapping, Missing, Target, Value},
};
use auriga_msgs::v1;
use auriga_runtime::Nanos;

/// The newest value of one mapped signal.
#[derive(Debug, Clone, Default)]
struct Entry {
    value: Option<Value>,
    stamp: Nanos,
    /// Changed since the state was last published.
    changed: bool,
    /// Removed because it was too old, and not set again since.
    expired: bool,
    /// Why the newest frame has no value.
    missing: Option<Missing>,
}

/// A target with several signals.
#[derive(Debug)]
struct CombinedEntry {
    target: Target,
    value: Option<Value>,
}

/// The values of all signals of a mapping, in its order.
#[derive(Debug)]
pub struct SignalValues {
    entries: Vec<Entry>,
    combined: Vec<CombinedEntry>,
    /// The signals mapped to a named field of the vehicle state.
    fields: Vec<(usize, Field)>,
    /// The message of each signal.
    messages: Vec<usize>,
    /// No value expires up to this instant.
    next_expiry: Option<Nanos>,
    /// Radar objects since the state was last published.
    radar: Vec<v1::RadarTrack>,
}

/// What a frame did to the values.
#[derive(Debug, Default)]
pub struct Update {
    /// It ends a timeout: it sets the last of the message's expired values again, and is itself not too old.
    pub ends_timeout: bool,
    /// Signals (their index in the mapping) without a value: out of range, or newly marked as not available.
    pub missing: Vec<(usize, Missing)>,
}

/// A frame of a message.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    /// The index of its message in the database.
    pub index: usize,
    /// Its message.
    pub message: &'a Message,
    /// Its content.
    pub bits: Bits<'a>,
    /// When it was received.
    pub stamp: Nanos,
    /// Where it came from.
    pub origin: Origin<'a>,
}

impl SignalValues {
    /// No values yet.
    pub fn new(mapping: &Mapping) -> Self {
        let signals = mapping.signals();
        let single = signals.iter().enumerate().filter(|(_, s)| !s.is_combined);
        let fields = single.filter_map(|(i, s)| match s.target {
            Target::Field(field) => Some((i, field)),
            Target::Vss(_) => None,
        });
        let mut messages = vec![0; signals.len()];
        for (index, message) in mapping.messages().iter().enumerate() {
            messages[message.signals.clone()].fill(index);
        }
        let target = |combined: &Combined| Some(signals[*combined.sources.first()?].target.clone());
        let targets = mapping.combined().iter().filter_map(target);
        Self {
            entries: vec![Entry::default(); signals.len()],
            combined: targets.map(|target| CombinedEntry { target, value: None }).collect(),
            fields: fields.collect(),
            messages,
            next_expiry: None,
            radar: Vec::new(),
        }
    }

    /// The last instant before the next value expires.
    pub fn next_expiry(&self) -> Option<Nanos> {
        self.next_expiry
    }

    /// Reads the mapped signals of a frame.
    pub fn update(&mut self, mapping: &Mapping, frame: Frame, now: Nanos) -> Update {
        let Frame { index, message, bits, stamp, origin } = frame;
        let (mapped, signals) = (&mapping.messages()[index], message.signals());
        let rows = &mapping.signals()[mapped.signals.clone()];
        let entries = &mut self.entries[mapped.signals.clone()];
        let mut update = Update::default();
        let mut set_again = false;
        for (i, (entry, row)) in entries.iter_mut().zip(rows).enumerate() {
            let signal = &signals[row.signal];
            if !origin.is_of(row) || !signal.is_present(&bits) {
                continue;
            }
            let (value, missing) = match row.value(signal, &bits) {
                Ok(value) => (Some(value), None),
                Err(missing) => (None, Some(missing)),
            };
            if let Some(missing) = missing
                && (matches!(missing, Missing::OutOfRange(_)) || entry.missing != Some(missing))
            {
                update.missing.push((mapped.signals.start + i, missing));
            }
            entry.missing = missing;
            entry.changed |= value != entry.value;
            entry.value = value;
            entry.stamp = stamp;
            let expiry = stamp + row.timeout;
            if now <= expiry {
                set_again |= std::mem::take(&mut entry.expired);
            }
            if self.next_expiry.is_none_or(|at| expiry < at) {
                self.next_expiry = Some(expiry);
            }
        }
        update.ends_timeout = set_again && !entries.iter().any(|entry| entry.expired);
        if let Some(object) = mapped.radar.as_ref().filter(|_| origin.unnamed) {
            self.radar.extend(object.track(signals, &bits, stamp));
        }
        update
    }

    /// Removes the values of a message that no row names a bus for: it is not known which bus is meant.
    pub fn remove_unnamed(&mut self, mapping: &Mapping, index: usize, now: Nanos) {
        let range = mapping.messages()[index].signals.clone();
        let rows = &mapping.signals()[range.clone()];
        for (entry, _) in self.entries[range].iter_mut().zip(rows).filter(|(_, row)| row.bus.is_none()) {
            if entry.value.is_some() {
                *entry = Entry { stamp: now, changed: true, ..Entry::default() };
            }
        }
    }

    /// Removes the values that are too old. Calls `report` once for each message concerned, with its index in the
    /// database and the index of its first expired signal in the mapping.
    pub fn expire(&mut self, mapping: &Mapping, now: Nanos, mut report: impl FnMut(usize, usize)) {
        if self.next_expiry.is_none_or(|at| now <= at) {
            return;
        }
        self.next_expiry = None;
        let mut last = None;
        for (i, (entry, row)) in self.entries.iter_mut().zip(mapping.signals()).enumerate() {
            if entry.value.is_none() {
                continue;
            }
            let at = entry.stamp + row.timeout;
            if now <= at {
                self.next_expiry = Some(self.next_expiry.map_or(at, |next| next.min(at)));
                continue;
            }
            *entry = Entry { stamp: now, changed: true, expired: true, ..Entry::default() };
            if last.replace(self.messages[i]) != Some(self.messages[i]) {
                report(self.messages[i], i);
            }
        }
    }

    /// Fills a state: the named fields with all values, the VSS signals with those that changed since the last state,
    /// and the radar objects that came since then.
    pub fn fill(&mut self, mapping: &Mapping, state: &mut v1::VehicleState) {
        for &(i, field) in &self.fields {
            if let Some(value) = &self.entries[i].value {
                field.set(value, state);
            }
        }
        for (entry, combined) in self.combined.iter_mut().zip(mapping.combined()) {
            fill_combined(&self.entries, entry, combined, state);
        }
        for (entry, row) in self.entries.iter_mut().zip(mapping.signals()).filter(|(entry, _)| entry.changed) {
            entry.changed = false;
            if let Target::Vss(path) = &row.target
                && !row.is_combined
            {
                state.signals.push(vss_signal(path, entry.stamp, entry.value.as_ref()));
            }
        }
        state.radar = std::mem::take(&mut self.radar);
    }
}

/// Fills in a target with several signals, stamped with the newest of them.
fn fill_combined(entries: &[Entry], entry: &mut CombinedEntry, combined: &Combined, state: &mut v1::VehicleState) {
    let sources = || combined.sources.iter().map(|&i| &entries[i]);
    if sources().any(|source| source.changed) {
        let value = combined.rule.apply(sources().map(|source| source.value.as_ref()));
        let changed = value != entry.value;
        entry.value = value;
        if let (true, Target::Vss(path)) = (changed, &entry.target) {
            let stamp = sources().map(|source| source.stamp).max().unwrap_or_default();
            state.signals.push(vss_signal(path, stamp, entry.value.as_ref()));
        }
    }
    if let (Target::Field(field), Some(value)) = (&entry.target, &entry.value) {
        field.set(value, state);
    }
}

fn vss_signal(path: &str, stamp: Nanos, value: Option<&Value>) -> v1::VssSignal {
    use v1::vss_signal::Value as Vss;
    let value = value.map(|value| match value {
        Value::Number(number) => Vss::Number(*number),
        Value::Flag(flag) => Vss::Flag(*flag),
        Value::Label(label) => Vss::Label(label.to_string()),
    });
    v1::VssSignal { path: path.to_owned(), stamp_ns: stamp.0, value }
}
