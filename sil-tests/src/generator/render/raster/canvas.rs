//! Drawing of meshes: each is drawn into a tile of its own with 3x3 samples for a pixel and a depth for each sample,
//! then drawn over the image. Objects are drawn from far to near.

use super::mesh::{Mesh, Point, Triangle};
use crate::generator::render::{
    lens::Lens,
    light::{Light, Rgb, add, cross, dot, mix, normalised, scale},
};

const SAMPLES: usize = 3;
/// Nothing nearer to the camera than this is drawn.
const NEAR_M: f32 = 0.25;

/// How a surface answers light.
#[derive(Debug, Clone, Copy)]
pub struct Surface {
    pub albedo: Rgb,
    /// Share mirrored at straight view; rises to all at grazing view for 1, to none for 0 (matt).
    pub mirror: f32,
    pub emits: Rgb,
}

impl Surface {
    pub const fn matt(albedo: Rgb) -> Surface {
        Surface { albedo, mirror: 0.0, emits: [0.0; 3] }
    }
    pub const fn glossy(albedo: Rgb, mirror: f32) -> Surface {
        Surface { albedo, mirror, emits: [0.0; 3] }
    }
    pub const fn lamp(albedo: Rgb, emits: Rgb) -> Surface {
        Surface { albedo, mirror: 0.04, emits }
    }
}

/// A mesh somewhere in the vehicle's frame.
pub struct Placed<'a> {
    pub mesh: &'a Mesh,
    pub palette: &'a [Surface],
    pub x_m: f32,
    pub y_m: f32,
    pub heading_rad: f32,
}

/// The image in linear light, row by row.
pub struct Canvas {
    pub width: usize,
    pub height: usize,
    pub pixels: Vec<Rgb>,
}

/// Scratch memory of a tile.
#[derive(Default)]
pub struct Tile {
    samples: Vec<(f32, Rgb)>,
    corners: Vec<[Corner; 3]>,
}

/// A projected corner: place in samples, inverse depth, colour.
#[derive(Debug, Clone, Copy, Default)]
struct Corner {
    u: f32,
    v: f32,
    inverse_depth: f32,
    colour: Rgb,
}

/// Draws `placed` over the canvas.
pub fn draw(canvas: &mut Canvas, tile: &mut Tile, lens: &Lens, light: &Light, placed: &Placed<'_>) {
    tile.corners.clear();
    let (sin, cos) = placed.heading_rad.sin_cos();
    let turned = |p: Point| [p[0] * cos - p[1] * sin, p[0] * sin + p[1] * cos, p[2]];
    let eye = [0.0, 0.0, lens.height_m() as f32];
    for triangle in &placed.mesh.triangles {
        let corners = triangle.corners.map(|c| {
            let c = turned(c);
            [c[0] + placed.x_m, c[1] + placed.y_m, c[2]]
        });
        let towards: Point = std::array::from_fn(|k| eye[k] - corners[0][k]);
        let flat = turned(face_normal(triangle));
        if dot(flat, towards) <= 0.0 {
            continue;
        }
        let surface = &placed.palette[usize::from(triangle.material).min(placed.palette.len() - 1)];
        let shaded: [(Point, Rgb); 3] =
            std::array::from_fn(|i| (corners[i], shade(surface, corners[i], turned(triangle.normals[i]), eye, light)));
        clip_and_project(&shaded, lens, &mut tile.corners);
    }
    fill(canvas, tile);
}

fn face_normal(triangle: &Triangle) -> Point {
    let [a, b, c] = triangle.corners;
    cross(std::array::from_fn(|k| b[k] - a[k]), std::array::from_fn(|k| c[k] - a[k]))
}

/// Light from a surface point to the camera.
fn shade(surface: &Surface, at: Point, normal: Point, eye: Point, light: &Light) -> Rgb {
    let away: Point = std::array::from_fn(|k| at[k] - eye[k]);
    let distance = dot(away, away).sqrt();
    let view = normalised(away);
    let mut colour = add(light.diffuse(surface.albedo, normal, 1.0), surface.emits);
    if surface.mirror > 0.0 {
        let facing = (-dot(view, normal)).clamp(0.0, 1.0);
        // Schlick's approximation of Fresnel's equations.
        let share = surface.mirror + (1.0 - surface.mirror) * (1.0 - facing).powi(5) * 0.7;
        let bounced: Point = std::array::from_fn(|k| view[k] + 2.0 * facing * normal[k]);
        let seen = if bounced[2] > 0.0 {
            light.sky(bounced[2])
        } else {
            mix(light.haze(), scale([0.12, 0.13, 0.11], 0.4 + 0.6 * light.sun), (-bounced[2] * 8.0).min(1.0))
        };
        let glint = dot(bounced, light.to_sun).max(0.0).powi(90) * 5.0 * light.sun;
        colour = add(mix(colour, seen, share), scale([1.0, 0.95, 0.85], glint * share.max(0.05)));
    }
    light.with_haze(colour, distance)
}

