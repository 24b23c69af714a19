//! The formats of tensors: blocks of 32 weights with a scale, and super-blocks of 256 whose scales are quantized themselves.
//! The reference is `ggml-quants.c` of ggml.

use std::fmt;

/// A format of tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// 32-bit floating point.
    F32,
    /// 16-bit floating point.
    F16,
    /// bfloat16.
    Bf16,
    /// 4 bits, a scale.
    Q4_0,
    /// 4 bits, a scale and a minimum.
    Q4_1,
    /// 5 bits, a scale.
    Q5_0,
    /// 5 bits, a scale and a minimum.
    Q5_1,
    /// 8 bits, a scale.
    Q8_0,
    /// 4 bits, scales and minima of 6 bits.
    Q4K,
    /// 5 bits, scales and minima of 6 bits.
    Q5K,
    /// 6 bits, scales of 8 bits.
    Q6K,
}

/// Each format with its number in files, its name, the weights and the bytes of a block.
const FORMATS: [(Format, u32, &str, i64, usize); 11] = [
    (Format::F32, 0, "F32", 1, 4),
    (Format::F16, 1, "F16", 1, 2),
    (Format::Bf16, 30, "BF16", 1, 2),
    (Format::Q4_0, 2, "Q4_0", 32, 18),
    (Format::Q4_1, 3, "Q4_1", 32, 20),
    (Format::Q5_0, 6, "Q5_0", 32, 22),
    (Format::Q5_1, 7, "Q5_1", 32, 24),
    (Format::Q8_0, 8, "Q8_0", 32, 34),
    (Format::Q4K, 12, "Q4_K", 256, 144),
    (Format::Q5K, 13, "Q5_K", 256, 176),
    (Format::Q6K, 14, "Q6_K", 256, 210),
];

/// Names of the formats that are not supported.
const OTHERS: [(u32, &str); 17] = [
    (9, "Q8_1"),
    (10, "Q2_K"),
    (11, "Q3_K"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (29, "IQ1_M"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
    (24, "I8"),
];

/// Weights that share a scale in the smaller formats, and in a part of a super-block.
pub const GROUP: usize = 32;
const SUPER: usize = 256;

impl Format {
    fn row(self) -> &'static (Self, u32, &'static str, i64, usize) {
        FORMATS.iter().find(|row| row.0 == self).unwrap_or(&FORMATS[0])
    }

    /// The format with this number in files; else the name of what it is.
    pub fn of(kind: u32) -> Result<Self, String> {
        let known = FORMATS.iter().find(|row| row.1 == kind).map(|row| row.0);
        known.ok_or_else(|| {
            OTHERS
                .iter()
                .find(|(k, _)| *k == kind)
                .map_or_else(|| format!("of type {kind}"), |(_, name)| (*name).into())
        })
    }

    /// The names of all formats.
    pub fn known() -> String {
        FORMATS.map(|row| row.2).join(", ")
    }

    /// Weights of a block.
    pub fn block(self) -> i64 {
        self.row().3
    }

    /// Bytes of a block.
    pub fn block_bytes(self) -> usize {
        self.row().4
    }

    /// The type of libtorch with the same bits, for formats of 16 bits.
    pub fn half_kind(self) -> Option<tch::Kind> {
        match self {
            Self::F16 => Some(tch::Kind::Half),
            Self::Bf16 => Some(tch::Kind::BFloat16),
            _ => None,
        }
    }

    /// The weights of whole blocks.
    pub fn dequantize(self, bytes: &[u8]) -> Vec<f32> {
        let mut out = Vec::with_capacity(bytes.len() / self.block_bytes() * self.block() as usize);
        for block in bytes.chunks_exact(self.block_bytes()) {
            match self {
                Self::F32 => out.push(f32::from_le_bytes([block[0], block[1], block[2], block[3]])),
                Self::F16 => out.push(half(block, 0)),
                Self::Bf16 => out.push(f32::from_bits(u32::from(u16::from_le_bytes([block[0], block[1]])) << 16)),
                Self::Q8_0 => {
                    let scale = half(block, 0);
                    out.extend(block[2..].iter().map(|code| f32::from(*code as i8) * scale));
                }
                Self::Q5_0 | Self::Q5_1 => q5(block, self == Self::Q5_1, &mut out),
                Self::Q4_0 | Self::Q4_1 | Self::Q4K => {
                    let groups = self.groups(block);
                    let weights =
                        groups.iter().flat_map(|g| g.codes.iter().map(|code| f32::from(*code) * g.scale + g.offset));
                    out.extend(weights);
                }
                Self::Q5K => q5_k(block, &mut out),
                Self::Q6K => q6_k(block, &mut out),
            }
        }
        out
    }

    /// The groups of a block with codes of 4 bits; none for other formats.
    pub fn groups(self, block: &[u8]) -> Vec<Group> {
        match self {
            Self::Q4_0 => {
                let scale = half(block, 0);
                vec![Group { codes: nibbles(&block[2..]), scale, offset: -8.0 * scale }]
            }
            Self::Q4_1 => vec![Group { codes: nibbles(&block[4..]), scale: half(block, 0), offset: half(block, 2) }],
            Self::Q4K => {
                let parts = 0..SUPER / GROUP;
                let codes = |part: usize| {
                    let bytes = &block[16 + part / 2 * GROUP..][..GROUP];
                    let code = |i: usize| if part.is_multiple_of(2) { bytes[i] & 15 } else { bytes[i] >> 4 };
                    std::array::from_fn(code)
                };
                parts
                    .map(|part| {
                        let (scale, offset) = scale_and_offset(block, part);
                        Group { codes: codes(part), scale, offset }
                    })
                    .collect()
            }
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().2)
    }
}

/// Weights with a scale of their own: weight = code · scale + offset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Group {
    /// From 0 to 15.
    pub codes: [u8; GROUP],
    /// The step between two codes.
    pub scale: f32,
    /// The weight of code 0.
    pub offset: f32,
}

