//! The order of weights in memory: tiles of rows, each tile one stream of memory, column after column.

use crate::simd::kernel::CODES;

/// Columns that are packed together: the part of a tile that is written then stays in a core's first cache.
const BLOCK: usize = 32;

/// [rows, n] → [tiles, n, tile], with rows of the default value to the end of the last tile.
pub(crate) fn tiles<T: Copy + Default>(from: &[T], rows: usize, tile: usize) -> Vec<T> {
    let n = from.len().checked_div(rows).unwrap_or(0);
    let mut packed = vec![T::default(); rows.next_multiple_of(tile) * n];
    if n == 0 {
        return packed;
    }
    for (from, to) in from.chunks(tile * n).zip(packed.chunks_exact_mut(tile * n)) {
        for (block, to) in to.chunks_mut(BLOCK * tile).enumerate() {
            for (lane, row) in from.chunks_exact(n).enumerate() {
                let row = &row[block * BLOCK..];
                for (column, number) in to.chunks_exact_mut(tile).zip(row) {
                    column[lane] = *number;
                }
            }
        }
    }
    packed
}

/// Words of eight 4-bit codes, the first column in the topmost bits. A code c of 0 to 15 is kept as c − 8, in two's
/// complement.
pub(crate) fn words(codes: &[u8]) -> Vec<u32> {
    let word = |codes: &[u8; CODES]| codes.iter().fold(0, |word, code| word << 4 | u32::from((code ^ 8) & 15));
    codes.as_chunks::<CODES>().0.iter().map(word).collect()
}

/// The code, less 8, of a column in [tiles, columns / CODES, tile].
pub(crate) fn code(word: u32, column: usize) -> f32 {
    ((word << (4 * (column % CODES))).cast_signed() >> 28) as f32
}

/// [tiles, tokens, tile] → y, [tokens, rows].
pub(crate) fn untile(tiles: &[f32], tokens: usize, tile: usize, y: &mut [f32]) {
    let rows = y.len().checked_div(tokens).unwrap_or(0);
    if rows == 0 {
        return;
    }
    for (token, y) in y.chunks_exact_mut(rows).enumerate() {
        for (i, y) in y.chunks_mut(tile).enumerate() {
            y.copy_from_slice(&tiles[(i * tokens + token) * tile..][..y.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_hold_each_column_of_their_rows_and_end_with_zeros() {
        // Three rows of two columns, in tiles of two rows.
        assert_eq!(tiles(&[1, 2, 3, 4, 5, 6], 3, 2), [1, 3, 2, 4, 5, 0, 6, 0]);
        assert_eq!(tiles::<i8>(&[], 3, 2), []);
    }

    #[test]
    fn a_word_gives_its_codes_back() {
        let codes: Vec<u8> = (0..16).collect();
        let words = words(&codes);
        assert_eq!(words.len(), 2);
        for (column, code) in codes.iter().enumerate() {
            assert_eq!(super::code(words[column / CODES], column), f32::from(*code) - 8.0);
        }
    }

    #[test]
    fn untiling_leaves_out_the_rows_that_fill_the_last_tile() {
        // Two tiles of two rows, two tokens.
        let mut y = [0.0; 6];
        untile(&[1., 2., 3., 4., 5., 0., 6., 0.], 2, 2, &mut y);
        assert_eq!(y, [1., 2., 5., 3., 4., 6.]);
    }
}
