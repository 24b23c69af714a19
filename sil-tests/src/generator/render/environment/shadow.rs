//! Soft shadows on the ground, cast by boxes or crowns of trees in the vehicle frame.

use crate::generator::render::light::{Light, step};

/// An object that casts a shadow.
#[derive(Debug, Clone, Copy)]
pub struct Caster {
    /// Centre and direction in the vehicle's frame.
    pub x_m: f32,
    pub y_m: f32,
    pub heading_rad: f32,
    pub half_length_m: f32,
    pub half_width_m: f32,
    /// Underside and top above the ground.
    pub bottom_m: f32,
    pub top_m: f32,
    /// Corners' radius: a crown is all corner.
    pub round_m: f32,
}

/// A rounded box on the ground that darkens.
#[derive(Debug, Clone, Copy)]
struct Patch {
    x: f32,
    y: f32,
    sin: f32,
    cos: f32,
    half: [f32; 2],
    round: f32,
    blur: f32,
    reach: f32,
    /// Share of sunlight and of skylight taken at its heart.
    sun: f32,
    sky: f32,
}

/// All patches of a frame, those near the row being drawn first.
#[derive(Debug, Default, Clone)]
pub struct Shadows {
    all: Vec<Patch>,
    near: Vec<Patch>,
}

impl Shadows {
    pub fn clear(&mut self) {
        self.all.clear();
    }

    /// Adds what a caster takes: sunlight along its shadow, and skylight under it.
    pub fn cast(&mut self, caster: &Caster, light: &Light) {
        let [sx, sy, sz] = light.to_sun;
        let mut patch = Patch {
            x: caster.x_m,
            y: caster.y_m,
            sin: caster.heading_rad.sin(),
            cos: caster.heading_rad.cos(),
            half: [caster.half_length_m, caster.half_width_m],
            round: caster.round_m,
            blur: 0.25 + 0.4 * caster.bottom_m,
            reach: 0.0,
            sun: 0.0,
            sky: 0.8 / (1.0 + caster.bottom_m * 1.2),
        };
        patch.reach = caster.half_length_m.hypot(caster.half_width_m) + patch.blur + 0.3;
        self.all.push(patch);
        if light.sun < 0.02 {
            return;
        }
        // The shadow of a box is swept from its underside's to its top's: slices of it pose for the sweep.
        let height = caster.top_m - caster.bottom_m;
        let slices = (height / 0.45).ceil().clamp(1.0, 4.0);
        for i in 0..=slices as u32 {
            let z = caster.bottom_m + height * i as f32 / slices;
            let shrink = 1.0 - 0.25 * i as f32 / slices;
            let moved = Patch {
                x: caster.x_m - sx / sz * z,
                y: caster.y_m - sy / sz * z,
                half: [caster.half_length_m * shrink, caster.half_width_m * shrink],
                blur: 0.06 + 0.03 * z,
                sun: 0.92,
                sky: 0.0,
                ..patch
            };
            self.all.push(moved);
        }
    }

    /// Keeps those that can touch a row whose ground lies between these distances ahead.
    pub fn for_row(&mut self, near_x_m: f32, far_x_m: f32) {
        self.near.clear();
        let touches = |p: &&Patch| p.x + p.reach > near_x_m && p.x - p.reach < far_x_m;
        self.near.extend(self.all.iter().filter(touches));
    }

    /// Share of sunlight and of skylight that reaches a place.
    #[inline]
    pub fn at(&self, x: f32, y: f32) -> (f32, f32) {
        let (mut sun, mut sky) = (1.0f32, 1.0f32);
        for patch in &self.near {
            let (dx, dy) = (x - patch.x, y - patch.y);
            if dx.abs() > patch.reach || dy.abs() > patch.reach {
                continue;
            }
            let along = (dx * patch.cos + dy * patch.sin).abs() - patch.half[0] + patch.round;
            let across = (dy * patch.cos - dx * patch.sin).abs() - patch.half[1] + patch.round;
            let (out_along, out_across) = (along.max(0.0), across.max(0.0));
            let corner = (out_along * out_along + out_across * out_across).sqrt();
            let outside = corner + along.max(across).min(0.0) - patch.round;
            let shade = 1.0 - step(-patch.blur, patch.blur, outside);
            sun = sun.min(1.0 - patch.sun * shade);
            sky = sky.min(1.0 - patch.sky * shade);
        }
        (sun, sky)
    }
}
