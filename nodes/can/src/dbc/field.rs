//! The bit field of a signal.

use super::bits::Bits;

/// Order of a signal's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteOrder {
    /// Intel: the start bit is the least significant one.
    Little,
    /// Motorola: the start bit is the most significant one.
    Big,
}

/// The position of 1 to 64 bits in a frame. They are read with two shifts: the 64 bits from `byte` on are shifted up
/// until the field's first bit is the highest, then down until its last bit is the lowest, with or without the sign.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Field {
    pub order: ByteOrder,
    pub bits: u8,
    byte: u8,
    up: u8,
    down: u8,
    /// Bits in a ninth byte.
    overflow: u8,
}

impl Field {
    /// From the start bit as DBC counts it. The caller has checked that the field ends within 64 bytes.
    pub fn new(order: ByteOrder, start: usize, bits: usize) -> Field {
        let first = match order {
            ByteOrder::Little => start,
            ByteOrder::Big => start / 8 * 8 + 7 - start % 8,
        };
        // Fields within the first eight bytes are read from one word: a classic frame is loaded once for all signals.
        let byte = if first + bits <= 64 { 0 } else { first / 8 };
        let skip = first - byte * 8;
        let overflow = (skip + bits).saturating_sub(64);
        let up = match order {
            ByteOrder::Big => skip,
            ByteOrder::Little if overflow > 0 => 0,
            ByteOrder::Little => 64 - skip - bits,
        };
        Field {
            order,
            bits: bits as u8,
            byte: byte as u8,
            up: up as u8,
            down: (64 - bits) as u8,
            overflow: overflow as u8,
        }
    }

    /// The last byte of the field, from the start bit as DBC counts it.
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
        if self.overflow > 0 {
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
                let low = 64 - (self.bits - self.overflow);
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

    /// Writes the lowest bits of `value` into `data`, which must contain the field.
    pub fn write(&self, data: &mut [u8], value: u64) {
        let skip = match self.order {
            ByteOrder::Big => self.up as usize,
            ByteOrder::Little if self.overflow > 0 => 64 - (self.bits - self.overflow) as usize,
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
