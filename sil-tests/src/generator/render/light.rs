//! Light and air, in linear colour (red, green, blue).

pub type Rgb = [f32; 3];

/// Towards the sun, in the plane's frame: it stands behind us on the right when the drive begins.
const TO_SUN: [f32; 3] = [-0.56, -0.50, 0.66];
/// Distance at which haze replaces 63 % of a colour.
const HAZE_M: f32 = 850.0;

/// The light at an instant.
#[derive(Debug, Clone, Copy)]
pub struct Light {
    /// Direct sunlight, 0..1, and brightness of the image, as in the script.
    pub sun: f32,
    pub brightness: f32,
    /// Towards the sun in the vehicle's frame.
    pub to_sun: [f32; 3],
}

impl Light {
    pub fn new(sun: f64, brightness: f64, heading_rad: f64) -> Light {
        let (sin, cos) = (heading_rad as f32).sin_cos();
        let [x, y, z] = TO_SUN;
        Light { sun: sun as f32, brightness: brightness as f32, to_sun: [x * cos + y * sin, y * cos - x * sin, z] }
    }

    pub fn direct(&self) -> Rgb {
        scale([2.05, 1.82, 1.48], self.sun)
    }

    /// From the whole sky onto a level surface.
    pub fn ambient(&self) -> Rgb {
        mix([0.58, 0.60, 0.64], [0.46, 0.54, 0.68], self.sun)
    }

    /// The sky at this rise (sine of the elevation), without clouds.
    pub fn sky(&self, rise: f32) -> Rgb {
        self.sky_at(height_share(rise))
    }

    /// As [`Light::sky`], for the share that [`height_share`] returns.
    #[inline]
    pub fn sky_at(&self, up: f32) -> Rgb {
        let clear = mix(self.haze(), [0.075, 0.23, 0.66], up);
        let grey = mix(self.haze(), [0.42, 0.46, 0.52], up);
        mix(grey, clear, self.sun)
    }

    pub fn haze(&self) -> Rgb {
        mix([0.62, 0.64, 0.67], [0.84, 0.93, 1.02], self.sun)
    }

    /// A colour at `distance_m`, seen through haze.
    pub fn with_haze(&self, colour: Rgb, distance_m: f32) -> Rgb {
        mix(self.haze(), colour, transmittance(distance_m))
    }

    /// Light from a surface of this albedo whose normal is `normal` (vehicle's frame), `lit` of it in the sun.
    pub fn diffuse(&self, albedo: Rgb, normal: [f32; 3], lit: f32) -> Rgb {
        let sun = dot(normal, self.to_sun).max(0.0) * lit;
        // A surface that faces down sees the ground, not the sky.
        let open = 0.62 + 0.38 * normal[2];
        let (direct, ambient) = (self.direct(), self.ambient());
        std::array::from_fn(|i| albedo[i] * (direct[i] * sun + ambient[i] * open))
    }
}

/// How far a rise is from the horizon's colour to the zenith's.
pub fn height_share(rise: f32) -> f32 {
    rise.clamp(0.0, 1.0).powf(0.5)
}

/// Share of a colour that the haze lets through.
pub fn transmittance(distance_m: f32) -> f32 {
    (-distance_m / HAZE_M).exp()
}

/// Film-like response from linear light to a byte, as a table.
pub struct Film {
    table: Vec<u8>,
}

impl Film {
    const STEPS: usize = 4096;
    const WHITE: f32 = 4.0;

    pub fn new() -> Film {
        let table = (0..=Self::STEPS)
            .map(|i| {
                let light = i as f32 / Self::STEPS as f32 * Self::WHITE;
                let shown = (1.0 - (-1.30 * light).exp()).powf(1.0 / 2.2);
                // A toe and a shoulder: more contrast in the middle.
                let curved = shown * shown * (3.0 - 2.0 * shown);
                ((shown * 0.45 + curved * 0.55) * 255.0).round() as u8
            })
            .collect();
        Film { table }
    }

    #[inline]
    pub fn expose(&self, light: f32) -> u8 {
        let position = light * (Self::STEPS as f32 / Self::WHITE);
        self.table[(position.max(0.0) as usize).min(Self::STEPS)]
    }
}

#[inline]
pub fn mix(a: Rgb, b: Rgb, f: f32) -> Rgb {
    std::array::from_fn(|i| a[i] + (b[i] - a[i]) * f)
}

#[inline]
pub fn scale(a: Rgb, f: f32) -> Rgb {
    a.map(|v| v * f)
}

#[inline]
pub fn add(a: Rgb, b: Rgb) -> Rgb {
    std::array::from_fn(|i| a[i] + b[i])
}

#[inline]
pub fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub fn normalised(a: [f32; 3]) -> [f32; 3] {
    let length = dot(a, a).sqrt().max(1e-9);
    a.map(|v| v / length)
}

pub fn cross(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// 0 below `from`, 1 above `to`, smooth between.
#[inline]
pub fn step(from: f32, to: f32, value: f32) -> f32 {
    let f = ((value - from) / (to - from)).clamp(0.0, 1.0);
    f * f * (3.0 - 2.0 * f)
}