/// A number of 16 bits.
fn half(bytes: &[u8], at: usize) -> f32 {
    let bits = u32::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let (sign, exponent, fraction) = (bits >> 15, bits >> 10 & 31, bits & 1023);
    let value = match exponent {
        0 => fraction as f32 / 1024.0 * 2f32.powi(-14),
        31 if fraction == 0 => f32::INFINITY,
        31 => f32::NAN,
        _ => f32::from_bits((exponent + 112) << 23 | fraction << 13),
    };
    if sign == 1 { -value } else { value }
}

/// The low halves of the bytes, then the high ones.
fn nibbles(bytes: &[u8]) -> [u8; GROUP] {
    std::array::from_fn(|i| if i < 16 { bytes[i] & 15 } else { bytes[i - 16] >> 4 })
}

fn q5(block: &[u8], has_minimum: bool, out: &mut Vec<f32>) {
    let scale = half(block, 0);
    let (minimum, at) = if has_minimum { (half(block, 2), 4) } else { (-16.0 * scale, 2) };
    let high = u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]);
    let low = nibbles(&block[at + 4..]);
    let code = |i: usize| u32::from(low[i]) | (high >> i & 1) << 4;
    out.extend((0..GROUP).map(|i| code(i) as f32 * scale + minimum));
}

/// Scale and offset of a part of a super-block with 12 bytes of scales of 6 bits, after its two factors.
fn scale_and_offset(block: &[u8], part: usize) -> (f32, f32) {
    let packed = &block[4..16];
    let (scale, minimum) = if part < 4 {
        (packed[part] & 63, packed[part + 4] & 63)
    } else {
        (packed[part + 4] & 15 | packed[part - 4] >> 6 << 4, packed[part + 4] >> 4 | packed[part] >> 6 << 4)
    };
    (half(block, 0) * f32::from(scale), -(half(block, 2) * f32::from(minimum)))
}

fn q5_k(block: &[u8], out: &mut Vec<f32>) {
    let (high, low) = (&block[16..48], &block[48..]);
    for part in 0..SUPER / GROUP {
        let (scale, offset) = scale_and_offset(block, part);
        let bytes = &low[part / 2 * GROUP..][..GROUP];
        out.extend((0..GROUP).map(|i| {
            let code = if part.is_multiple_of(2) { bytes[i] & 15 } else { bytes[i] >> 4 };
            f32::from(code | (high[i] >> part & 1) << 4) * scale + offset
        }));
    }
}

fn q6_k(block: &[u8], out: &mut Vec<f32>) {
    let factor = half(block, 208);
    for part in 0..2 {
        let (low, high) = (&block[64 * part..][..64], &block[128 + 32 * part..][..32]);
        let scales = &block[192 + 8 * part..][..8];
        for quarter in 0..4 {
            out.extend((0..GROUP).map(|i| {
                let byte = low[i + 32 * (quarter % 2)];
                let code = if quarter < 2 { byte & 15 } else { byte >> 4 } | (high[i] >> (2 * quarter) & 3) << 4;
                let scale = f32::from(scales[2 * quarter + i / 16] as i8);
                factor * scale * (f32::from(code) - 32.0)
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_is_exact() {
        for (bits, value) in [
            (0x3c00u16, 1.0f32),
            (0xc000, -2.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x7bff, 65504.0),
            (0x3555, 0.333_251_95),
            (0x8000, -0.0),
        ] {
            assert_eq!(half(&bits.to_le_bytes(), 0).to_bits(), value.to_bits(), "{bits:#x}");
        }
        assert!(half(&0x7e00u16.to_le_bytes(), 0).is_nan() && half(&0xfc00u16.to_le_bytes(), 0) == f32::NEG_INFINITY);
    }

    #[test]
    fn formats_are_named() {
        assert_eq!(Format::of(12), Ok(Format::Q4K));
        assert_eq!(Format::of(10), Err("Q2_K".into()));
        assert_eq!(Format::of(99), Err("of type 99".into()));
        assert!(Format::known().starts_with("F32, F16"));
    }
}
