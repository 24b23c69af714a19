//! What a recording or a bus carries.

use crate::dbc::{Database, Message};
use auriga_msgs::v1;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

/// Most identifiers that are kept.
const MAX_IDS: usize = 10_000;

/// What was seen of one identifier on one bus.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Frames.
    pub count: u64,
    /// Time of the first and of the last frame, in nanoseconds.
    pub first_ns: u64,
    /// As [`Self::first_ns`].
    pub last_ns: u64,
    /// The longest time between two frames, in nanoseconds.
    pub longest_gap_ns: u64,
    /// Lengths of the frames in bytes.
    pub lengths: BTreeSet<usize>,
}

impl Seen {
    /// Frames per second; `None` for a single one.
    pub fn rate_hz(&self) -> Option<f64> {
        let seconds = self.last_ns.saturating_sub(self.first_ns) as f64 / 1e9;
        (self.count > 1 && seconds > 0.0).then(|| (self.count - 1) as f64 / seconds)
    }
}

/// The identifiers of a recording or a bus.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// By bus, identifier and whether it has 29 bits.
    pub seen: BTreeMap<(String, u32, bool), Seen>,
    /// Error and remote frames.
    pub others: u64,
}

impl Survey {
    /// Adds a frame.
    pub fn add(&mut self, frame: &v1::CanFrame) {
        if frame.error || frame.remote {
            self.others += 1;
            return;
        }
        let key = (frame.bus.clone(), frame.id, frame.extended);
        if self.seen.len() >= MAX_IDS && !self.seen.contains_key(&key) {
            self.others += 1;
            return;
        }
        let seen = self.seen.entry(key).or_default();
        if seen.count == 0 {
            seen.first_ns = frame.stamp_ns;
        } else {
            seen.longest_gap_ns = seen.longest_gap_ns.max(frame.stamp_ns.saturating_sub(seen.last_ns));
        }
        seen.count += 1;
        seen.last_ns = seen.last_ns.max(frame.stamp_ns);
        seen.lengths.insert(frame.data.len());
    }

    /// Whether frames of this message were seen.
    pub fn has(&self, database: &Database, message: &Message) -> bool {
        self.of(database, message).next().is_some()
    }

    /// What was seen of a message, with the bus and the identifier.
    pub fn of<'a>(
        &'a self,
        database: &'a Database,
        message: &'a Message,
    ) -> impl Iterator<Item = (&'a str, u32, &'a Seen)> {
        let is_of =
            move |id: u32, extended: bool| database.message(id, extended).is_some_and(|m| m.name() == message.name());
        let seen = self.seen.iter().filter(move |((_, id, extended), _)| is_of(*id, *extended));
        seen.map(|((bus, id, _), seen)| (bus.as_str(), *id, seen))
    }

    /// As a table: bus, identifier, frames, rate, lengths, and the message of a database.
    pub fn table(&self, database: Option<&Database>) -> String {
        let mut text = String::from("bus        identifier   frames    rate Hz  bytes   message\n");
        for ((bus, id, extended), seen) in &self.seen {
            let id_text = if *extended { format!("{id:08X}") } else { format!("{id:03X}") };
            let rate = seen.rate_hz().map_or("-".to_owned(), |rate| format!("{rate:.1}"));
            let lengths: Vec<String> = seen.lengths.iter().map(usize::to_string).collect();
            let message = match database.map(|database| database.message(*id, *extended)) {
                None => String::new(),
                Some(None) => "in no database".to_owned(),
                Some(Some(message)) if seen.lengths.iter().all(|length| message.accepts_length(*length)) => {
                    message.name().to_owned()
                }
                Some(Some(message)) => format!("{} (the database has {} bytes)", message.name(), message.length()),
            };
            let bus = if bus.is_empty() { "-" } else { bus };
            let row =
                format!("{bus:<10} {id_text:>10} {:>8} {rate:>10}  {:<6}  {message}", seen.count, lengths.join(","));
            let _ = writeln!(text, "{}", row.trim_end());
        }
        if self.others > 0 {
            let _ = writeln!(text, "{} error and remote frames", self.others);
        }
        text
    }
}
