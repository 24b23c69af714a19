//! The ground: road, markings, verges, fields. Each ground point is shaded by its (s, d); edges are
//! averaged over the pixel's footprint, so lines stay smooth at any distance.

use super::shadow::Shadows;
use crate::generator::{
    noise::{Tile, split},
    render::light::{Light, Rgb, add, mix, scale, step},
    script::Surroundings,
    world::road::{MEDIAN_M, Road},
};

/// Widths of the markings, and the rhythm of the dashed ones.
pub const EDGE_LINE_M: f32 = 0.18;
pub const LANE_LINE_M: f32 = 0.15;
pub const DASH_M: f32 = 4.0;
pub const DASH_PERIOD_M: f32 = 10.0;
/// From the edge line's centre outwards: end of the asphalt, and of the gravel, on open roads.
const ASPHALT_M: f32 = 0.75;
const GRAVEL_M: f32 = 1.35;
/// In town: kerb stone and pavement.
pub const KERB_M: f32 = 0.45;
pub const KERB_WIDTH_M: f32 = 0.18;
pub const PAVEMENT_M: f32 = 3.0;

/// A pixel that sees the ground: where in the vehicle's frame, and how much of it.
#[derive(Debug, Clone, Copy)]
pub struct GroundPixel {
    pub x_m: f32,
    pub y_m: f32,
    /// Size of the footprint ahead and to the left.
    pub size_x_m: f32,
    pub size_y_m: f32,
    /// Share of its colour that the haze lets through.
    pub clear: f32,
}

/// Where the camera is on the ground.
#[derive(Debug, Clone, Copy)]
pub struct CameraPose {
    pub x_m: f64,
    pub y_m: f64,
    pub heading_rad: f64,
    pub s_m: f64,
}

/// Textures of the ground.
pub struct Ground {
    fine: Tile,
    coarse: Tile,
}

/// The footprint of a pixel in (s, d).
struct Spot {
    s: f32,
    d: f32,
    size_s: f32,
    size_d: f32,
}

impl Ground {
    pub fn new(seed: u64) -> Ground {
        Ground { fine: Tile::new(seed, 10, 64, 3, 0.7), coarse: Tile::new(seed, 11, 8, 5, 0.55) }
    }

    /// The colour of one pixel. `guess_s` is the s of a pixel nearby and is replaced by that of this pixel.
    #[allow(clippy::too_many_arguments)]
    pub fn shade(
        &self,
        pixel: &GroundPixel,
        road: &Road,
        pose: &CameraPose,
        turn: (f64, f64),
        light: &Light,
        shadows: &Shadows,
        guess_s: &mut f64,
    ) -> Rgb {
        let (x, y) = (f64::from(pixel.x_m), f64::from(pixel.y_m));
        let (sin, cos) = turn;
        let (wx, wy) = (pose.x_m + x * cos - y * sin, pose.y_m + x * sin + y * cos);
        let (s, d, (road_sin, road_cos)) = road.frenet_step(wx, wy, *guess_s);
        *guess_s = s;
        let bs = (road_sin * cos - road_cos * sin).abs() as f32;
        let bc = (road_cos * cos + road_sin * sin).abs() as f32;
        let spot = Spot {
            s: s as f32,
            d: d as f32,
            size_s: pixel.size_x_m * bc + pixel.size_y_m * bs,
            size_d: pixel.size_y_m * bc + pixel.size_x_m * bs,
        };
        let albedo = self.albedo(&spot, road, (wx as f32, wy as f32));
        let (lit, open) = shadows.at(pixel.x_m, pixel.y_m);
        let cloud = 1.0 - 0.25 * step(0.1, 0.6, self.coarse.at(wx as f32 / 160.0, wy as f32 / 160.0 + 3.3));
        let (direct, ambient) = (light.direct(), light.ambient());
        let rise = light.to_sun[2] * lit * cloud;
        let colour: Rgb = std::array::from_fn(|i| albedo[i] * (direct[i] * rise + ambient[i] * open));
        let colour = add(colour, headlights(albedo, pixel, light));
        mix(light.haze(), colour, pixel.clear)
    }

    fn albedo(&self, spot: &Spot, road: &Road, world: (f32, f32)) -> Rgb {
        let (right, left) = road.edges_m();
        let outside = (right as f32 - spot.d).max(spot.d - left as f32);
        let town = road.surroundings(f64::from(spot.s)) == Surroundings::Town;
        // The asphalt's edge is ragged; only near it does that matter.
        let near_edge = !town && (outside - ASPHALT_M).abs() < 0.15 + spot.size_d;
        let ragged = if near_edge { 0.12 * self.coarse.at(spot.s / 6.0, 0.5) } else { 0.0 };
        let border = if town { KERB_M } else { ASPHALT_M + ragged };
        let on_road = 1.0 - cover(outside, border, f32::INFINITY, spot.size_d);
        let mut colour = [0.0; 3];
        if on_road < 1.0 {
            colour = if town { self.town_side(spot, outside, world) } else { self.verge(spot, outside, world) };
        }
        if on_road > 0.0 {
            colour = mix(colour, self.asphalt(spot, road), on_road);
        }
        colour
    }

