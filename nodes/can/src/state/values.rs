//! What the bus has told: the newest value of each used signal, with its age.

use crate::{
    dbc::{Bits, Message},
    mapping::{Field, Linear, Mapping, Target, Value},
};
use auriga_msgs::v1;
use auriga_runtime::Nanos;
use bytes::Bytes;

/// The value of one use of a signal.
#[derive(Debug, Clone, Default)]
struct Slot {
    value: Option<Value>,
    stamp: Nanos,
    /// Changed since it was last told.
    changed: bool,
}

/// All values that a mapping makes.
#[derive(Debug)]
pub struct Values {
    /// By use.
    slots: Vec<Slot>,
    /// The uses that go to a named field.
    fields: Vec<(usize, Field)>,
    /// The message of each use.
    messages: Vec<usize>,
    /// No value is too old up to this instant.
    next_expiry: Option<Nanos>,
    /// Radar objects since the state was last told.
    radar: Vec<v1::RadarTrack>,
}

impl Values {
    pub fn new(mapping: &Mapping) -> Self {
        let uses = mapping.uses();
        let fields = uses.iter().enumerate().filter_map(|(i, u)| match u.target {
            Target::Field(field) => Some((i, field)),
            Target::Vss(_) => None,
        });
        let mut messages = vec![0; uses.len()];
        for (index, plan) in mapping.plans().iter().enumerate() {
            messages[plan.uses.clone()].fill(index);
        }
        Self {
            slots: vec![Slot::default(); uses.len()],
            fields: fields.collect(),
            messages,
            next_expiry: None,
            radar: Vec::new(),
        }
    }

    /// The last instant at which no value is too old.
    pub fn next_expiry(&self) -> Option<Nanos> {
        self.next_expiry
    }

    /// Reads the used signals of a frame of the message with this place in the database.
    pub fn take(&mut self, mapping: &Mapping, index: usize, message: &Message, bits: &Bits, stamp: Nanos) {
        let (plan, signals) = (&mapping.plans()[index], message.signals());
        let uses = &mapping.uses()[plan.uses.clone()];
        for (slot, used) in self.slots[plan.uses.clone()].iter_mut().zip(uses) {
            let signal = &signals[used.signal];
            if !signal.is_selected(bits) {
                continue;
            }
            let value = used.read(signal, bits);
            slot.changed |= value != slot.value;
            slot.value = value;
            slot.stamp = stamp;
            let expiry = stamp + used.timeout;
            if self.next_expiry.is_none_or(|at| expiry < at) {
                self.next_expiry = Some(expiry);
            }
        }
        if let Some(object) = &plan.radar {
            let read = |(place, linear): (usize, Linear)| linear.apply(signals[place].physical(bits)) as f32;
            self.radar.push(v1::RadarTrack {
                id: object.id,
                stamp_ns: stamp.0,
                x_m: read(object.x),
                y_m: read(object.y),
                vx_mps: read(object.vx),
                valid: object.valid.is_none_or(|place| signals[place].raw(bits) != 0),
            });
        }
    }

    /// Takes out what is too old and calls `told` with each message that stayed away and the use that noticed first.
    pub fn expire(&mut self, mapping: &Mapping, now: Nanos, mut told: impl FnMut(usize, usize)) {
        if self.next_expiry.is_none_or(|at| now <= at) {
            return;
        }
        self.next_expiry = None;
        let mut last = None;
        for (i, (slot, used)) in self.slots.iter_mut().zip(mapping.uses()).enumerate() {
            if slot.value.is_none() {
                continue;
            }
            let at = slot.stamp + used.timeout;
            if now <= at {
                self.next_expiry = Some(self.next_expiry.map_or(at, |next| next.min(at)));
                continue;
            }
            *slot = Slot { value: None, stamp: now, changed: true };
            if last.replace(self.messages[i]) != Some(self.messages[i]) {
                told(self.messages[i], i);
            }
        }
    }

    /// Puts into the state what is known, and what changed since it was last told.
    pub fn tell(&mut self, mapping: &Mapping, state: &mut v1::VehicleState) {
        for &(i, field) in &self.fields {
            if let Some(value) = &self.slots[i].value {
                field.set(value, state);
            }
        }
        for (slot, used) in self.slots.iter_mut().zip(mapping.uses()).filter(|(slot, _)| slot.changed) {
            slot.changed = false;
            if let Target::Vss(path) = &used.target {
                let value = slot.value.as_ref().map(vss_value);
                state.signals.push(v1::VssSignal { path: path.to_string(), stamp_ns: slot.stamp.0, value });
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

/// Whether a frame is news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    Newest,
    /// The same frame again, as a second socket or a merged log gives it.
    Duplicate,
    /// Older than the last frame of its message.
    Old,
}

/// The newest frame of each message.
#[derive(Debug)]
pub struct Order(Vec<(Option<Nanos>, Bytes)>);

impl Order {
    pub fn new(messages: usize) -> Self {
        Self(vec![(None, Bytes::new()); messages])
    }

    pub fn judge(&mut self, index: usize, stamp: Nanos, data: &Bytes) -> News {
        let (last, last_data) = &mut self.0[index];
        match last {
            Some(last) if stamp < *last => News::Old,
            Some(last) if stamp == *last && data == last_data => News::Duplicate,
            _ => {
                (*last, *last_data) = (Some(stamp), data.clone());
                News::Newest
            }
        }
    }
}
