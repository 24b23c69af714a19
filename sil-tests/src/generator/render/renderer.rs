//! Draws the frames of a drive.

use super::{
    environment::{
        ground::{CameraPose, Ground, GroundPixel},
        shadow::{Caster, Shadows},
        sky::{Sky, SkyPixel},
    },
    lens::Lens,
    light::{self, Film, Light, Rgb, scale},
    objects::{
        car,
        scenery::{self, Appearance, Item},
    },
    raster::{
        canvas::{self, Canvas, Placed, Surface},
        mesh::Mesh,
        sprite::{Kind, Sprite},
    },
};
use crate::generator::{
    script::Script,
    world::{
        motion::{self, CAMERA_AHEAD_M, CAR_LENGTH_M, CAR_WIDTH_M, Motion},
        road::Road,
    },
};
use auriga_camera::calibration::Calibration;

/// The ground is drawn up to here; the haze hides the rest.
const HORIZON_M: f64 = 900.0;
/// Objects farther than this are left out.
const VISIBLE_M: f32 = 330.0;
/// A lead car's brake lamps come on beyond this deceleration.
const BRAKE_LAMPS_MPS2: f64 = 0.4;

/// Renders frames of one drive.
pub struct Renderer<'a> {
    script: &'a Script,
    road: &'a Road,
    motion: &'a Motion,
    lens: Lens,
    rays: Vec<PixelView>,
    /// For each row, the nearest and farthest ground ahead seen in it.
    rows: Vec<(f32, f32)>,
    ground: Ground,
    sky: Sky,
    film: Film,
    items: Vec<Item>,
    trees: Vec<(Kind, Vec<Sprite>)>,
    car: Mesh,
}

/// What a pixel shows.
enum PixelView {
    Ground(GroundPixel),
    Sky(SkyPixel),
}

/// Scratch memory of one thread.
pub struct Scratch {
    canvas: Canvas,
    tile: canvas::Tile,
    shadows: Shadows,
}

/// An object to draw.
enum Object {
    Tree { kind: Kind, picture: usize, at: (f32, f32), height_m: f32, mirrored: bool },
    Item { index: usize, at: (f32, f32), heading_rad: f32 },
    Car { index: usize, at: (f32, f32), heading_rad: f32, braking: bool },
    Person { at: (f32, f32), heading_rad: f32, stride_rad: f32 },
}

