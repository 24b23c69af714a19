//! The camera model: projects points into the image, and gives the ray of a pixel. OpenCV's model: Brown-Conrady
//! distortion of the pinhole image.

use auriga_camera::calibration::Calibration;

/// Beyond this distance from the axis (in focal lengths) the distortion's polynomial may fold back; it is evaluated there.
const MAX_RADIUS: f64 = 1.3;

/// A camera in the vehicle's frame: x ahead of the camera, y left, z up from the road below it.
#[derive(Debug, Clone)]
pub struct Lens {
    cal: Calibration,
    pitch: (f64, f64),
    yaw: (f64, f64),
}

impl Lens {
    /// From a calibration.
    pub fn new(cal: &Calibration) -> Lens {
        Lens { cal: cal.clone(), pitch: cal.pitch_rad.sin_cos(), yaw: cal.yaw_rad.sin_cos() }
    }

    /// Width and height of the image.
    pub fn size(&self) -> (usize, usize) {
        (self.cal.width as usize, self.cal.height as usize)
    }

    /// Height of the camera above the road.
    pub fn height_m(&self) -> f64 {
        self.cal.height_m
    }

    /// Focal length.
    pub fn focal_px(&self) -> f64 {
        self.cal.fy
    }

    /// From the vehicle's frame to the camera's: along its axis, left of it, above it.
    pub fn to_camera(&self, p: [f64; 3]) -> [f64; 3] {
        let (sin_yaw, cos_yaw) = self.yaw;
        let (sin_pitch, cos_pitch) = self.pitch;
        let ahead = p[0] * cos_yaw + p[1] * sin_yaw;
        let left = p[1] * cos_yaw - p[0] * sin_yaw;
        let up = p[2] - self.cal.height_m;
        [ahead * cos_pitch - up * sin_pitch, left, ahead * sin_pitch + up * cos_pitch]
    }

    /// Pixel of a point in the camera's frame, which must lie ahead.
    pub fn image(&self, c: [f64; 3]) -> [f64; 2] {
        let (x, y) = self.distort(-c[1] / c[0], -c[2] / c[0]);
        [self.cal.fx * x + self.cal.cx, self.cal.fy * y + self.cal.cy]
    }

    /// Pixel of a point in the vehicle's frame; `None` behind the camera.
    pub fn project(&self, p: [f64; 3]) -> Option<[f64; 2]> {
        let c = self.to_camera(p);
        (c[0] > 0.05).then(|| self.image(c))
    }

    /// Direction of a pixel's ray in the vehicle's frame, of length 1.
    pub fn ray(&self, u: f64, v: f64) -> [f64; 3] {
        let target = ((u - self.cal.cx) / self.cal.fx, (v - self.cal.cy) / self.cal.fy);
        let (mut x, mut y) = target;
        // Fixed-point iteration as OpenCV's undistortPoints does; a mild lens converges in a few rounds.
        for _ in 0..20 {
            let (dx, dy) = self.distort(x, y);
            x += target.0 - dx;
            y += target.1 - dy;
        }
        let (ahead, left, up) = (1.0, -x, -y);
        let (sin_pitch, cos_pitch) = self.pitch;
        let (sin_yaw, cos_yaw) = self.yaw;
        let level = ahead * cos_pitch + up * sin_pitch;
        let up = up * cos_pitch - ahead * sin_pitch;
        let (x, y) = (level * cos_yaw - left * sin_yaw, left * cos_yaw + level * sin_yaw);
        let length = (x * x + y * y + up * up).sqrt();
        [x / length, y / length, up / length]
    }

    fn distort(&self, x: f64, y: f64) -> (f64, f64) {
        let c = &self.cal;
        let squared = x * x + y * y;
        let limit = if squared > MAX_RADIUS * MAX_RADIUS { MAX_RADIUS / squared.sqrt() } else { 1.0 };
        let (hx, hy) = (x * limit, y * limit);
        let r2 = hx * hx + hy * hy;
        let radial = 1.0 + r2 * (c.k1 + r2 * (c.k2 + r2 * c.k3));
        let tx = 2.0 * c.p1 * hx * hy + c.p2 * (r2 + 2.0 * hx * hx);
        let ty = c.p1 * (r2 + 2.0 * hy * hy) + 2.0 * c.p2 * hx * hy;
        (x * radial + tx, y * radial + ty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opencv::{calib3d, core, prelude::*};

    fn demo() -> Calibration {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../calibration/auriga-demo/camera.toml");
        Calibration::load(path).expect("the shipped calibration")
    }

    #[test]
    fn a_pixels_ray_projects_back_onto_the_pixel() {
        let lens = Lens::new(&Calibration { yaw_rad: 0.02, ..demo() });
        for (u, v) in [(0.0, 0.0), (639.0, 0.0), (0.0, 359.0), (320.0, 180.0), (500.5, 300.25)] {
            let ray = lens.ray(u, v);
            let point = [ray[0] * 10.0, ray[1] * 10.0, ray[2] * 10.0 + lens.height_m()];
            let [u2, v2] = lens.project(point).expect("in front");
            assert!((u - u2).abs() < 1e-6 && (v - v2).abs() < 1e-6, "({u}, {v}) became ({u2}, {v2})");
        }
    }

    #[test]
    fn points_fall_where_opencv_projects_them() {
        let cal = Calibration { pitch_rad: 0.0, ..demo() };
        let lens = Lens::new(&cal);
        let k = cal.matrix();
        let k = Mat::from_slice_2d(&[&k[0..3], &k[3..6], &k[6..9]]).expect("matrix");
        let d = core::Vector::<f64>::from_slice(&cal.distortion());
        for [ahead, left, up] in [[10.0, 3.0, 0.0], [5.0, -2.0, 1.0], [40.0, 1.75, 0.0]] {
            // OpenCV's camera looks along z, with x right and y down.
            let points =
                core::Vector::<core::Point3d>::from_slice(&[core::Point3d::new(-left, cal.height_m - up, ahead)]);
            let zero = core::Vector::<f64>::from_slice(&[0.0; 3]);
            let mut found = core::Vector::<core::Point2d>::new();
            let mut jacobian = Mat::default();
            calib3d::project_points(&points, &zero, &zero, &k, &d, &mut found, &mut jacobian, 0.0).expect("opencv");
            let expected = found.get(0).expect("one point");
            let [u, v] = lens.project([ahead, left, up]).expect("in front");
            assert!((u - expected.x).abs() < 1e-6 && (v - expected.y).abs() < 1e-6, "({u}, {v}) for {expected:?}");
        }
    }
}
