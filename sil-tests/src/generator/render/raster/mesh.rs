//! Meshes: triangles with normals and materials, and a builder of simple shapes.

use crate::generator::render::light::{cross, dot, normalised};

pub type Point = [f32; 3];

/// Index into an object's palette.
pub type Material = u8;

#[derive(Debug, Clone)]
pub struct Triangle {
    pub corners: [Point; 3],
    pub normals: [Point; 3],
    pub material: Material,
}

/// An object in its own frame: x ahead, y left, z up from the ground.
#[derive(Debug, Clone, Default)]
pub struct Mesh {
    pub triangles: Vec<Triangle>,
}

impl Mesh {
    fn triangle(&mut self, corners: [Point; 3], material: Material) {
        let edge = |i: usize, j: usize| std::array::from_fn(|k| corners[j][k] - corners[i][k]);
        let normal = cross(edge(0, 1), edge(0, 2));
        if dot(normal, normal) < 1e-14 {
            return;
        }
        self.triangles.push(Triangle { corners, normals: [normalised(normal); 3], material });
    }

    /// Four corners, counterclockwise as seen from outside.
    pub fn quad(&mut self, c: [Point; 4], material: Material) {
        self.triangle([c[0], c[1], c[2]], material);
        self.triangle([c[0], c[2], c[3]], material);
    }

    /// A box between two corners.
    pub fn block(&mut self, from: Point, to: Point, material: Material) {
        let ([x0, y0, z0], [x1, y1, z1]) = (from, to);
        let c = |x: f32, y: f32, z: f32| [x, y, z];
        let faces = [
            [c(x0, y1, z0), c(x0, y0, z0), c(x0, y0, z1), c(x0, y1, z1)],
            [c(x1, y0, z0), c(x1, y1, z0), c(x1, y1, z1), c(x1, y0, z1)],
            [c(x0, y0, z0), c(x1, y0, z0), c(x1, y0, z1), c(x0, y0, z1)],
            [c(x1, y1, z0), c(x0, y1, z0), c(x0, y1, z1), c(x1, y1, z1)],
            [c(x0, y0, z1), c(x1, y0, z1), c(x1, y1, z1), c(x0, y1, z1)],
            [c(x0, y1, z0), c(x1, y1, z0), c(x1, y0, z0), c(x0, y0, z0)],
        ];
        faces.into_iter().for_each(|face| self.quad(face, material));
    }

    /// A hull over cross-sections along x. Each section is (x, points (y, z) from the middle of the underside over the
    /// left side up to the middle of the top); the right side mirrors it. All have the same number of points.
    pub fn loft(&mut self, sections: &[(f32, Vec<(f32, f32)>)], material: Material) {
        for pair in sections.windows(2) {
            let ((x0, a), (x1, b)) = (&pair[0], &pair[1]);
            for i in 0..a.len().min(b.len()) - 1 {
                let at = |x: f32, p: (f32, f32), sign: f32| [x, p.0 * sign, p.1];
                let left = [at(*x0, a[i], 1.0), at(*x0, a[i + 1], 1.0), at(*x1, b[i + 1], 1.0), at(*x1, b[i], 1.0)];
                let right =
                    [at(*x1, b[i], -1.0), at(*x1, b[i + 1], -1.0), at(*x0, a[i + 1], -1.0), at(*x0, a[i], -1.0)];
                self.quad(left, material);
                self.quad(right, material);
            }
        }
        if let (Some(first), Some(last)) = (sections.first(), sections.last()) {
            self.cap(first.0, &first.1, -1.0, material);
            self.cap(last.0, &last.1, 1.0, material);
        }
    }

    /// Closes a loft's end that faces along x (`side` 1) or against it (-1).
    fn cap(&mut self, x: f32, ring: &[(f32, f32)], side: f32, material: Material) {
        for pair in ring.windows(2) {
            let (low, high) = (pair[0], pair[1]);
            let mut face = [[x, -low.0, low.1], [x, low.0, low.1], [x, high.0, high.1], [x, -high.0, high.1]];
            if side < 0.0 {
                face.reverse();
            }
            self.quad(face, material);
        }
    }

    /// A flat disc around `centre` that faces along `axis`.
    pub fn disc(&mut self, centre: Point, axis: Point, radius: f32, sides: u32, material: Material) {
        let ring = ring(centre, axis, radius, sides);
        for i in 0..ring.len() {
            self.triangle([centre, ring[i], ring[(i + 1) % ring.len()]], material);
        }
    }

