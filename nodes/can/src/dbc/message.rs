//! A message: frames of one identifier, decoded and encoded.

use super::signal::Signal;

/// Bytes of the longest frame (CAN FD).
pub const MAX_LENGTH: usize = 64;

/// Lengths a CAN FD frame can have beyond eight bytes: a shorter message is padded up to one of them.
const FD_LENGTHS: [usize; 7] = [12, 16, 20, 24, 32, 48, 64];

/// A frame whose length is not the message's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} bytes, found {found}")]
pub struct DecodeError {
    pub expected: usize,
    pub found: usize,
}

/// Values that cannot be put into a frame.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EncodeError {
    #[error("message {message} has {expected} bytes, the buffer {found}")]
    Length { message: String, expected: usize, found: usize },
    #[error("message {message} has no signal {signal}{}", did_you_mean(.nearest))]
    UnknownSignal { message: String, signal: String, nearest: Option<String> },
    #[error("{message}.{signal} = {value}: its bits hold {low} to {high}")]
    OutOfRange { message: String, signal: String, value: f64, low: f64, high: f64 },
    #[error("{message}.{signal}: the multiplexer's value does not select it")]
    NotSelected { message: String, signal: String },
}

fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|n| format!(" (nearest: {n})")).unwrap_or_default()
}

/// A frame's bytes, its first eight loaded both ways round: all that signals of a classic frame need.
#[derive(Debug, Clone, Copy)]
pub struct Bits<'a> {
    little: u64,
    big: u64,
    data: &'a [u8],
}

impl<'a> Bits<'a> {
    /// Of a frame. What lies beyond its end reads as zero.
    #[inline]
    pub fn new(data: &'a [u8]) -> Bits<'a> {
        let word = match data.first_chunk::<8>() {
            Some(word) => *word,
            None => padded(data),
        };
        Bits { little: u64::from_le_bytes(word), big: u64::from_be_bytes(word), data }
    }

    #[inline]
    pub(super) fn little(&self, byte: u8) -> u64 {
        if byte == 0 { self.little } else { u64::from_le_bytes(self.eight(byte)) }
    }

    #[inline]
    pub(super) fn big(&self, byte: u8) -> u64 {
        if byte == 0 { self.big } else { u64::from_be_bytes(self.eight(byte)) }
    }

    #[inline]
    pub(super) fn byte(&self, byte: u8) -> u8 {
        self.data.get(usize::from(byte)).copied().unwrap_or(0)
    }

    #[inline]
    fn eight(&self, byte: u8) -> [u8; 8] {
        let rest = self.data.get(usize::from(byte)..).unwrap_or_default();
        rest.first_chunk::<8>().copied().unwrap_or_else(|| padded(rest))
    }
}

#[inline]
fn padded(data: &[u8]) -> [u8; 8] {
    let mut word = [0; 8];
    word.iter_mut().zip(data).for_each(|(to, from)| *to = *from);
    word
}

/// A compiled message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    name: String,
    comment: String,
    id: u32,
    extended: bool,
    length: usize,
    signals: Vec<Signal>,
    /// Consecutive signals with the same conditions: they are checked once.
    groups: Vec<std::ops::Range<usize>>,
}

impl Message {
    pub(super) fn new(
        name: String,
        comment: String,
        (id, extended): (u32, bool),
        length: usize,
        mut signals: Vec<Signal>,
    ) -> Message {
        // The stable sort keeps the file's order among the signals of one condition.
        let mut order: Vec<Box<[super::signal::Condition]>> = Vec::new();
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
        Message { name, comment, id, extended, length, signals, groups }
    }

    pub fn name(&self) -> &str {
        &self.name
    }
    pub fn comment(&self) -> &str {
        &self.comment
    }
    /// Its identifier, without flags.
    pub fn id(&self) -> u32 {
        self.id
    }
    /// Whether the identifier has 29 bits.
    pub fn is_extended(&self) -> bool {
        self.extended
    }
    /// Its length in bytes.
    pub fn length(&self) -> usize {
        self.length
    }
    /// Its signals: first those that are always there, then those of each value of a multiplexer.
    pub fn signals(&self) -> &[Signal] {
        &self.signals
    }
    /// The signal with this name.
    pub fn signal(&self, name: &str) -> Option<&Signal> {
        self.signals.iter().find(|s| s.name() == name)
    }

    /// Whether a frame of `length` bytes can be one: as long as the message, or as CAN FD pads it.
    #[inline]
    pub fn accepts_length(&self, length: usize) -> bool {
        length == self.length || (self.length > 8 && FD_LENGTHS.iter().find(|&&l| l >= self.length) == Some(&length))
    }

    /// The frame's bytes, its length checked.
    #[inline]
    pub fn bits<'a>(&self, data: &'a [u8]) -> Result<Bits<'a>, DecodeError> {
        if !self.accepts_length(data.len()) {
            return Err(DecodeError { expected: self.length, found: data.len() });
        }
        Ok(Bits::new(data))
    }

    /// Calls `each` with every signal the frame carries (its place in [`Self::signals`]) and its physical value.
    #[inline]
    pub fn decode_each(&self, data: &[u8], mut each: impl FnMut(usize, f64)) -> Result<(), DecodeError> {
        let bits = self.bits(data)?;
        for group in &self.groups {
            let signals = &self.signals[group.clone()];
            if signals.first().is_some_and(|s| s.is_selected(&bits)) {
                for (i, signal) in (group.start..).zip(signals) {
                    each(i, signal.physical(&bits));
                }
            }
        }
        Ok(())
    }

    /// Every signal the frame carries, with its physical value.
    pub fn decode<'a>(&'a self, data: &'a [u8]) -> Result<impl Iterator<Item = (&'a Signal, f64)>, DecodeError> {
        let bits = self.bits(data)?;
        let there = self.signals.iter().filter(move |s| s.is_selected(&bits));
        Ok(there.map(move |s| (s, s.physical(&bits))))
    }

    /// Puts physical values into a frame's bytes. Bits of signals that are not named stay as they are.
    pub fn encode(&self, values: &[(&str, f64)], data: &mut [u8]) -> Result<(), EncodeError> {
        let message = || self.name.clone();
        if data.len() != self.length {
            return Err(EncodeError::Length { message: message(), expected: self.length, found: data.len() });
        }
        for &(name, value) in values {
            let signal = self.signal(name).ok_or_else(|| EncodeError::UnknownSignal {
                message: message(),
                signal: name.to_owned(),
                nearest: crate::nearest(name, self.signals.iter().map(Signal::name)),
            })?;
            let raw = value.is_finite().then(|| signal.raw_of(value)).flatten().ok_or_else(|| {
                let (low, high) = signal.bounds();
                EncodeError::OutOfRange { message: message(), signal: name.to_owned(), value, low, high }
            })?;
            signal.field.write(data, raw);
        }
        // Only now: a multiplexer may come after what it selects.
        let bits = Bits::new(data);
        for &(name, _) in values {
            if self.signal(name).is_some_and(|s| !s.is_selected(&bits)) {
                return Err(EncodeError::NotSelected { message: message(), signal: name.to_owned() });
            }
        }
        Ok(())
    }
}
