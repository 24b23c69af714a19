//! A signal: its bit field and the conversion to physical values.

use super::{
    bits::Bits,
    field::{ByteOrder, Field},
};

/// The type of the raw value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An unsigned integer.
    Unsigned,
    /// A signed integer in two's complement.
    Signed,
    /// IEEE 754 binary32 (`SIG_VALTYPE_`).
    Float32,
    /// IEEE 754 binary64 (`SIG_VALTYPE_`).
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
    /// The signal is in the frame when all of these hold.
    pub(super) conditions: Box<[Condition]>,
    /// Bytes of a frame that it and its multiplexers need.
    pub(super) end: usize,
}

impl Signal {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its unit as the file writes it; may be empty.
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// Its comment in the file; may be empty.
    pub fn comment(&self) -> &str {
        &self.comment
    }

    /// The type of its raw value.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its byte order.
    pub fn byte_order(&self) -> ByteOrder {
        self.field.order
    }

    /// Its length in bits.
    pub fn bits(&self) -> u32 {
        u32::from(self.field.bits)
    }

    /// Physical value = raw value * factor + offset.
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// Physical value = raw value * factor + offset.
    pub fn offset(&self) -> f64 {
        self.offset
    }

    /// The range stated in the file, in physical values; (0, 0) where it states none.
    pub fn range(&self) -> (f64, f64) {
        (self.minimum, self.maximum)
    }

    /// Whether it is in the frame only for some values of a multiplexer.
    pub fn is_multiplexed(&self) -> bool {
        !self.conditions.is_empty()
    }

    /// The value table: raw values in ascending order with their names.
    pub fn labels(&self) -> &[(i64, String)] {
        &self.labels
    }

    /// The name of a raw value.
    pub fn label(&self, raw: i64) -> Option<&str> {
        let found = self.labels.binary_search_by_key(&raw, |(value, _)| *value).ok()?;
        Some(&self.labels[found].1)
    }

    /// Whether the frame has it: the frame is long enough, and the multiplexers select it.
    #[inline]
    pub fn is_present(&self, bits: &Bits) -> bool {
        self.is_within(bits) && self.is_selected(bits)
    }

    /// Whether it and its multiplexers lie wholly within the frame.
    #[inline]
    pub fn is_within(&self, bits: &Bits) -> bool {
        self.end <= bits.len()
    }

    /// Whether the frame's multiplexers select it.
    #[inline]
    pub fn is_selected(&self, bits: &Bits) -> bool {
        self.conditions.iter().all(|c| c.holds(bits))
    }

    /// Its raw value, sign extended if it is signed. Does not check multiplexing.
    #[inline]
    pub fn raw(&self, bits: &Bits) -> i64 {
        if self.kind == Kind::Signed { self.field.signed(bits) } else { self.field.unsigned(bits) as i64 }
    }

    /// Its physical value. Does not check multiplexing.
    #[inline]
    pub fn physical(&self, bits: &Bits) -> f64 {
        let number = match self.kind {
            Kind::Signed => self.field.signed(bits) as f64,
            // Below 64 bits the conversion of a signed integer, which is faster, gives the same.
            Kind::Unsigned if self.field.bits < 64 => self.field.unsigned(bits) as i64 as f64,
            Kind::Unsigned => self.field.unsigned(bits) as f64,
            Kind::Float32 => f64::from(f32::from_bits(self.field.unsigned(bits) as u32)),
            Kind::Float64 => f64::from_bits(self.field.unsigned(bits)),
        };
        number * self.factor + self.offset
    }

    /// The raw value of a physical value, rounded to the nearest; `None` when the bits cannot represent it.
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

    /// The smallest and the largest physical value its bits can represent.
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

/// A multiplexer must have a raw value in one of these ranges (both ends included).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Condition {
    pub field: Field,
    pub ranges: Box<[(u64, u64)]>,
    /// Bytes of a frame up to the multiplexer's last bit.
    pub end: usize,
}

impl Condition {
    #[inline]
    pub fn holds(&self, bits: &Bits) -> bool {
        let value = self.field.unsigned(bits);
        self.ranges.iter().any(|&(low, high)| low <= value && value <= high)
    }
}