    /// A round limb from `a` to `b` with their radii, closed at both ends.
    pub fn limb(&mut self, a: Point, b: Point, radii: (f32, f32), sides: u32, material: Material) {
        let axis = normalised(std::array::from_fn(|k| b[k] - a[k]));
        let (low, high) = (ring(a, axis, radii.0, sides), ring(b, axis, radii.1, sides));
        for i in 0..low.len() {
            let j = (i + 1) % low.len();
            self.quad([low[i], low[j], high[j], high[i]], material);
        }
        self.disc(b, axis, radii.1, sides, material);
        self.disc(a, axis.map(|v| -v), radii.0, sides, material);
    }

    /// A ball, stretched along z by `stretch`.
    pub fn ball(&mut self, centre: Point, radius: f32, stretch: f32, material: Material) {
        const AROUND: usize = 10;
        const RINGS: usize = 6;
        let at = |i: usize, j: usize| {
            let (lat, lon) = (
                std::f32::consts::PI * (i as f32 / RINGS as f32 - 0.5),
                std::f32::consts::TAU * j as f32 / AROUND as f32,
            );
            let level = radius * lat.cos();
            [centre[0] + level * lon.cos(), centre[1] + level * lon.sin(), centre[2] + radius * stretch * lat.sin()]
        };
        for i in 0..RINGS {
            for j in 0..AROUND {
                self.quad([at(i, j), at(i, j + 1), at(i + 1, j + 1), at(i + 1, j)], material);
            }
        }
    }

    /// Splits triangles until no edge is longer than `limit_m`. The lens bends straight edges and depths between the
    /// corners that are projected; short edges keep that below a sample.
    pub fn split(self, limit_m: f32) -> Mesh {
        let mut done = Vec::new();
        let mut open = self.triangles;
        while let Some(triangle) = open.pop() {
            let [a, b, c] = triangle.corners;
            let squared = |p: Point, q: Point| (0..3).map(|k| (p[k] - q[k]).powi(2)).sum::<f32>();
            let edges = [squared(a, b), squared(b, c), squared(c, a)];
            let longest = (0..3).max_by(|i, j| edges[*i].total_cmp(&edges[*j])).unwrap_or(0);
            if edges[longest] <= limit_m * limit_m {
                done.push(triangle);
                continue;
            }
            let (i, j, k) = (longest, (longest + 1) % 3, (longest + 2) % 3);
            let half = |p: [Point; 3]| -> Point { std::array::from_fn(|n| (p[i][n] + p[j][n]) / 2.0) };
            let (corner, normal) = (half(triangle.corners), half(triangle.normals));
            let pick = |p: [Point; 3], middle: Point| ([p[i], middle, p[k]], [middle, p[j], p[k]]);
            let (corners, normals) = (pick(triangle.corners, corner), pick(triangle.normals, normal));
            open.push(Triangle { corners: corners.0, normals: normals.0, ..triangle });
            open.push(Triangle { corners: corners.1, normals: normals.1, ..triangle });
        }
        Mesh { triangles: done }
    }

    /// Turns flat facets into round surfaces: a corner's normal becomes the mean of those of all facets that meet there
    /// at less than `crease_rad`.
    pub fn smooth(mut self, crease_rad: f32) -> Mesh {
        let limit = crease_rad.cos();
        let flat: Vec<([Point; 3], Point)> = self.triangles.iter().map(|t| (t.corners, t.normals[0])).collect();
        let close = |a: Point, b: Point| (0..3).all(|k| (a[k] - b[k]).abs() < 1e-4);
        for triangle in &mut self.triangles {
            let own = triangle.normals[0];
            for corner in 0..3 {
                let mut sum = [0.0; 3];
                for (corners, normal) in &flat {
                    if dot(*normal, own) > limit && corners.iter().any(|c| close(*c, triangle.corners[corner])) {
                        sum = std::array::from_fn(|k| sum[k] + normal[k]);
                    }
                }
                triangle.normals[corner] = normalised(sum);
            }
        }
        self
    }
}

/// Points around an axis, counterclockwise as seen against it.
fn ring(centre: Point, axis: Point, radius: f32, sides: u32) -> Vec<Point> {
    let helper = if axis[2].abs() < 0.9 { [0.0, 0.0, 1.0] } else { [1.0, 0.0, 0.0] };
    let u = normalised(cross(helper, axis));
    let v = cross(axis, u);
    (0..sides)
        .map(|i| {
            let (sin, cos) = (std::f32::consts::TAU * i as f32 / sides as f32).sin_cos();
            std::array::from_fn(|k| centre[k] + radius * (u[k] * cos + v[k] * sin))
        })
        .collect()
}