/// Cuts a triangle at the near plane and projects what is left.
fn clip_and_project(shaded: &[(Point, Rgb); 3], lens: &Lens, out: &mut Vec<[Corner; 3]>) {
    let camera = shaded.map(|(p, colour)| (lens.to_camera(p.map(f64::from)).map(|v| v as f32), colour));
    let mut kept: [(Point, Rgb); 4] = [([0.0; 3], [0.0; 3]); 4];
    let mut count = 0;
    for i in 0..3 {
        let (a, b) = (camera[i], camera[(i + 1) % 3]);
        if a.0[0] >= NEAR_M {
            kept[count] = a;
            count += 1;
        }
        if (a.0[0] >= NEAR_M) != (b.0[0] >= NEAR_M) {
            let f = (NEAR_M - a.0[0]) / (b.0[0] - a.0[0]);
            kept[count] = (std::array::from_fn(|k| a.0[k] + (b.0[k] - a.0[k]) * f), mix(a.1, b.1, f));
            count += 1;
        }
    }
    let project = |(p, colour): (Point, Rgb)| {
        let [u, v] = lens.image(p.map(f64::from));
        let s = SAMPLES as f32;
        Corner { u: (u as f32 + 0.5) * s, v: (v as f32 + 0.5) * s, inverse_depth: 1.0 / p[0], colour }
    };
    for i in 2..count {
        out.push([project(kept[0]), project(kept[i - 1]), project(kept[i])]);
    }
}

/// Fills the projected triangles into the tile and lays it over the canvas.
fn fill(canvas: &mut Canvas, tile: &mut Tile) {
    let (mut low, mut high) = ((f32::MAX, f32::MAX), (f32::MIN, f32::MIN));
    for corner in tile.corners.iter().flatten() {
        low = (low.0.min(corner.u), low.1.min(corner.v));
        high = (high.0.max(corner.u), high.1.max(corner.v));
    }
    let bound = |v: f32, most: usize| (v / SAMPLES as f32).clamp(0.0, most as f32) as usize;
    let (x0, y0) = (bound(low.0, canvas.width), bound(low.1, canvas.height));
    let (x1, y1) = (bound(high.0 + SAMPLES as f32, canvas.width), bound(high.1 + SAMPLES as f32, canvas.height));
    if x1 <= x0 || y1 <= y0 {
        return;
    }
    let (width, height) = ((x1 - x0) * SAMPLES, (y1 - y0) * SAMPLES);
    tile.samples.clear();
    tile.samples.resize(width * height, (0.0, [0.0; 3]));
    let origin = ((x0 * SAMPLES) as f32, (y0 * SAMPLES) as f32);
    for triangle in &tile.corners {
        let corners = triangle.map(|c| Corner { u: c.u - origin.0, v: c.v - origin.1, ..c });
        scan(&mut tile.samples, width, height, &corners);
    }
    for y in y0..y1 {
        for x in x0..x1 {
            let (mut hits, mut sum) = (0u32, [0.0f32; 3]);
            for row in 0..SAMPLES {
                let start = ((y - y0) * SAMPLES + row) * width + (x - x0) * SAMPLES;
                for (depth, colour) in &tile.samples[start..start + SAMPLES] {
                    if *depth > 0.0 {
                        hits += 1;
                        sum = add(sum, *colour);
                    }
                }
            }
            if hits > 0 {
                let pixel = &mut canvas.pixels[y * canvas.width + x];
                let all = (SAMPLES * SAMPLES) as f32;
                *pixel = add(scale(*pixel, 1.0 - hits as f32 / all), scale(sum, 1.0 / all));
            }
        }
    }
}

fn scan(samples: &mut [(f32, Rgb)], width: usize, height: usize, corners: &[Corner; 3]) {
    let [a, b, c] = corners;
    let area = (b.u - a.u) * (c.v - a.v) - (b.v - a.v) * (c.u - a.u);
    if area.abs() < 1e-6 {
        return;
    }
    let least = |x: f32, y: f32, z: f32| x.min(y).min(z).max(0.0) as usize;
    let most = |x: f32, y: f32, z: f32, side: usize| (x.max(y).max(z).ceil().max(0.0) as usize).min(side);
    let (x0, x1) = (least(a.u, b.u, c.u), most(a.u, b.u, c.u, width));
    let (y0, y1) = (least(a.v, b.v, c.v), most(a.v, b.v, c.v, height));
    for y in y0..y1 {
        let v = y as f32 + 0.5;
        for x in x0..x1 {
            let u = x as f32 + 0.5;
            let wb = ((u - a.u) * (c.v - a.v) - (v - a.v) * (c.u - a.u)) / area;
            let wc = ((b.u - a.u) * (v - a.v) - (b.v - a.v) * (u - a.u)) / area;
            let wa = 1.0 - wb - wc;
            if wa < 0.0 || wb < 0.0 || wc < 0.0 {
                continue;
            }
            let depth = wa * a.inverse_depth + wb * b.inverse_depth + wc * c.inverse_depth;
            let sample = &mut samples[y * width + x];
            if depth > sample.0 {
                let colour = std::array::from_fn(|k| wa * a.colour[k] + wb * b.colour[k] + wc * c.colour[k]);
                *sample = (depth, colour);
            }
        }
    }
}

/// A soft light around a lamp: falls off over `radius_px`.
pub fn glow(canvas: &mut Canvas, at: [f64; 2], radius_px: f32, colour: Rgb) {
    let reach = radius_px * 2.5;
    let (u, v) = (at[0] as f32, at[1] as f32);
    let range = |centre: f32, side: usize| {
        let low = (centre - reach).max(0.0) as usize;
        (low, ((centre + reach).max(0.0) as usize + 1).min(side))
    };
    let ((x0, x1), (y0, y1)) = (range(u, canvas.width), range(v, canvas.height));
    for y in y0..y1 {
        for x in x0..x1 {
            let r2 = ((x as f32 - u).powi(2) + (y as f32 - v).powi(2)) / (radius_px * radius_px);
            let pixel = &mut canvas.pixels[y * canvas.width + x];
            *pixel = add(*pixel, scale(colour, (-2.0 * r2).exp()));
        }
    }
}
