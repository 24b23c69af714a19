//! Trees and bushes: sprites of leaf clusters, generated once from the seed at several sizes and drawn over the frame.

use super::canvas::Canvas;
use crate::generator::{
    noise,
    render::{
        lens::Lens,
        light::{Light, Rgb, mix, normalised, scale},
    },
};
use rand::Rng;

const WIDTH: usize = 240;
const HEIGHT: usize = 288;
const SIZES: usize = 6;

/// One texel: albedo, coverage, and exposure to sun and sky.
#[derive(Debug, Clone, Copy, Default)]
struct Texel {
    albedo: Rgb,
    alpha: f32,
    sun: f32,
    sky: f32,
}

/// A sprite at decreasing sizes.
pub struct Sprite {
    levels: Vec<(usize, usize, Vec<Texel>)>,
    /// Width of the picture for a height of one.
    pub aspect: f32,
}

/// Kinds of plants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Broadleaf,
    Poplar,
    Conifer,
    Bush,
}

/// The crown: balls of leaves (centre, radius) in units of the height, x to the right, z up.
fn crown(kind: Kind, rng: &mut impl Rng) -> Vec<([f32; 3], f32)> {
    let ball = |rng: &mut dyn rand::RngCore, low: f32, high: f32, wide: f32, size: f32| {
        let z: f32 = rng.random_range(low..high);
        // Widest a little below the middle of the crown.
        let f = (z - low) / (high - low);
        let reach = wide * (1.0 - (2.0 * f - 0.85).powi(2) * 0.75).max(0.1).sqrt();
        let (angle, r) = (rng.random_range(0.0..std::f32::consts::TAU), rng.random_range(0.0f32..1.0).sqrt() * reach);
        ([angle.cos() * r, angle.sin() * r, z], size * rng.random_range(0.7..1.2))
    };
    match kind {
        Kind::Broadleaf => (0..34).map(|_| ball(rng, 0.30, 0.90, 0.27, 0.105)).collect(),
        Kind::Poplar => (0..34).map(|_| ball(rng, 0.12, 0.93, 0.10, 0.075)).collect(),
        Kind::Bush => (0..26).map(|_| ball(rng, 0.15, 0.70, 0.32, 0.22)).collect(),
        Kind::Conifer => (0..110)
            .map(|i| {
                let f = i as f32 / 110.0;
                let reach = 0.20 * (1.0 - f).powf(0.85) * (0.85 + 0.15 * (f * 60.0).sin());
                let r = reach * rng.random_range(0.2f32..1.0).sqrt();
                let angle: f32 = rng.random_range(0.0..std::f32::consts::TAU);
                ([angle.cos() * r, angle.sin() * r, 0.08 + 0.88 * f - 0.25 * r], 0.055 * (1.2 - f))
            })
            .collect(),
    }
}

impl Sprite {
    /// Paints a tree.
    pub fn new(kind: Kind, seed: u64, purpose: u64) -> Sprite {
        let mut rng = noise::stream(seed, purpose);
        let mut texels = vec![Texel::default(); WIDTH * HEIGHT];
        let hue: f32 = rng.random_range(-0.5..0.5);
        if kind != Kind::Bush {
            trunk(&mut texels, kind);
        }
        let mut leaves = Vec::new();
        let balls = crown(kind, &mut rng);
        for (centre, radius) in &balls {
            for _ in 0..(if kind == Kind::Conifer { 60 } else { 150 }) {
                let direction = normalised(std::array::from_fn(|_| rng.random_range(-1.0f32..1.0)));
                let r = radius * rng.random_range(0.55f32..1.08);
                let at: [f32; 3] = std::array::from_fn(|k| centre[k] + direction[k] * r);
                leaves.push((at, direction, rng.random_range(0.75f32..1.25)));
            }
        }
        // Nearest last: y points away from the viewer.
        leaves.sort_by(|a, b| b.0[1].total_cmp(&a.0[1]));
        let base = match kind {
            Kind::Conifer => [0.030, 0.075, 0.030],
            Kind::Poplar => [0.095, 0.165, 0.045],
            _ => [0.075 + 0.02 * hue, 0.145, 0.035],
        };
        for (at, direction, tint) in leaves {
            // Leaves look outwards from the crown as a whole as much as from their own ball.
            let outward = normalised([at[0] * 1.6, at[1] * 1.6, at[2] - 0.5]);
            let normal = normalised(std::array::from_fn(|k| direction[k] + outward[k]));
            let sun = (0.25 * normal[0] - 0.45 * normal[1] + 0.75 * normal[2]).max(0.0);
            let sky = 0.35 + 0.65 * (0.5 + 0.5 * normal[2]) * (0.4 + 0.6 * at[2].clamp(0.0, 1.0));
            let texel = Texel { albedo: scale(base, tint), alpha: 1.0, sun: 0.15 + 0.85 * sun, sky };
            dab(&mut texels, at[0], at[2], if kind == Kind::Conifer { 1.5 } else { 1.9 }, texel);
        }
        Sprite { levels: levels(texels), aspect: WIDTH as f32 / HEIGHT as f32 }
    }

