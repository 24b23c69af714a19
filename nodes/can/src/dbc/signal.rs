//! A signal: where its bits lie and what they mean.

use super::message::Bits;

/// Order of a signal's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteOrder {
    /// Intel: the start bit is the least significant one.
    Little,
    /// Motorola: the start bit is the most significant one.
    Big,
}

/// What the bits stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Unsigned,
    Signed,
    /// IEEE 754, of 32 or 64 bits (`SIG_VALTYPE_`).
    Float32,
    Float64,
}

/// A compiled signal.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    pub(super) name: String,
    pub(super) unit: String,
    pub(super) comment: String,
    pub(super) field: Field,
    pub(super) kind: Kind,
    pub(super) factor: f64,
    pub(super) offset: f64,
    pub(super) minimum: f64,
    pub(super) maximum: f64,
    /// By raw value, ascending.
    pub(super) labels: Vec<(i64, String)>,
    /// Holds when the multiplexers above it select it.
    pub(super) conditions: Box<[Condition]>,
}

impl Signal {
    pub fn name(&self) -> &str {
        &self.name
    }
    pub fn unit(&self) -> &str {
        &self.unit
    }
    pub fn comment(&self) -> &str {
        &self.comment
    }
    pub fn kind(&self) -> Kind {
        self.kind
    }
    pub fn byte_order(&self) -> ByteOrder {
        self.field.order
    }
    /// Its length in bits.
    pub fn bits(&self) -> u32 {
        u32::from(self.field.bits)
    }
    pub fn factor(&self) -> f64 {
        self.factor
    }
    pub fn offset(&self) -> f64 {
        self.offset
    }
    /// The range the file states, in physical values; (0, 0) where it states none.
    pub fn range(&self) -> (f64, f64) {
        (self.minimum, self.maximum)
    }
    /// Whether it is only there for some values of a multiplexer.
    pub fn is_multiplexed(&self) -> bool {
        !self.conditions.is_empty()
    }
    /// The value table: raw values, ascending, with their names.
    pub fn labels(&self) -> &[(i64, String)] {
        &self.labels
    }
    /// The name of a raw value.
    pub fn label(&self, raw: i64) -> Option<&str> {
        let found = self.labels.binary_search_by_key(&raw, |(value, _)| *value).ok()?;
        Some(&self.labels[found].1)
    }

    /// Whether the frame's multiplexers select it.
    #[inline]
    pub fn is_selected(&self, bits: &Bits) -> bool {
        self.conditions.iter().all(|c| c.holds(bits))
    }

    /// Its bits, sign extended if it is signed. Says nothing of multiplexing.
    #[inline]
    pub fn raw(&self, bits: &Bits) -> i64 {
        if self.kind == Kind::Signed { self.field.signed(bits) } else { self.field.unsigned(bits) as i64 }
    }

    /// Its physical value. Says nothing of multiplexing.
    #[inline]
    pub fn physical(&self, bits: &Bits) -> f64 {
        let number = match self.kind {
            Kind::Signed => self.field.signed(bits) as f64,
            // Below 64 bits the faster conversion, of signed numbers, gives the same.
            Kind::Unsigned if self.field.bits < 64 => self.field.unsigned(bits) as i64 as f64,
            Kind::Unsigned => self.field.unsigned(bits) as f64,
            Kind::Float32 => f64::from(f32::from_bits(self.field.unsigned(bits) as u32)),
            Kind::Float64 => f64::from_bits(self.field.unsigned(bits)),
        };
        number * self.factor + self.offset
    }

    /// Raw bits for a physical value, rounded to the nearest; `None` when they have no room for it.
    pub(super) fn raw_of(&self, physical: f64) -> Option<u64> {
        let number = (physical - self.offset) / self.factor;
        let bits = u32::from(self.field.bits);
        match self.kind {
            Kind::Float32 => Some(u64::from((number as f32).to_bits())),
            Kind::Float64 => Some(number.to_bits()),
            Kind::Unsigned => {
                let number = number.round();
                (number >= 0.0 && number < 2f64.powi(bits as i32)).then_some(number as u64)
            }
            Kind::Signed => {
                let (number, half) = (number.round(), 2f64.powi(bits as i32 - 1));
                (number >= -half && number < half).then_some(number as i64 as u64)
            }
        }
    }

