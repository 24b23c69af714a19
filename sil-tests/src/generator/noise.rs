//! Random numbers from the seed: Gaussian numbers for the sensors, tileable noise for textures.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A separate generator for each purpose: a further number drawn for the scenery does not change a CAN frame.
pub fn stream(seed: u64, purpose: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(purpose);
    rng
}

/// Gaussian numbers of mean 0 and deviation 1.
pub struct Gauss(ChaCha8Rng);

impl Gauss {
    pub fn new(seed: u64, purpose: u64) -> Gauss {
        Gauss(stream(seed, purpose))
    }

    /// Box and Muller's method.
    pub fn next(&mut self) -> f64 {
        let (a, b): (f64, f64) = (self.0.random_range(f64::MIN_POSITIVE..1.0), self.0.random());
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }

    /// Uniform in 0..1.
    pub fn uniform(&mut self) -> f64 {
        self.0.random()
    }
}

const SIDE: usize = 256;

/// A square of smooth noise in -1..1 that repeats, one unit of length to a cell of the coarsest octave's grid.
pub struct Tile {
    cells: Vec<f32>,
    per_unit: f32,
}

impl Tile {
    /// Sums `octaves` of value noise; the coarsest has `cells` cells to the side, each next one twice as many at
    /// `gain` of the strength.
    pub fn new(seed: u64, purpose: u64, cells: usize, octaves: u32, gain: f32) -> Tile {
        let mut rng = stream(seed, purpose);
        let mut sum = vec![0.0f32; SIDE * SIDE];
        let (mut strength, mut total) = (1.0f32, 0.0f32);
        let mut grid = cells;
        for _ in 0..octaves {
            let grid_now = grid.min(SIDE);
            let values: Vec<f32> = (0..grid_now * grid_now).map(|_| rng.random_range(-1.0..1.0)).collect();
            let scale = grid_now as f32 / SIDE as f32;
            for y in 0..SIDE {
                for x in 0..SIDE {
                    sum[y * SIDE + x] += strength * lattice(&values, grid_now, x as f32 * scale, y as f32 * scale);
                }
            }
            total += strength * strength;
            strength *= gain;
            grid *= 2;
        }
        // Independent octaves add up as squares; so the deviation stays about that of one octave.
        let norm = total.sqrt().max(1e-6);
        sum.iter_mut().for_each(|v| *v = (*v / norm).clamp(-1.0, 1.0));
        Tile { cells: sum, per_unit: SIDE as f32 / cells as f32 }
    }

    /// At a place, in units of the coarsest cell.
    #[inline(always)]
    pub fn at(&self, x: f32, y: f32) -> f32 {
        let (x, y) = (x * self.per_unit, y * self.per_unit);
        let ((x0, u), (y0, v)) = (split(x), split(y));
        let mask = SIDE - 1;
        let (x0, y0) = ((x0 as usize) & mask, (y0 as usize) & mask);
        let (x1, y1) = ((x0 + 1) & mask, (y0 + 1) & mask);
        let cell = |x: usize, y: usize| self.cells[y * SIDE + x];
        let top = cell(x0, y0) * (1.0 - u) + cell(x1, y0) * u;
        let bottom = cell(x0, y1) * (1.0 - u) + cell(x1, y1) * u;
        top * (1.0 - v) + bottom * v
    }
}

/// Whole and fractional part, towards minus infinity; without the library call that `floor` is on old processors.
#[inline]
pub fn split(value: f32) -> (i32, f32) {
    let cut = value as i32;
    let whole = cut - i32::from(value < cut as f32);
    (whole, value - whole as f32)
}

fn lattice(values: &[f32], side: usize, x: f32, y: f32) -> f32 {
    let (x0, y0) = (x as usize % side, y as usize % side);
    let (x1, y1) = ((x0 + 1) % side, (y0 + 1) % side);
    let ease = |f: f32| f * f * (3.0 - 2.0 * f);
    let (u, v) = (ease(x.fract()), ease(y.fract()));
    let top = values[y0 * side + x0] * (1.0 - u) + values[y0 * side + x1] * u;
    let bottom = values[y1 * side + x0] * (1.0 - u) + values[y1 * side + x1] * u;
    top * (1.0 - v) + bottom * v
}
