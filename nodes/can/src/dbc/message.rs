//! A message: the frames of one identifier, decoded and encoded.

use super::{
    bits::Bits,
    signal::{Condition, Signal},
};
use auriga_runtime::suggestion::nearest;

/// Length of the longest frame (CAN FD), in bytes.
pub const MAX_LENGTH: usize = 64;

/// Lengths of CAN FD frames above eight bytes: a message of another length is padded to the next of them.
const FD_LENGTHS: [usize; 7] = [12, 16, 20, 24, 32, 48, 64];

/// Why values cannot be encoded.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EncodeError {
    /// The buffer does not have the length of the message.
    #[error("message {message} has {expected} bytes, the buffer {found}")]
    Length {
        /// Name of the message.
        message: String,
        /// Bytes of the message.
        expected: usize,
        /// Bytes of the buffer.
        found: usize,
    },
    /// The message has no signal of this name.
    #[error("message {message} has no signal {signal}{}", did_you_mean(.nearest))]
    UnknownSignal {
        /// Name of the message.
        message: String,
        /// The name that was not found.
        signal: String,
        /// The most similar name.
        nearest: Option<String>,
    },
    /// The signal's bits cannot represent the value.
    #[error("{message}.{signal} = {value}: its bits represent {low} to {high}")]
    OutOfRange {
        /// Name of the message.
        message: String,
        /// Name of the signal.
        signal: String,
        /// The physical value.
        value: f64,
        /// The smallest physical value.
        low: f64,
        /// The largest physical value.
        high: f64,
    },
    /// The multiplexer has a value for which the signal is absent.
    #[error("{message}.{signal}: the multiplexer's value does not select it")]
    NotSelected {
        /// Name of the message.
        message: String,
        /// Name of the signal.
        signal: String,
    },
}

fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|n| format!(" (nearest: {n})")).unwrap_or_default()
}

/// What is known of a message besides its signals.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct MessageInfo {
    pub name: String,
    pub comment: String,
    pub id: u32,
    pub extended: bool,
    pub length: usize,
    pub j1939: bool,
    pub cycle_ms: Option<u64>,
}

/// A compiled message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    info: MessageInfo,
    signals: Vec<Signal>,
    /// Consecutive signals with the same conditions: they are checked once.
    groups: Vec<std::ops::Range<usize>>,
}

impl Message {
    pub(super) fn new(info: MessageInfo, mut signals: Vec<Signal>) -> Message {
        // The stable sort keeps the file's order among the signals of one condition.
        let mut order: Vec<Box<[Condition]>> = Vec::new();
        for signal in &signals {
            if !order.contains(&signal.conditions) {
                order.push(signal.conditions.clone());
            }
        }
        signals.sort_by_key(|s| (s.is_multiplexed(), order.iter().position(|c| *c == s.conditions)));
        let mut groups: Vec<std::ops::Range<usize>> = Vec::new();
        for (i, signal) in signals.iter().enumerate() {
            match groups.last_mut() {
                Some(group) if signals[group.start].conditions == signal.conditions => group.end = i + 1,
                _ => groups.push(i..i + 1),
            }
        }
        Message { info, signals, groups }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.info.name
    }

    /// Its comment in the file; may be empty.
    pub fn comment(&self) -> &str {
        &self.info.comment
    }

    /// Its identifier, without flags.
    pub fn id(&self) -> u32 {
        self.info.id
    }

    /// Whether the identifier has 29 bits.
    pub fn is_extended(&self) -> bool {
        self.info.extended
    }

    /// Its length in bytes.
    pub fn length(&self) -> usize {
        self.info.length
    }

    /// Its signals: first those in every frame, then those of each value of a multiplexer.
    pub fn signals(&self) -> &[Signal] {
        &self.signals
    }

    /// The signal with this name.
    pub fn signal(&self, name: &str) -> Option<&Signal> {
        self.signals.iter().find(|s| s.name() == name)
    }

    /// Whether it is a parameter group of J1939: its frames are recognised whatever their priority and source address.
    pub fn is_j1939(&self) -> bool {
        self.info.j1939
    }

    /// How often it is sent, in milliseconds, where the file states it (`GenMsgCycleTime`).
    pub fn cycle_ms(&self) -> Option<u64> {
        self.info.cycle_ms
    }

    /// Whether a frame of this message should have `length` bytes: the message's own length, or that after CAN FD padding.
    #[inline]
    pub fn accepts_length(&self, length: usize) -> bool {
        let own = self.info.length;
        length == own || (own > 8 && FD_LENGTHS.iter().find(|&&l| l >= own) == Some(&length))
    }

    /// Calls `each` with every signal in the frame (its index in [`Self::signals`]) and its physical value. A frame of
    /// another length has the signals that lie wholly within it.
    #[inline]
    pub fn decode_each(&self, data: &[u8], mut each: impl FnMut(usize, f64)) {
        let bits = Bits::new(data);
        for group in &self.groups {
            let signals = &self.signals[group.clone()];
            if signals.first().is_some_and(|s| s.is_selected(&bits)) {
                for (i, signal) in (group.start..).zip(signals) {
                    if signal.is_within(&bits) {
                        each(i, signal.physical(&bits));
                    }
                }
            }
        }
    }

    /// Every signal in the frame, with its physical value. A frame of another length has the signals that lie wholly
    /// within it.
    pub fn decode<'a>(&'a self, data: &'a [u8]) -> impl Iterator<Item = (&'a Signal, f64)> {
        let bits = Bits::new(data);
        self.signals.iter().filter(move |s| s.is_present(&bits)).map(move |s| (s, s.physical(&bits)))
    }

    /// Writes physical values into a frame's bytes. Bits of signals that are not named are not changed.
    ///
    /// # Errors
    /// When the buffer has the wrong length, a signal is unknown or not selected, or a value is out of its range.
    pub fn encode(&self, values: &[(&str, f64)], data: &mut [u8]) -> Result<(), EncodeError> {
        let message = || self.info.name.clone();
        if data.len() != self.info.length {
            return Err(EncodeError::Length { message: message(), expected: self.info.length, found: data.len() });
        }
        for &(name, value) in values {
            let signal = self.signal(name).ok_or_else(|| EncodeError::UnknownSignal {
                message: message(),
                signal: name.to_owned(),
                nearest: nearest(name, self.signals.iter().map(Signal::name)),
            })?;
            let raw = value.is_finite().then(|| signal.raw_of(value)).flatten().ok_or_else(|| {
                let (low, high) = signal.bounds();
                EncodeError::OutOfRange { message: message(), signal: name.to_owned(), value, low, high }
            })?;
            signal.field.write(data, raw);
        }
        // At the end, since a multiplexer may come after the signals it selects.
        let bits = Bits::new(data);
        for &(name, _) in values {
            if self.signal(name).is_some_and(|s| !s.is_selected(&bits)) {
                return Err(EncodeError::NotSelected { message: message(), signal: name.to_owned() });
            }
        }
        Ok(())
    }
}
