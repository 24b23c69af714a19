//! Where the frames of a message come from: one bus, one source address. Frames of another origin with the same
//! identifier may be another message.

use crate::{
    dbc::{Message, source_address},
    mapping::SignalMapping,
};
use auriga_msgs::v1;
use bytes::Bytes;
use std::collections::BTreeSet;

/// Most names of buses that are kept; they come from input.
const MAX_BUSES: usize = 16;

/// The origin of one frame.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The bus.
    pub bus: &'a str,
    /// The source address; only of J1939.
    pub source: Option<u8>,
    /// Rows of the mapping that name no bus may read it.
    pub unnamed: bool,
}

impl Origin<'_> {
    /// Whether this row of the mapping reads frames of this origin.
    #[inline]
    pub fn is_of(&self, row: &SignalMapping) -> bool {
        let bus = row.bus.as_deref().map_or(self.unnamed, |bus| bus == self.bus);
        bus && row.source.is_none_or(|source| Some(source) == self.source)
    }
}

/// What is found out about a message once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Two buses carry other content under the same identifier: their names.
    TwoBuses(String, String),
    /// Two source addresses send the message.
    TwoSources(u8, u8),
}

/// The origins of one message so far.
#[derive(Debug, Clone, Default)]
struct Known {
    bus: Option<String>,
    /// A frame of another bus that is not the last one of this: a mirrored one may come first.
    pending: Option<(String, Bytes)>,
    ambiguous: bool,
    source: Option<u8>,
    sources_told: bool,
}

/// The origins of all messages.
#[derive(Debug)]
pub struct Origins {
    messages: Vec<Known>,
    /// The bus of the configuration.
    chosen: Option<String>,
    seen: BTreeSet<String>,
    /// The bus of the last frame.
    last_bus: Option<String>,
}

impl Origins {
    /// For a database with this number of messages; `chosen`: only frames of this bus are read.
    pub fn new(messages: usize, chosen: Option<String>) -> Self {
        Self { messages: vec![Known::default(); messages], chosen, seen: BTreeSet::new(), last_bus: None }
    }

    /// The bus that is chosen, and the others that were seen, when none of its frames has come.
    pub fn missing_choice(&self) -> Option<(&str, Vec<&str>)> {
        let chosen = self.chosen.as_deref()?;
        (!self.seen.is_empty() && !self.seen.contains(chosen))
            .then(|| (chosen, self.seen.iter().map(String::as_str).collect()))
    }

    /// Whether frames of this bus are read. Counts the bus as seen.
    #[inline]
    pub fn is_chosen(&mut self, bus: &str) -> bool {
        if self.last_bus.as_deref() != Some(bus) {
            self.last_bus = Some(bus.to_owned());
            if self.seen.len() < MAX_BUSES {
                self.seen.insert(bus.to_owned());
            }
        }
        self.chosen.as_deref().is_none_or(|chosen| chosen == bus)
    }

    /// The origin of a frame of message `index`, and what it shows. `last`: the content of the message's frame before.
    pub fn check<'a>(
        &mut self,
        index: usize,
        message: &Message,
        rows: &[SignalMapping],
        frame: &'a v1::CanFrame,
        last: &Bytes,
    ) -> (Origin<'a>, Option<Finding>) {
        let known = &mut self.messages[index];
        let source = message.is_j1939().then(|| source_address(frame.id));
        let mut finding = None;
        if let Some(source) = source
            && rows.iter().any(|row| row.source.is_none())
        {
            let first = *known.source.get_or_insert(source);
            if first != source && !std::mem::replace(&mut known.sources_told, true) {
                finding = Some(Finding::TwoSources(first, source));
            }
        }
        let mut unnamed = !known.ambiguous;
        // With a chosen bus, or on the only one, there is nothing to compare.
        if unnamed && self.seen.len() > 1 && self.chosen.is_none() && rows.iter().any(|row| row.bus.is_none()) {
            if let Some(other) = known.conflict(frame, last) {
                known.ambiguous = true;
                let own = known.bus.clone().unwrap_or_default();
                finding = Some(Finding::TwoBuses(own, other));
            }
            unnamed = !known.ambiguous && known.bus.as_ref() == Some(&frame.bus);
        } else if known.bus.is_none() && !frame.bus.is_empty() {
            known.bus = Some(frame.bus.clone());
        }
        (Origin { bus: &frame.bus, source, unnamed }, finding)
    }
}

impl Known {
    /// The other bus, when a frame shows that it carries other content: neither mirrors the other with a frame's delay.
    fn conflict(&mut self, frame: &v1::CanFrame, last: &Bytes) -> Option<String> {
        let own = self.bus.get_or_insert_with(|| frame.bus.clone());
        if *own == frame.bus {
            return self.pending.take().filter(|(_, data)| *data != frame.data).map(|(bus, _)| bus);
        }
        if *last == frame.data {
            self.pending = None;
            return None;
        }
        match &self.pending {
            // Two frames in a row that are not of this bus.
            Some((bus, data)) if *data != frame.data => Some(bus.clone()),
            _ => {
                self.pending = Some((frame.bus.clone(), frame.data.clone()));
                None
            }
        }
    }
}
