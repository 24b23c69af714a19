//! A car: hull, windows, wheels, lamps.

use crate::generator::{
    render::{
        light::{Light, Rgb, cross, normalised},
        raster::{
            canvas::Surface,
            mesh::{Mesh, Point},
        },
    },
    script::Colour,
    world::motion::CAR_LENGTH_M,
};

const PAINT: u8 = 0;
const GLASS: u8 = 1;
const RUBBER: u8 = 2;
const RIM: u8 = 3;
const TAIL: u8 = 4;
const BRAKE: u8 = 5;
const HEAD: u8 = 6;
const PLATE: u8 = 7;
const TRIM: u8 = 8;
const AMBER: u8 = 9;

/// Lamps that glow, in the car's frame: left and right are mirrored.
pub const TAIL_LAMP: Point = [-2.2, 0.66, 0.80];
pub const HEAD_LAMP: Point = [2.1, 0.62, 0.66];

/// Builds the mesh, its middle at the origin, nose along x.
pub fn mesh() -> Mesh {
    let half = CAR_LENGTH_M as f32 / 2.0;
    let mut car = Mesh::default();
    let body = |x: f32, w: f32, z: [f32; 4], deck_w: f32| {
        let ring =
            vec![(0.0, z[0]), (w * 0.92, z[0]), (w, z[1]), (w * 0.985, z[2]), (w * deck_w, z[3]), (0.0, z[3] + 0.015)];
        (x - half, ring)
    };
    car.loft(
        &[
            body(0.00, 0.76, [0.36, 0.52, 0.78, 0.84], 0.88),
            body(0.06, 0.84, [0.30, 0.55, 0.88, 0.95], 0.88),
            body(0.30, 0.90, [0.25, 0.58, 0.93, 1.00], 0.88),
            body(0.95, 0.91, [0.22, 0.58, 0.93, 0.99], 0.88),
            body(2.30, 0.91, [0.22, 0.58, 0.92, 0.98], 0.88),
            body(3.20, 0.90, [0.22, 0.57, 0.87, 0.95], 0.86),
            body(3.95, 0.86, [0.24, 0.54, 0.77, 0.86], 0.82),
            body(4.28, 0.78, [0.28, 0.50, 0.66, 0.75], 0.78),
            body(4.40, 0.66, [0.34, 0.47, 0.58, 0.64], 0.74),
        ],
        PAINT,
    );
    cabin(&mut car, half);
    let mut car = car.smooth(0.75);
    details(&mut car, half);
    car
}

/// The upper part with its windows laid on.
fn cabin(car: &mut Mesh, half: f32) {
    let rows: [(f32, f32, f32, f32, f32); 6] = [
        // x, half width at the belt and at the roof, height of belt and roof
        (0.16, 0.78, 0.70, 0.97, 1.00),
        (0.62, 0.81, 0.64, 0.95, 1.37),
        (1.15, 0.81, 0.61, 0.95, 1.45),
        (2.05, 0.81, 0.61, 0.95, 1.47),
        (2.55, 0.81, 0.62, 0.95, 1.40),
        (3.32, 0.78, 0.70, 0.93, 0.96),
    ];
    let sections: Vec<(f32, Vec<(f32, f32)>)> = rows
        .iter()
        .map(|(x, belt, roof, low, high)| {
            (x - half, vec![(*belt, *low), (*roof, *high - 0.02), (roof * 0.8, *high + 0.012), (0.0, *high + 0.03)])
        })
        .collect();
    car.loft(&sections, PAINT);
    let row = |i: usize| rows[i];
    // Rear window and windscreen lie between the first two and the last two rows.
    let (r0, r1) = (row(0), row(1));
    let rear = [
        [r0.0 - half, r0.2 - 0.02, r0.4 + 0.035],
        [r0.0 - half, -r0.2 + 0.02, r0.4 + 0.035],
        [r1.0 - half, -r1.2 + 0.02, r1.4 + 0.01],
        [r1.0 - half, r1.2 - 0.02, r1.4 + 0.01],
    ];
    car.quad(inset(rear, [0.05, 0.95], [0.12, 0.90], 0.03), GLASS);
    let (f0, f1) = (row(5), row(4));
    let front = [
        [f0.0 - half, -f0.2, f0.4 + 0.03],
        [f0.0 - half, f0.2, f0.4 + 0.03],
        [f1.0 - half, f1.2, f1.4 + 0.03],
        [f1.0 - half, -f1.2, f1.4 + 0.03],
    ];
    car.quad(inset(front, [0.05, 0.95], [0.06, 0.95], 0.03), GLASS);
    for (from, to, u) in [(1usize, 2usize, [0.25, 1.0]), (2, 3, [0.06, 0.98]), (3, 4, [0.05, 1.0])] {
        let (a, b) = (row(from), row(to));
        for sign in [1.0f32, -1.0] {
            let mut side = [
                [b.0 - half, sign * b.1, b.3 + 0.03],
                [a.0 - half, sign * a.1, a.3 + 0.03],
                [a.0 - half, sign * a.2, a.4 - 0.03],
                [b.0 - half, sign * b.2, b.4 - 0.03],
            ];
            let mut along = [1.0 - u[1], 1.0 - u[0]];
            if sign < 0.0 {
                side = [side[1], side[0], side[3], side[2]];
                along = u;
            }
            car.quad(inset(side, along, [0.08, 0.90], 0.012), GLASS);
        }
    }
}