impl<'a> Renderer<'a> {
    /// Prepares what all frames share.
    pub fn new(script: &'a Script, road: &'a Road, motion: &'a Motion, calibration: &Calibration) -> Renderer<'a> {
        let lens = Lens::new(calibration);
        let (rays, rows) = views(&lens);
        let kinds = [Kind::Broadleaf, Kind::Poplar, Kind::Conifer, Kind::Bush];
        let trees = kinds
            .iter()
            .enumerate()
            .map(|(k, kind)| {
                let pictures = (0..3).map(|i| Sprite::new(*kind, script.seed, 100 + 10 * k as u64 + i)).collect();
                (*kind, pictures)
            })
            .collect();
        Renderer {
            script,
            road,
            motion,
            rays,
            rows,
            ground: Ground::new(script.seed),
            sky: Sky::new(script.seed),
            film: Film::new(),
            items: scenery::place(script, road),
            trees,
            car: car::mesh(),
            lens,
        }
    }

    /// Scratch memory for [`Renderer::frame`].
    pub fn scratch(&self) -> Scratch {
        let (width, height) = self.lens.size();
        let canvas = Canvas { width, height, pixels: vec![[0.0; 3]; width * height] };
        Scratch { canvas, tile: canvas::Tile::default(), shadows: Shadows::default() }
    }

    /// The frame at `t_s`: rows of BGR bytes.
    pub fn frame(&self, t_s: f64, scratch: &mut Scratch) -> Vec<u8> {
        let ego = self.motion.ego_at(t_s);
        let (sin, cos) = ego.heading_rad.sin_cos();
        let pose = CameraPose {
            x_m: ego.x_m + CAMERA_AHEAD_M * cos,
            y_m: ego.y_m + CAMERA_AHEAD_M * sin,
            heading_rad: ego.heading_rad,
            s_m: ego.s_m,
        };
        let (sun, brightness) = self.script.light_at(t_s);
        let light = Light::new(sun, brightness, ego.heading_rad);
        let mut objects = self.objects(&pose, t_s);
        self.cast_shadows(&objects, &light, &mut scratch.shadows);
        self.background(&pose, t_s, &light, scratch);
        // Far to near.
        objects.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (_, thing) in &objects {
            self.draw(thing, &light, scratch);
        }
        self.expose(&scratch.canvas, light.brightness)
    }

    fn background(&self, pose: &CameraPose, t_s: f64, light: &Light, scratch: &mut Scratch) {
        let Scratch { canvas, shadows, .. } = scratch;
        let turn = pose.heading_rad.sin_cos();
        let pixel_rad = 1.0 / self.lens.focal_px() as f32;
        for y in 0..canvas.height {
            shadows.for_row(self.rows[y].0, self.rows[y].1);
            let mut guess: Option<f64> = None;
            for x in 0..canvas.width {
                let i = y * canvas.width + x;
                canvas.pixels[i] = match &self.rays[i] {
                    PixelView::Sky(ray) => {
                        guess = None;
                        self.sky.shade(ray, pose.heading_rad as f32, t_s as f32, pixel_rad, light)
                    }
                    PixelView::Ground(pixel) => {
                        let mut s = guess.unwrap_or_else(|| self.first_guess(pixel, pose, turn));
                        let colour = self.ground.shade(pixel, self.road, pose, turn, light, shadows, &mut s);
                        guess = Some(s);
                        colour
                    }
                };
            }
        }
    }

    /// s of the first ground pixel of a row, found from far off.
    fn first_guess(&self, pixel: &GroundPixel, pose: &CameraPose, turn: (f64, f64)) -> f64 {
        let (x, y) = (f64::from(pixel.x_m), f64::from(pixel.y_m));
        let (wx, wy) = (pose.x_m + x * turn.1 - y * turn.0, pose.y_m + x * turn.0 + y * turn.1);
        self.road.frenet(wx, wy, pose.s_m + x, 5).0
    }

    /// All that may be seen, with its distance.
    fn objects(&self, pose: &CameraPose, t_s: f64) -> Vec<(f32, Object)> {
        let mut objects = Vec::new();
        let from = self.items.partition_point(|item| item.s_m < pose.s_m - 25.0);
        let to = self.items.partition_point(|item| item.s_m < pose.s_m + f64::from(VISIBLE_M));
        for (index, item) in self.items[from..to].iter().enumerate() {
            let (at, heading) = self.relative(pose, item.s_m, item.d_m);
            let heading_rad = heading + item.turn_rad;
            let distance = at.0.hypot(at.1);
            match item.look {
                Appearance::Tree { kind, picture, height_m, mirrored } => {
                    objects.push((distance, Object::Tree { kind, picture, at, height_m, mirrored }));
                }
                Appearance::Solid { .. } => {
                    objects.push((distance, Object::Item { index: from + index, at, heading_rad }));
                }
            }
        }
        for index in 0..self.motion.cars.len() {
            let car = self.motion.car_at(index, t_s);
            if (car.s_m - pose.s_m) < -20.0 || (car.s_m - pose.s_m) > f64::from(VISIBLE_M) {
                continue;
            }
            let (at, heading) = self.relative(pose, car.s_m, car.d_m);
            let heading_rad = heading + if car.oncoming { std::f32::consts::PI } else { 0.0 };
            let braking = car.accel_mps2 < -BRAKE_LAMPS_MPS2;
            objects.push((at.0.hypot(at.1), Object::Car { index, at, heading_rad, braking }));
        }
        for index in 0..self.script.pedestrians.len() {
            let pedestrian = motion::pedestrian_at(self.script, self.road, index, t_s);
            if (pedestrian.s_m - pose.s_m).abs() < 150.0 {
                let (at, heading_rad) = self.relative(pose, pedestrian.s_m, pedestrian.d_m);
                let stride_rad = pedestrian.stride_rad as f32;
                objects.push((at.0.hypot(at.1), Object::Person { at, heading_rad, stride_rad }));
            }
        }
        objects
    }

    /// A place on the road in the vehicle's frame, and the road's direction there.
    fn relative(&self, pose: &CameraPose, s_m: f64, d_m: f64) -> ((f32, f32), f32) {
        let (x, y) = self.road.place(s_m, d_m);
        let (dx, dy) = (x - pose.x_m, y - pose.y_m);
        let (sin, cos) = pose.heading_rad.sin_cos();
        let heading = self.road.at(s_m).heading_rad - pose.heading_rad;
        (((dx * cos + dy * sin) as f32, (dy * cos - dx * sin) as f32), heading as f32)
    }

    fn cast_shadows(&self, objects: &[(f32, Object)], light: &Light, shadows: &mut Shadows) {
        shadows.clear();
        let mut cast = |caster: Caster, at: (f32, f32), heading_rad: f32| {
            let (sin, cos) = heading_rad.sin_cos();
            let x_m = at.0 + caster.x_m * cos - caster.y_m * sin;
            let y_m = at.1 + caster.x_m * sin + caster.y_m * cos;
            shadows.cast(&Caster { x_m, y_m, heading_rad, ..caster }, light);
        };
        for (distance, thing) in objects {
            if *distance > 160.0 {
                continue;
            }
            match thing {
                Object::Tree { kind, at, height_m, .. } => cast(scenery::tree_caster(*kind, *height_m), *at, 0.0),
                Object::Item { index, at, heading_rad } => {
                    if let Appearance::Solid { casters, .. } = &self.items[*index].look {
                        casters.iter().for_each(|caster| cast(*caster, *at, *heading_rad));
                    }
                }
                Object::Car { at, heading_rad, .. } => cast(car_caster(), *at, *heading_rad),
                Object::Person { at, heading_rad, .. } => cast(person_caster(), *at, *heading_rad),
            }
        }
    }

    fn draw(&self, thing: &Object, light: &Light, scratch: &mut Scratch) {
        let Scratch { canvas, tile, .. } = scratch;
        let mut solid = |mesh: &Mesh, palette: &[Surface], at: (f32, f32), heading_rad: f32| {
            let placed = Placed { mesh, palette, x_m: at.0, y_m: at.1, heading_rad };
            canvas::draw(canvas, tile, &self.lens, light, &placed);
        };
        match thing {
            Object::Tree { kind, picture, at, height_m, mirrored } => {
                if let Some((_, pictures)) = self.trees.iter().find(|(k, _)| k == kind) {
                    let sprite = &pictures[picture % pictures.len()];
                    sprite.draw(canvas, &self.lens, light, *at, *height_m, *mirrored);
                }
            }
            Object::Item { index, at, heading_rad } => {
                if let Appearance::Solid { mesh, palette, .. } = &self.items[*index].look {
                    solid(mesh, palette, *at, *heading_rad);
                }
            }
            Object::Person { at, heading_rad, stride_rad } => {
                let (mesh, palette) = scenery::person(*stride_rad);
                solid(&mesh, &palette, *at, *heading_rad);
            }
            Object::Car { index, at, heading_rad, braking } => {
                let palette = car::palette(self.script.traffic[*index].colour, *braking, light);
                solid(&self.car, &palette, *at, *heading_rad);
                self.lamps(canvas, *at, *heading_rad, *braking, light);
            }
        }
    }

    /// The glow of a car's lamps: brake lamps of a car ahead, headlamps of an oncoming one.
    fn lamps(&self, canvas: &mut Canvas, at: (f32, f32), heading_rad: f32, braking: bool, light: &Light) {
        let away = heading_rad.cos() > 0.0;
        let dark = (1.0 - light.brightness).clamp(0.0, 1.0);
        let (lamp, colour) = match (away, braking) {
            (true, true) => (car::TAIL_LAMP, scale([1.0, 0.05, 0.03], 0.55 + 0.8 * dark)),
            (true, false) => (car::TAIL_LAMP, scale([0.7, 0.04, 0.02], 0.7 * (dark - 0.3).max(0.0))),
            (false, _) => (car::HEAD_LAMP, scale([1.0, 0.98, 0.92], 0.25 + 1.3 * dark)),
        };
        let (sin, cos) = heading_rad.sin_cos();
        for side in [1.0, -1.0] {
            let (x, y) = (lamp[0], lamp[1] * side);
            let place = [at.0 + x * cos - y * sin, at.1 + x * sin + y * cos, lamp[2]];
            if place[0] < 3.0 {
                continue;
            }
            if let Some(pixel) = self.lens.project(place.map(f64::from)) {
                let radius = (0.30 * self.lens.focal_px() as f32 / place[0]).max(1.2);
                canvas::glow(canvas, pixel, radius, scale(colour, (-place[0] / 220.0).exp()));
            }
        }
    }

    /// Exposes the picture; the lens darkens a little towards the corners.
    fn expose(&self, canvas: &Canvas, brightness: f32) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(canvas.width * canvas.height * 3);
        let (cx, cy) = (canvas.width as f32 / 2.0, canvas.height as f32 / 2.0);
        for y in 0..canvas.height {
            for x in 0..canvas.width {
                let r2 = ((x as f32 - cx) / cx).powi(2) * 0.75 + ((y as f32 - cy) / cx).powi(2) * 0.75;
                let exposure = brightness * (1.0 - 0.20 * r2);
                let pixel = saturate(canvas.pixels[y * canvas.width + x]);
                for channel in [2, 1, 0] {
                    bytes.push(self.film.expose(pixel[channel] * exposure));
                }
            }
        }
        bytes
    }
}

