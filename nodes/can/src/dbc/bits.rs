//! A frame's bytes, ready for signals to be read from.

/// A frame's bytes, with the first eight loaded in both byte orders: all that signals of a classic frame need.
#[derive(Debug, Clone, Copy)]
pub struct Bits<'a> {
    little: u64,
    big: u64,
    data: &'a [u8],
}

impl<'a> Bits<'a> {
    /// The bits of a frame. Bytes beyond its end read as zero.
    #[inline]
    pub fn new(data: &'a [u8]) -> Bits<'a> {
        let word = match data.first_chunk::<8>() {
            Some(word) => *word,
            None => padded(data),
        };
        Bits { little: u64::from_le_bytes(word), big: u64::from_be_bytes(word), data }
    }

    /// Bytes of the frame.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.data.len()
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
