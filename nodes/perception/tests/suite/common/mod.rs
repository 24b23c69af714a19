//! Synthetic images of a road through a pinhole camera. The projection is computed here independently, so that an error
//! in the node's geometry is not repeated in the tests.
#![allow(dead_code)]

use auriga_msgs::v1;
use auriga_runtime::camera::{Mounting, Pinhole};

pub const WIDTH: u32 = 640;
pub const HEIGHT: u32 = 360;
const FOCAL_PX: f64 = 580.0;

/// The road and the conditions. Lines are y = c0 + slope x + curvature/2 x^2 to the left of the camera.
#[derive(Debug, Clone)]
pub struct Road {
    pub offset_m: f64,
    pub heading_rad: f64,
    pub curvature_per_m: f64,
    pub width_m: f64,
    pub dashed: [bool; 2],
    pub yellow_left: bool,
    /// Phase of the dashes.
    pub travelled_m: f64,
    /// Light on the whole scene, and on the part under a bridge 12 to 20 m ahead.
    pub light: f64,
    pub bridge_shadow: f64,
    /// A shadow's edge along the lane.
    pub shadow_edge_y_m: Option<f64>,
    /// Light blotches, 0.14 m wide and 0.5 to 1.1 m long, strewn over the road: the share of places that have one.
    pub litter: f64,
    /// Standard deviation of the sensor's noise, in 8-bit steps.
    pub noise: f64,
    pub seed: u64,
}

impl Default for Road {
    fn default() -> Self {
        Self {
            offset_m: 0.0,
            heading_rad: 0.0,
            curvature_per_m: 0.0,
            width_m: 3.7,
            dashed: [true, false],
            yellow_left: false,
            travelled_m: 0.0,
            light: 1.0,
            bridge_shadow: 1.0,
            shadow_edge_y_m: None,
            litter: 0.0,
            noise: 2.0,
            seed: 1,
        }
    }
}

pub fn info() -> v1::CameraInfo {
    let mounting = Mounting { height_m: 1.3, pitch_rad: 0.02, yaw_rad: 0.01, bumper_ahead_m: 2.0 };
    Pinhole::new(WIDTH, HEIGHT, FOCAL_PX, mounting).info("camera_front", v1::Header::new(0, 0))
}

pub fn image(data: Vec<u8>, stamp_ns: u64, trace_id: u64) -> v1::Image {
    v1::Image {
        header: Some(v1::Header::new(stamp_ns, trace_id)),
        frame_id: "camera_front".into(),
        width: WIDTH,
        height: HEIGHT,
        step: 3 * WIDTH,
        encoding: "bgr8".into(),
        data: data.into(),
        rectified: true,
        ..Default::default()
    }
}

impl Road {
    /// Packed bgr8 rows, WIDTH x HEIGHT.
    pub fn draw(&self) -> Vec<u8> {
        let info = info();
        let mut random = Random(self.seed);
        let mut data = Vec::with_capacity((WIDTH * HEIGHT * 3) as usize);
        const SUB: u32 = 3;
        for v in 0..HEIGHT {
            for u in 0..WIDTH {
                let mut sum = [0.0; 3];
                for s in 0..SUB * SUB {
                    let at = |p: u32, i: u32| f64::from(p) + (f64::from(i) + 0.5) / f64::from(SUB) - 0.5;
                    let colour = self.colour(&info, at(u, s % SUB), at(v, s / SUB));
                    (0..3).for_each(|c| sum[c] += colour[c]);
                }
                for c in sum {
                    let noisy = c / f64::from(SUB * SUB) * self.light + self.noise * random.normal();
                    data.push(noisy.clamp(0.0, 255.0) as u8);
                }
            }
        }
        data
    }

    fn colour(&self, info: &v1::CameraInfo, u: f64, v: f64) -> [f64; 3] {
        // The ray in the camera: right, down, ahead; turned up by -pitch about "right", then left by yaw.
        let (right, down) = ((u - 320.0) / FOCAL_PX, (v - 180.0) / FOCAL_PX);
        let (sp, cp) = info.pitch_rad.sin_cos();
        let (down, ahead) = (down * cp + sp, cp - down * sp);
        if down <= 1e-3 {
            return [200.0, 160.0, 120.0];
        }
        let t = info.height_m / down;
        let (x0, y0) = (ahead * t, -right * t);
        let (s, c) = info.yaw_rad.sin_cos();
        self.road(x0 * c - y0 * s, x0 * s + y0 * c)
    }

    fn road(&self, x: f64, y: f64) -> [f64; 3] {
        let slope = -self.heading_rad.tan();
        let centre = -self.offset_m / slope.atan().cos() + slope * x + 0.5 * self.curvature_per_m * x * x;
        let across = y - centre;
        let half = 0.5 * self.width_m / slope.atan().cos();
        let mut colour = if across.abs() > half + 3.0 { [60.0, 110.0, 90.0] } else { [88.0, 86.0, 84.0] };
        for (i, line) in [half, -half].into_iter().enumerate() {
            let painted = !self.dashed[i] || (x + self.travelled_m).rem_euclid(12.0) < 3.5;
            if painted && (across - line).abs() < 0.06 {
                colour = if i == 0 && self.yellow_left { [60.0, 180.0, 215.0] } else { [215.0, 215.0, 215.0] };
            }
        }
        if self.is_litter(x, y) {
            colour = [190.0, 190.0, 190.0];
        }
        let mut light = if (12.0..20.0).contains(&x) { self.bridge_shadow } else { 1.0 };
        light *= if self.shadow_edge_y_m.is_some_and(|e| across < e) { 0.35 } else { 1.0 };
        colour.map(|c| c * light)
    }
}

impl Road {
    /// Each cell of 1.5 m along and 0.5 m across may hold one blotch.
    fn is_litter(&self, x: f64, y: f64) -> bool {
        let (along, across) = ((x / 1.5).floor(), (y / 0.5).floor());
        let cell = (along as i64 * 1009 + across as i64) as u64;
        let mut random = Random((cell ^ self.seed << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        random.next();
        if random.next() >= self.litter {
            return false;
        }
        let (cx, cy) = ((along + 0.4 + 0.2 * random.next()) * 1.5, (across + 0.2 + 0.6 * random.next()) * 0.5);
        (x - cx).abs() < 0.25 + 0.3 * random.next() && (y - cy).abs() < 0.07
    }
}

/// xorshift64*, so that a test's noise is the same everywhere.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Near enough to a normal deviate for sensor noise: the sum of four uniform ones.
    pub fn normal(&mut self) -> f64 {
        ((0..4).map(|_| self.next()).sum::<f64>() - 2.0) * 3f64.sqrt()
    }
}
