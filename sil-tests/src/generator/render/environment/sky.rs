//! The sky with its clouds, and the hills on the horizon.

use crate::generator::{
    noise::Tile,
    render::light::{Light, Rgb, height_share, mix, scale, step},
};

/// Height of the lowest cloud over the road, in units of the clouds' own texture.
const CLOUD_SCALE: f32 = 0.55;

/// A pixel that sees the sky.
#[derive(Debug, Clone, Copy)]
pub struct SkyPixel {
    /// Against the vehicle, positive to the left.
    azimuth_rad: f32,
    /// Sine of the elevation, and how far that is up the sky's gradient.
    rise: f32,
    up: f32,
    /// Distance of the clouds seen, in units of their texture.
    reach: f32,
}

impl SkyPixel {
    /// For a ray of length 1 in the vehicle's frame.
    pub fn new(ray: [f64; 3]) -> SkyPixel {
        let rise = ray[2].max(0.0) as f32;
        let reach = CLOUD_SCALE / (rise + 0.06) * (1.0 - rise * rise).max(0.0).sqrt();
        SkyPixel { azimuth_rad: ray[1].atan2(ray[0]) as f32, rise, up: height_share(rise), reach }
    }
}

/// Textures of the sky.
pub struct Sky {
    clouds: Tile,
    ridge: Tile,
}

impl Sky {
    pub fn new(seed: u64) -> Sky {
        Sky { clouds: Tile::new(seed, 20, 8, 5, 0.55), ridge: Tile::new(seed, 21, 16, 4, 0.5) }
    }

    /// Seen by a car that points to `heading_rad`, `t_s` into the drive. `pixel_rad` is
    /// the angle of a pixel.
    pub fn shade(&self, ray: &SkyPixel, heading_rad: f32, t_s: f32, pixel_rad: f32, light: &Light) -> Rgb {
        let azimuth = ray.azimuth_rad + heading_rad;
        let rise = ray.rise;
        let mut colour = light.sky_at(ray.up);
        if rise > 0.012 {
            colour = self.with_clouds(colour, ray, azimuth, t_s, light);
        }
        self.with_hills(colour, azimuth, rise, pixel_rad, light)
    }

    fn with_clouds(&self, sky: Rgb, ray: &SkyPixel, azimuth: f32, t_s: f32, light: &Light) -> Rgb {
        let (rise, reach) = (ray.rise, ray.reach);
        let (sin, cos) = azimuth.sin_cos();
        let (x, y) = (reach * cos + t_s * 0.006, reach * sin + t_s * 0.002);
        let shape = self.clouds.at(x, y) + 0.35 * self.clouds.at(x * 3.1 + 1.7, y * 3.1);
        // Few clouds in the sun, a closed cover without.
        let threshold = 0.16 + 0.1 * light.sun - (1.0 - light.sun) * 0.7;
        let cover = step(threshold, threshold + 0.55, shape) * step(0.012, 0.10, rise);
        let body = 0.5 + 0.5 * self.clouds.at(x * 1.6 + 0.13, y * 1.6 + 0.08);
        let bright = mix([0.50, 0.53, 0.58], [1.25, 1.24, 1.22], light.sun);
        let shaded = mix([0.30, 0.33, 0.37], [0.70, 0.75, 0.83], light.sun);
        mix(sky, mix(bright, shaded, body * cover), cover * 0.92)
    }

    fn with_hills(&self, sky: Rgb, azimuth: f32, rise: f32, pixel_rad: f32, light: &Light) -> Rgb {
        if rise > 0.12 {
            return sky;
        }
        let height = |scale: f32, row: f32| self.ridge.at(azimuth * scale, row);
        let far = 0.030 + 0.020 * height(1.3, 1.5) + 0.004 * height(9.0, 3.0);
        let near = 0.012 + 0.009 * height(2.2, 7.0) + 0.0035 * height(30.0, 9.0) + 0.0020 * height(90.0, 9.6);
        let edge = |top: f32| step(-0.6 * pixel_rad, 0.6 * pixel_rad, top - rise);
        let lit = 0.45 + 0.55 * light.sun;
        let blue = mix(scale([0.20, 0.27, 0.34], lit), light.haze(), 0.52);
        let texture = 1.0 + 0.25 * self.ridge.at(azimuth * 120.0, rise * 500.0);
        let green = mix(scale([0.10, 0.15, 0.07], lit * texture), light.haze(), 0.30);
        mix(mix(sky, blue, edge(far)), green, edge(near))
    }
}