    /// Fine texture where enough of it is left to be seen.
    #[inline]
    fn detail(&self, x: f32, y: f32, left: f32) -> f32 {
        if left > 0.0 { self.fine.at(x, y) * left } else { 0.0 }
    }

    fn asphalt(&self, spot: &Spot, road: &Road) -> Rgb {
        let w = road.lane_width_m() as f32;
        let (s, d) = (spot.s, spot.d);
        // The tyres polish two tracks in each lane and the oil drips between them.
        let lane = if d > 1.5 * w { d - MEDIAN_M as f32 } else { d };
        let across = (split(lane / w + 0.5).1 - 0.5) * w;
        let tracks = hump((across.abs() - 0.8) / 0.5);
        let oil = hump(across / 0.6);
        let grain = self.detail(s * 7.0, d * 7.0, fade(spot, 0.16));
        let patch = self.coarse.at(s / 9.0, d / 2.2);
        let long = self.coarse.at(s / 55.0, d / 17.0 + 5.0);
        let mut grey = 0.125 * (1.0 + 0.30 * grain + 0.06 * patch + 0.14 * long) * (1.0 - 0.10 * tracks - 0.07 * oil);
        grey *= 1.0 - 0.45 * self.cracks(spot);
        let base = [grey * 1.0, grey * 1.0, grey * 1.03];
        let paint = self.markings(spot, road);
        if paint <= 0.0 {
            return base;
        }
        let white = 0.80 * (1.0 + 0.05 * self.detail(s * 3.0, d * 3.0, fade(spot, 0.3)));
        mix(base, [white, white, white * 0.97], paint)
    }

    /// Tar-filled seams: wandering cross joints and one along the lanes' border.
    fn cracks(&self, spot: &Spot) -> f32 {
        const JOINTS_M: f32 = 23.0;
        let (number, along) = split(spot.s / JOINTS_M);
        let mut share = 0.0f32;
        let s = (along - 0.5) * JOINTS_M;
        if s.abs() < 0.4 + spot.size_s {
            let wobble = 0.35 * self.coarse.at(spot.d / 2.5, number as f32 * 0.37);
            share = cover(s + wobble, -0.03, 0.03, spot.size_s);
        }
        let d = spot.d - 1.95;
        if d.abs() < 0.08 + spot.size_d {
            let wobble = 0.05 * self.coarse.at(spot.s / 4.0, 2.0);
            share = share.max(0.7 * cover(d + wobble, -0.02, 0.02, spot.size_d));
        }
        share
    }

    /// Share of the footprint that is painted.
    fn markings(&self, spot: &Spot, road: &Road) -> f32 {
        let w = road.lane_width_m();
        let (right, left) = road.edges_m();
        let line = |centre: f64, width: f32| {
            let c = centre as f32;
            cover(spot.d, c - width / 2.0, c + width / 2.0, spot.size_d)
        };
        let solid = line(right, EDGE_LINE_M)
            + line(left, EDGE_LINE_M)
            + line(1.5 * w, LANE_LINE_M)
            + line(1.5 * w + MEDIAN_M, LANE_LINE_M);
        let dashed = line(0.5 * w, LANE_LINE_M) + line(2.5 * w + MEDIAN_M, LANE_LINE_M);
        if solid + dashed <= 0.0 {
            return 0.0;
        }
        let dash = if dashed > 0.0 { dash_cover(spot.s, spot.size_s) } else { 0.0 };
        let wear = 0.93 + 0.07 * self.detail(spot.s * 1.7, spot.d * 5.0, fade(spot, 0.5));
        (solid + dashed * dash).min(1.0) * wear
    }

    fn verge(&self, spot: &Spot, outside: f32, world: (f32, f32)) -> Rgb {
        let (x, y) = world;
        let grain = self.detail(x * 3.1, y * 3.1, fade(spot, 0.35));
        let gravel = 0.24 * (1.0 + 0.45 * grain);
        let ragged = GRAVEL_M + 0.25 * self.coarse.at(spot.s / 1.3, 0.2) * fade(spot, 1.0);
        let grass_share = 1.0 - cover(outside, f32::NEG_INFINITY, ragged, spot.size_d + 0.25);
        mix([gravel, gravel * 0.93, gravel * 0.82], self.grass(spot, outside, world), grass_share)
    }

