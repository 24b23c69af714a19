//! The newest value of each mapped signal, with its age.

use crate::{
    dbc::{Bits, Message},
    mapping::{Field, Linear, Mapping, Target, Value},
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
}

/// The values of all signals of a mapping, in its order.
#[derive(Debug)]
pub struct SignalValues {
    entries: Vec<Entry>,
    /// The signals mapped to a named field of the vehicle state.
    fields: Vec<(usize, Field)>,
    /// The message of each signal.
    messages: Vec<usize>,
    /// No value expires up to this instant.
    next_expiry: Option<Nanos>,
    /// Radar objects since the state was last published.
    radar: Vec<v1::RadarTrack>,
}

impl SignalValues {
    /// No values yet.
    pub fn new(mapping: &Mapping) -> Self {
        let signals = mapping.signals();
        let fields = signals.iter().enumerate().filter_map(|(i, s)| match s.target {
            Target::Field(field) => Some((i, field)),
            Target::Vss(_) => None,
        });
        let mut messages = vec![0; signals.len()];
        for (index, message) in mapping.messages().iter().enumerate() {
            messages[message.signals.clone()].fill(index);
        }
        Self {
            entries: vec![Entry::default(); signals.len()],
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

    /// Reads the mapped signals of a frame. `index`: of its message in the database. Returns true when the frame ends a
    /// timeout: it sets the last of the message's expired values again, and is itself not too old.
    pub fn update(
        &mut self,
        mapping: &Mapping,
        index: usize,
        message: &Message,
        bits: &Bits,
        stamp: Nanos,
        now: Nanos,
    ) -> bool {
        let (mapped, signals) = (&mapping.messages()[index], message.signals());
        let rows = &mapping.signals()[mapped.signals.clone()];
        let entries = &mut self.entries[mapped.signals.clone()];
        let mut set_again = false;
        for (entry, row) in entries.iter_mut().zip(rows) {
            let signal = &signals[row.signal];
            if !signal.is_selected(bits) {
                continue;
            }
            let value = row.value(signal, bits);
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
        let ends_timeout = set_again && !entries.iter().any(|entry| entry.expired);
        if let Some(object) = &mapped.radar {
            let read = |(index, linear): (usize, Linear)| linear.apply(signals[index].physical(bits)) as f32;
            self.radar.push(v1::RadarTrack {
                id: object.id,
                stamp_ns: stamp.0,
                x_m: read(object.x),
                y_m: read(object.y),
                vx_mps: read(object.vx),
                valid: object.valid.is_none_or(|index| signals[index].raw(bits) != 0),
            });
        }
        ends_timeout
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
            *entry = Entry { value: None, stamp: now, changed: true, expired: true };
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
        for (entry, row) in self.entries.iter_mut().zip(mapping.signals()).filter(|(entry, _)| entry.changed) {
            entry.changed = false;
            if let Target::Vss(path) = &row.target {
                let value = entry.value.as_ref().map(vss_value);
                state.signals.push(v1::VssSignal { path: path.to_string(), stamp_ns: entry.stamp.0, value });
            }
        }
        state.radar = std::mem::take(&mut self.radar);
    }
}

fn vss_value(value: &Value) -> v1::vss_signal::Value {
    use v1::vss_signal::Value as Vss;
    match value {
        Value::Number(number) => Vss::Number(*number),
        Value::Flag(flag) => Vss::Flag(*flag),
        Value::Label(label) => Vss::Label(label.to_string()),
    }
}