    /// The smallest and the largest physical value its bits have room for.
    pub fn bounds(&self) -> (f64, f64) {
        let size = 2f64.powi(i32::from(self.field.bits));
        let (low, high) = match self.kind {
            Kind::Unsigned => (0.0, size - 1.0),
            Kind::Signed => (-size / 2.0, size / 2.0 - 1.0),
            Kind::Float32 => (f64::from(f32::MIN), f64::from(f32::MAX)),
            Kind::Float64 => (f64::MIN, f64::MAX),
        };
        let (a, b) = (low * self.factor + self.offset, high * self.factor + self.offset);
        (a.min(b), a.max(b))
    }
}

/// A multiplexer must show one of these raw values.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Condition {
    pub field: Field,
    pub ranges: Box<[(u64, u64)]>,
}

impl Condition {
    #[inline]
    pub fn holds(&self, bits: &Bits) -> bool {
        let value = self.field.unsigned(bits);
        self.ranges.iter().any(|&(low, high)| low <= value && value <= high)
    }
}

/// Where 1 to 64 bits lie. Read by two shifts: the 64 bits that begin at `byte` are moved up until the field's first
/// bit is the top one, then down until its last bit is the bottom one, with or without the sign.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Field {
    pub order: ByteOrder,
    pub bits: u8,
    byte: u8,
    up: u8,
    down: u8,
    /// Bits that lie in a ninth byte.
    over: u8,
}

impl Field {
    /// From the start bit as DBC counts it. The caller has checked that it lies within 64 bytes.
    pub fn new(order: ByteOrder, start: usize, bits: usize) -> Field {
        let first = match order {
            ByteOrder::Little => start,
            ByteOrder::Big => start / 8 * 8 + 7 - start % 8,
        };
        // What fits in the first eight bytes is read from there: a classic frame is loaded once for all its signals.
        let byte = if first + bits <= 64 { 0 } else { first / 8 };
        let skip = first - byte * 8;
        let over = (skip + bits).saturating_sub(64);
        let up = match order {
            ByteOrder::Big => skip,
            ByteOrder::Little if over > 0 => 0,
            ByteOrder::Little => 64 - skip - bits,
        };
        Field { order, bits: bits as u8, byte: byte as u8, up: up as u8, down: (64 - bits) as u8, over: over as u8 }
    }

    /// The last byte it touches, from the start bit as DBC counts it.
    pub fn last_byte(order: ByteOrder, start: usize, bits: usize) -> usize {
        let first = match order {
            ByteOrder::Little => start,
            ByteOrder::Big => start / 8 * 8 + 7 - start % 8,
        };
        (first + bits - 1) / 8
    }

    /// The field's bits at the top of a word.
    #[inline]
    fn top(&self, bits: &Bits) -> u64 {
        if self.over > 0 {
            return self.top_of_nine(bits);
        }
        let word = match self.order {
            ByteOrder::Little => bits.little(self.byte),
            ByteOrder::Big => bits.big(self.byte),
        };
        word << self.up
    }

    #[cold]
    fn top_of_nine(&self, bits: &Bits) -> u64 {
        let ninth = u64::from(bits.byte(self.byte + 8));
        match self.order {
            ByteOrder::Big => (bits.big(self.byte) << self.up) | (ninth >> (8 - self.up)),
            ByteOrder::Little => {
                let low = 64 - (self.bits - self.over);
                ((bits.little(self.byte) >> low) | (ninth << (64 - low))) << self.down
            }
        }
    }

    #[inline]
    pub fn unsigned(&self, bits: &Bits) -> u64 {
        self.top(bits) >> self.down
    }

    #[inline]
    pub fn signed(&self, bits: &Bits) -> i64 {
        (self.top(bits) as i64) >> self.down
    }

    /// Puts the lowest bits of `value` into `data`, which is long enough.
    pub fn write(&self, data: &mut [u8], value: u64) {
        let skip = match self.order {
            ByteOrder::Big => self.up as usize,
            ByteOrder::Little if self.over > 0 => 64 - (self.bits - self.over) as usize,
            ByteOrder::Little => 64 - self.up as usize - self.bits as usize,
        };
        let first = self.byte as usize * 8 + skip;
        for i in 0..self.bits as usize {
            // Bit i of the value, counted from its least significant one.
            let (byte, bit) = match self.order {
                ByteOrder::Little => ((first + i) / 8, (first + i) % 8),
                ByteOrder::Big => {
                    let place = first + self.bits as usize - 1 - i;
                    (place / 8, 7 - place % 8)
                }
            };
            data[byte] = data[byte] & !(1 << bit) | (((value >> i & 1) as u8) << bit);
        }
    }
}