    fn grass(&self, spot: &Spot, outside: f32, world: (f32, f32)) -> Rgb {
        let (x, y) = world;
        let blades = self.detail(x * 2.0, y * 2.0, fade(spot, 0.5));
        let tufts = self.coarse.at(x / 2.6, y / 2.6) * fade(spot, 2.5);
        let patch = self.coarse.at(x / 21.0, y / 21.0 + 7.7) * fade(spot, 18.0);
        let meadow = mix([0.085, 0.150, 0.030], [0.165, 0.175, 0.050], 0.5 + 0.5 * patch);
        // Far from the road lie fields: cells of a coarse grid in their own colours.
        let (cell_x, cell_y) = (split(x / 95.0).0 as f32, split(y / 60.0).0 as f32);
        let pick = (cell_x * 12.9898 + cell_y * 78.233).sin() * 43_758.547;
        let share = step(16.0, 19.0, outside) * 0.85;
        let field = match (pick - pick.floor()) * 4.0 {
            p if p < 1.2 => [0.30, 0.25, 0.09],
            p if p < 2.4 => [0.10, 0.17, 0.04],
            p if p < 3.2 => [0.15, 0.19, 0.05],
            _ => [0.19, 0.14, 0.08],
        };
        let colour = mix(meadow, field, share);
        scale(colour, 1.0 + 0.28 * blades + 0.20 * tufts)
    }

    fn town_side(&self, spot: &Spot, outside: f32, world: (f32, f32)) -> Rgb {
        let (s, grain) = (spot.s, self.detail(world.0 * 5.0, world.1 * 5.0, fade(spot, 0.2)));
        let joint = cover(split(s).1 - 0.5, -0.012, 0.012, spot.size_s);
        let stone = 0.40 * (1.0 + 0.10 * grain) * (1.0 - 0.5 * joint);
        let slab = cover(split(s / 0.6).1 * 0.6 - 0.3, -0.012, 0.012, spot.size_s).max(cover(
            split((outside - KERB_M) / 0.6).1 * 0.6 - 0.3,
            -0.012,
            0.012,
            spot.size_d,
        ));
        let tint = 1.0 + 0.10 * self.coarse.at(s / 3.0, outside / 1.5) * fade(spot, 1.5);
        let pavement = 0.27 * tint * (1.0 + 0.12 * grain) * (1.0 - 0.35 * slab);
        let lawn = scale(self.grass(spot, 0.0, world), 0.95);
        let beyond_kerb = 1.0 - cover(outside, f32::NEG_INFINITY, KERB_M + KERB_WIDTH_M, spot.size_d);
        let beyond_pavement = 1.0 - cover(outside, f32::NEG_INFINITY, PAVEMENT_M, spot.size_d);
        let colour = mix([stone; 3], [pavement, pavement * 0.96, pavement * 0.90], beyond_kerb);
        mix(colour, lawn, beyond_pavement)
    }
}

/// The headlights of the ego vehicle in the dark: two soft cones that meet ahead.
fn headlights(albedo: Rgb, pixel: &GroundPixel, light: &Light) -> Rgb {
    let dark = (1.0 - light.brightness).clamp(0.0, 1.0) * (1.0 - light.sun);
    if dark < 0.05 || pixel.x_m > 60.0 {
        return [0.0; 3];
    }
    let ahead = pixel.x_m - 2.1;
    let width = 1.3 + 0.16 * ahead;
    let beam = (-(pixel.y_m / width).powi(2)).exp() * step(0.5, 6.0, ahead) * (-ahead / 17.0).exp();
    scale([albedo[0] * 3.2, albedo[1] * 2.9, albedo[2] * 2.3], dark * beam)
}

/// 1 at zero, smoothly 0 beyond one.
#[inline]
fn hump(x: f32) -> f32 {
    let rest = (1.0 - x * x).max(0.0);
    rest * rest
}

/// Share of a footprint of this size around `at` that lies between the borders.
#[inline]
fn cover(at: f32, from: f32, to: f32, size: f32) -> f32 {
    let half = size.max(1e-4) / 2.0;
    ((at + half).min(to) - (at - half).max(from)).max(0.0) / (2.0 * half)
}

/// Share of a footprint along s that falls onto dashes: the difference of the dashes' running total.
fn dash_cover(s: f32, size: f32) -> f32 {
    let total = |s: f32| {
        let n = split(s / DASH_PERIOD_M).0 as f32;
        n * DASH_M + (s - n * DASH_PERIOD_M).min(DASH_M)
    };
    let half = size.max(1e-3) / 2.0;
    ((total(s + half) - total(s - half)) / (2.0 * half)).clamp(0.0, 1.0)
}

/// How much of a texture of this grain is left in a footprint: none when it averages out.
#[inline]
fn fade(spot: &Spot, grain_m: f32) -> f32 {
    let size = spot.size_d.max(spot.size_s * 0.35);
    (1.0 - size / (2.0 * grain_m)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_footprint_of_a_whole_period_holds_the_dashes_share() {
        for s in [0.0, 3.3, 17.2, 999.0] {
            assert!((dash_cover(s, DASH_PERIOD_M) - DASH_M / DASH_PERIOD_M).abs() < 1e-3);
        }
        assert_eq!(dash_cover(12.0, 0.5), 1.0);
        assert_eq!(dash_cover(17.0, 0.5), 0.0);
    }
}