    /// Draws the sprite over the image, its foot at (x, y) of the vehicle frame.
    pub fn draw(&self, canvas: &mut Canvas, lens: &Lens, light: &Light, at: (f32, f32), height_m: f32, mirrored: bool) {
        let (x, y) = (f64::from(at.0), f64::from(at.1));
        let Some(foot) = lens.project([x, y, 0.0]) else { return };
        let Some(top) = lens.project([x, y, f64::from(height_m)]) else { return };
        let tall = (foot[1] - top[1]) as f32;
        if tall < 1.0 {
            return;
        }
        let wide = tall * self.aspect;
        let (left, up) = (foot[0] as f32 - wide / 2.0, top[1] as f32);
        let range = |from: f32, length: f32, side: usize| {
            let low = from.clamp(0.0, side as f32) as usize;
            (low, (from + length + 1.0).clamp(0.0, side as f32) as usize)
        };
        let ((x0, x1), (y0, y1)) = (range(left, wide, canvas.width), range(up, tall, canvas.height));
        let level = ((HEIGHT as f32 / tall).log2().max(0.0) as usize).min(self.levels.len() - 1);
        let (direct, ambient) = (light.direct(), light.ambient());
        let distance = at.0.hypot(at.1);
        for py in y0..y1 {
            for px in x0..x1 {
                let u = (px as f32 + 0.5 - left) / wide;
                let u = if mirrored { 1.0 - u } else { u };
                let texel = self.sample(level, u, (py as f32 + 0.5 - up) / tall);
                if texel.alpha < 0.004 {
                    continue;
                }
                let colour: Rgb = std::array::from_fn(|i| {
                    texel.albedo[i] * (direct[i] * texel.sun + ambient[i] * texel.sky) / texel.alpha
                });
                let pixel = &mut canvas.pixels[py * canvas.width + px];
                *pixel = mix(*pixel, light.with_haze(colour, distance), texel.alpha.min(1.0));
            }
        }
    }

    /// Bilinear; albedo comes multiplied by alpha, sun and sky are means.
    fn sample(&self, level: usize, u: f32, v: f32) -> Texel {
        let (width, height, texels) = &self.levels[level];
        let (x, y) = (u * *width as f32 - 0.5, v * *height as f32 - 0.5);
        let (xf, yf) = (x.floor(), y.floor());
        let (fx, fy) = (x - xf, y - yf);
        let get = |dx: i32, dy: i32| {
            let (x, y) = (xf as i32 + dx, yf as i32 + dy);
            let inside = x >= 0 && y >= 0 && (x as usize) < *width && (y as usize) < *height;
            if inside { texels[y as usize * width + x as usize] } else { Texel::default() }
        };
        let parts = [
            (get(0, 0), (1.0 - fx) * (1.0 - fy)),
            (get(1, 0), fx * (1.0 - fy)),
            (get(0, 1), (1.0 - fx) * fy),
            (get(1, 1), fx * fy),
        ];
        blend(&parts)
    }
}

/// Weighted sum; sun and sky are weighted by how much of each texel there is.
fn blend(parts: &[(Texel, f32)]) -> Texel {
    let mut sum = Texel::default();
    for (texel, weight) in parts {
        let share = texel.alpha * weight;
        sum.alpha += share;
        sum.sun += texel.sun * share;
        sum.sky += texel.sky * share;
        sum.albedo = std::array::from_fn(|i| sum.albedo[i] + texel.albedo[i] * weight);
    }
    if sum.alpha > 0.0 {
        sum.sun /= sum.alpha;
        sum.sky /= sum.alpha;
    }
    sum
}

fn trunk(texels: &mut [Texel], kind: Kind) {
    let (thick, top) = match kind {
        Kind::Conifer => (0.016, 0.6),
        Kind::Poplar => (0.014, 0.7),
        _ => (0.022, 0.62),
    };
    for y in 0..HEIGHT {
        let z = 1.0 - (y as f32 + 0.5) / HEIGHT as f32;
        if z > top {
            continue;
        }
        let half = thick * (1.0 - 0.6 * z / top) + 0.012 * (1.0 - z * 18.0).max(0.0);
        for x in 0..WIDTH {
            let across = ((x as f32 + 0.5) / WIDTH as f32 - 0.5) * WIDTH as f32 / HEIGHT as f32;
            if across.abs() < half {
                let lit = 0.55 + 0.4 * across / half;
                texels[y * WIDTH + x] = Texel { albedo: [0.085, 0.065, 0.045], alpha: 1.0, sun: lit, sky: 0.5 };
            }
        }
    }
}

/// A round leaf of this radius in texels.
fn dab(texels: &mut [Texel], x: f32, z: f32, radius: f32, leaf: Texel) {
    let (cx, cy) = (x * HEIGHT as f32 + WIDTH as f32 / 2.0, (1.0 - z) * HEIGHT as f32);
    let (x0, x1) = ((cx - radius) as i32, (cx + radius) as i32 + 1);
    let (y0, y1) = ((cy - radius) as i32, (cy + radius) as i32 + 1);
    for y in y0..=y1 {
        for x in x0..=x1 {
            let covered = (radius - (x as f32 + 0.5 - cx).hypot(y as f32 + 0.5 - cy) + 0.5).clamp(0.0, 1.0);
            if covered > 0.0 && x >= 0 && y >= 0 && (x as usize) < WIDTH && (y as usize) < HEIGHT {
                let texel = &mut texels[y as usize * WIDTH + x as usize];
                *texel = blend(&[(*texel, 1.0 - covered), (leaf, covered)]);
            }
        }
    }
}

fn levels(texels: Vec<Texel>) -> Vec<(usize, usize, Vec<Texel>)> {
    let mut levels = vec![(WIDTH, HEIGHT, texels)];
    for i in 0..SIZES {
        let (width, height, above) = &levels[i];
        let (half_w, half_h) = (width / 2, height / 2);
        if half_w < 2 || half_h < 2 {
            break;
        }
        let mut below = Vec::with_capacity(half_w * half_h);
        for y in 0..half_h {
            for x in 0..half_w {
                let get = |dx: usize, dy: usize| (above[(2 * y + dy) * width + 2 * x + dx], 0.25);
                below.push(blend(&[get(0, 0), get(1, 0), get(0, 1), get(1, 1)]));
            }
        }
        levels.push((half_w, half_h, below));
    }
    levels
}