/// The part of a face between these shares of its sides, lifted off it.
fn inset(face: [Point; 4], u: [f32; 2], v: [f32; 2], lift: f32) -> [Point; 4] {
    let at = |u: f32, v: f32| -> Point {
        std::array::from_fn(|k| {
            let low = face[0][k] + (face[1][k] - face[0][k]) * u;
            let high = face[3][k] + (face[2][k] - face[3][k]) * u;
            low + (high - low) * v
        })
    };
    let corners = [at(u[0], v[0]), at(u[1], v[0]), at(u[1], v[1]), at(u[0], v[1])];
    let normal = normalised(cross(
        std::array::from_fn(|k| corners[1][k] - corners[0][k]),
        std::array::from_fn(|k| corners[3][k] - corners[0][k]),
    ));
    corners.map(|c| std::array::from_fn(|k| c[k] + normal[k] * lift))
}

fn details(car: &mut Mesh, half: f32) {
    let rear = -half;
    for sign in [1.0f32, -1.0] {
        let span = |a: f32, b: f32| if sign > 0.0 { (a, b) } else { (-b, -a) };
        let lamp = |car: &mut Mesh, y: (f32, f32), x: (f32, f32), z: (f32, f32), material: u8| {
            let (y0, y1) = span(y.0, y.1);
            car.block([x.0, y0, z.0], [x.1, y1, z.1], material);
        };
        lamp(car, (0.52, 0.83), (rear + 0.01, rear + 0.22), (0.75, 0.91), TAIL);
        lamp(car, (0.56, 0.74), (rear - 0.002, rear + 0.1), (0.77, 0.89), BRAKE);
        lamp(car, (0.40, 0.52), (rear + 0.012, rear + 0.1), (0.80, 0.86), AMBER);
        lamp(car, (0.55, 0.70), (rear - 0.012, rear + 0.1), (0.40, 0.44), TAIL);
        lamp(car, (0.46, 0.72), (half - 0.24, half - 0.06), (0.60, 0.70), HEAD);
        for x in [0.86f32, 3.50] {
            wheel(car, x - half, sign);
        }
        let (y0, y1) = span(0.86, 1.00);
        car.block([2.72 - half, y0, 0.95], [2.86 - half, y1, 1.07], PAINT);
    }
    car.block([rear - 0.012, -0.72, 0.30], [rear + 0.1, 0.72, 0.47], TRIM);
    car.block([rear - 0.02, -0.26, 0.58], [rear + 0.1, 0.26, 0.69], PLATE);
    car.block([rear + 0.52, -0.16, 1.375], [rear + 0.60, 0.16, 1.40], BRAKE);
    car.block([half - 0.1, -0.5, 0.36], [half + 0.005, 0.5, 0.50], TRIM);
    car.block([half - 0.05, -0.26, 0.50], [half + 0.012, 0.26, 0.58], PLATE);
    // The dark underside closes the view between the wheels.
    car.block([rear + 0.15, -0.78, 0.16], [half - 0.2, 0.78, 0.34], TRIM);
}

fn wheel(car: &mut Mesh, x: f32, sign: f32) {
    const RADIUS: f32 = 0.33;
    let out = [0.0, sign, 0.0];
    let at = |y: f32| [x, sign * y, RADIUS];
    car.disc([x, sign * 0.913, RADIUS + 0.02], out, RADIUS + 0.07, 20, TRIM);
    car.limb(at(0.66), at(0.925), (RADIUS, RADIUS), 20, RUBBER);
    car.disc(at(0.932), out, 0.215, 14, RIM);
    car.disc(at(0.936), out, 0.06, 8, TRIM);
}

/// The surfaces of a car of this paint.
pub fn palette(colour: Colour, braking: bool, light: &Light) -> [Surface; 10] {
    let paint = match colour {
        Colour::White => [0.72, 0.72, 0.70],
        Colour::Silver => [0.42, 0.43, 0.45],
        Colour::Grey => [0.14, 0.15, 0.17],
        Colour::Black => [0.018, 0.018, 0.022],
        Colour::Red => [0.42, 0.018, 0.02],
        Colour::Blue => [0.02, 0.07, 0.30],
        Colour::Green => [0.03, 0.16, 0.09],
    };
    let dark = (1.0 - light.brightness).clamp(0.0, 1.0);
    let red = |strength: f32| -> Rgb { [strength, strength * 0.035, strength * 0.02] };
    let lamps_on = if dark > 0.3 { 0.9 } else { 0.0 };
    [
        Surface::glossy(paint, 0.05),
        Surface::glossy([0.012, 0.014, 0.016], 0.07),
        Surface::matt([0.018, 0.018, 0.019]),
        Surface::glossy([0.32, 0.33, 0.34], 0.2),
        Surface::lamp([0.22, 0.008, 0.008], red(lamps_on)),
        Surface::lamp([0.25, 0.01, 0.01], red(if braking { 5.0 } else { lamps_on })),
        Surface::lamp([0.6, 0.6, 0.6], [2.2, 2.2, 2.1]),
        Surface::matt([0.62, 0.62, 0.58]),
        Surface::matt([0.022, 0.022, 0.024]),
        Surface::lamp([0.5, 0.18, 0.02], [0.0; 3]),
    ]
}