/// Slightly more saturation, as the processing of a camera gives.
fn saturate(pixel: Rgb) -> Rgb {
    const MORE: f32 = 1.18;
    let grey = 0.25 * pixel[0] + 0.60 * pixel[1] + 0.15 * pixel[2];
    pixel.map(|v| (grey + (v - grey) * MORE).max(0.0))
}

fn car_caster() -> Caster {
    Caster {
        x_m: 0.0,
        y_m: 0.0,
        heading_rad: 0.0,
        half_length_m: CAR_LENGTH_M as f32 / 2.0 - 0.05,
        half_width_m: CAR_WIDTH_M as f32 / 2.0,
        bottom_m: 0.12,
        top_m: 1.35,
        round_m: 0.35,
    }
}

fn person_caster() -> Caster {
    let (half_length_m, half_width_m) = (0.24, 0.18);
    let (bottom_m, top_m, round_m) = (0.0, 1.7, 0.18);
    Caster { x_m: 0.0, y_m: 0.0, heading_rad: 0.0, half_length_m, half_width_m, bottom_m, top_m, round_m }
}

/// What each pixel shows, and the range of ground ahead in each row.
fn views(lens: &Lens) -> (Vec<PixelView>, Vec<(f32, f32)>) {
    let (width, height) = lens.size();
    let on_ground = |u: f64, v: f64| -> Option<(f64, f64)> {
        let ray = lens.ray(u, v);
        let far = lens.height_m() / -ray[2];
        (ray[2] < 0.0 && far < HORIZON_M).then(|| (ray[0] * far, ray[1] * far))
    };
    let mut views = Vec::with_capacity(width * height);
    let mut rows = Vec::with_capacity(height);
    for y in 0..height {
        let mut span = (f32::MAX, f32::MIN);
        for x in 0..width {
            let (u, v) = (x as f64, y as f64);
            let Some((gx, gy)) = on_ground(u, v) else {
                views.push(PixelView::Sky(SkyPixel::new(lens.ray(u, v))));
                continue;
            };
            let beside = on_ground(u + 0.5, v).unwrap_or((gx, gy));
            let below = on_ground(u, v + 0.5).unwrap_or((gx, gy));
            let size = |a: f64, b: f64| (2.0 * a.abs().max(b.abs())).max(0.004) as f32;
            let pixel = GroundPixel {
                x_m: gx as f32,
                y_m: gy as f32,
                size_x_m: size(below.0 - gx, beside.0 - gx),
                size_y_m: size(beside.1 - gy, below.1 - gy),
                clear: light::transmittance(gx.hypot(gy) as f32),
            };
            span = (span.0.min(pixel.x_m - pixel.size_x_m), span.1.max(pixel.x_m + pixel.size_x_m));
            views.push(PixelView::Ground(pixel));
        }
        rows.push(span);
    }
    (views, rows)
}
