//! A picture's brightness in blocks, and what it alone shows.

/// Blocks across: those of a picture of 640 pixels are 4 pixels wide. Means of that many pixels have little noise.
const BLOCKS_ACROSS: usize = 160;

/// No more than this is left of any scene when no light reaches the sensor; a road in headlights has bright spots.
const BLACK: u8 = 20;
/// Blocks that may be brighter in a black picture: broken pixels, an inserted clock.
const BLACK_OUTLIERS: f64 = 0.002;
/// Two blocks differ by an edge from here on; what lies out of focus right before the lens has none.
const EDGE: u8 = 10;
/// Fewer blocks than this have an edge in a picture of nothing. Roads at night and in rain have several times as many.
const COVERED_EDGES: f64 = 0.003;
/// Of two pictures of the same, encoded anew, a block differs by less.
const CHANGE: u8 = 6;
/// Fewer blocks than this change in a picture that stands still.
const FROZEN_CHANGES: f64 = 0.001;

/// Mean brightness of square blocks, 0 to 255, row by row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Brightness {
    blocks: Vec<u8>,
    across: usize,
}

impl Brightness {
    /// Of packed bgr8 rows of `width` pixels.
    pub fn of(pixels: &[u8], width: usize) -> Self {
        let side = (width / BLOCKS_ACROSS).max(1);
        let across = width / side;
        let mut blocks = Vec::with_capacity(pixels.len() / (3 * side * side));
        let mut sums = vec![0u32; across];
        for rows in pixels.chunks_exact((3 * width * side).max(1)) {
            sums.fill(0);
            for row in rows.chunks_exact(3 * width) {
                for (sum, block) in sums.iter_mut().zip(row.chunks_exact(3 * side)) {
                    *sum += block.chunks_exact(3).map(luma).sum::<u32>();
                }
            }
            let count = (4 * side * side) as u32;
            blocks.extend(sums.iter().map(|sum| (sum / count) as u8));
        }
        Brightness { blocks, across }
    }

    /// Whether no light reached the sensor.
    pub fn is_black(&self) -> bool {
        let bright = self.blocks.iter().filter(|&&b| b > BLACK).count();
        !self.blocks.is_empty() && self.share(bright) <= BLACK_OUTLIERS
    }

    /// Whether there is no edge in it.
    pub fn is_even(&self) -> bool {
        let edges = self.blocks.chunks_exact(self.across.max(1)).map(|row| {
            // Two blocks on: a soft edge of a real scene is as wide.
            row.iter().zip(row.iter().skip(2)).filter(|(a, b)| a.abs_diff(**b) > EDGE).count()
        });
        let below = self.blocks.iter().zip(self.blocks.iter().skip(2 * self.across));
        let edges = edges.sum::<usize>() + below.filter(|(a, b)| a.abs_diff(**b) > EDGE).count();
        !self.blocks.is_empty() && self.share(edges) <= COVERED_EDGES
    }

    /// Whether it shows the same as an earlier picture.
    pub fn is_same(&self, earlier: &Brightness) -> bool {
        let changes = self.blocks.iter().zip(&earlier.blocks).filter(|(a, b)| a.abs_diff(**b) > CHANGE).count();
        self.blocks.len() == earlier.blocks.len() && self.share(changes) <= FROZEN_CHANGES
    }

    fn share(&self, count: usize) -> f64 {
        count as f64 / self.blocks.len() as f64
    }
}

/// Four times the brightness of a pixel: blue and red once, green twice.
pub(super) fn luma(bgr: &[u8]) -> u32 {
    match bgr {
        [b, g, r] => u32::from(*b) + 2 * u32::from(*g) + u32::from(*r),
        _ => 0,
    }
}
