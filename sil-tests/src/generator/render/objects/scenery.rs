//! Static objects beside the road, placed by the seed: trees, guard posts, signs, houses, lamps, bridges.

use crate::generator::{
    noise,
    render::{
        environment::{ground, shadow::Caster},
        raster::{
            canvas::Surface,
            mesh::{Mesh, Point},
            sprite::Kind,
        },
    },
    script::{Script, Surroundings},
    world::road::Road,
};
use rand::Rng;

/// A static object.
pub struct Item {
    pub s_m: f64,
    pub d_m: f64,
    /// Against the road's direction there.
    pub turn_rad: f32,
    pub look: Appearance,
}

pub enum Appearance {
    Tree { kind: Kind, picture: usize, height_m: f32, mirrored: bool },
    Solid { mesh: Mesh, palette: Vec<Surface>, casters: Vec<Caster> },
}

/// All of it, by s.
pub fn place(script: &Script, road: &Road) -> Vec<Item> {
    let mut items = Vec::new();
    let end = script.road.length_m() as i32 + 450;
    let mut rng = noise::stream(script.seed, 30);
    let (right, left) = road.edges_m();
    for s in (-40..end).step_by(2) {
        let at = f64::from(s) + rng.random_range(0.0..2.0);
        let town = road.surroundings(at) == Surroundings::Town;
        for (edge, side) in [(right, -1.0), (left, 1.0)] {
            plant(&mut items, &mut rng, at, edge, side, town);
        }
    }
    for s in (-50..end).step_by(25) {
        let at = f64::from(s);
        if road.surroundings(at) == Surroundings::Rural {
            items.push(solid(at, right - 1.25, 0.0, post(), post_palette(), vec![]));
            items.push(solid(at, left + 1.25, std::f32::consts::PI, post(), post_palette(), vec![]));
        }
    }
    houses(&mut items, &mut rng, road, end);
    for (i, s) in (70..end).step_by(165).enumerate() {
        let (s_m, town) = (f64::from(s), road.surroundings(f64::from(s)) == Surroundings::Town);
        let off = if town { f64::from(ground::KERB_M) + 0.6 } else { 2.2 };
        items.push(solid(s_m, right - off, 0.0, sign(i % 2 == 0), sign_palette(i % 2 == 0), vec![]));
    }
    for s_m in &script.road.bridges_m {
        items.push(bridge(*s_m, right, left));
    }
    items.sort_by(|a, b| a.s_m.total_cmp(&b.s_m));
    items
}

fn solid(s_m: f64, d_m: f64, turn_rad: f32, mesh: Mesh, palette: Vec<Surface>, casters: Vec<Caster>) -> Item {
    Item { s_m, d_m, turn_rad, look: Appearance::Solid { mesh, palette, casters } }
}

/// Perhaps a tree or a bush at this place of one side of the road.
fn plant(items: &mut Vec<Item>, rng: &mut impl Rng, s_m: f64, edge: f64, side: f64, town: bool) {
    let chance: f64 = rng.random();
    let (kind, away, height_m) = if town {
        if chance > 0.085 {
            return;
        }
        (Kind::Broadleaf, rng.random_range(4.2..5.2), rng.random_range(5.0..7.5))
    } else if chance < 0.10 {
        (Kind::Broadleaf, rng.random_range(8.0..14.0), rng.random_range(7.0..12.0))
    } else if chance < 0.15 {
        (Kind::Conifer, rng.random_range(11.0..26.0), rng.random_range(9.0..16.0))
    } else if chance < 0.19 {
        (Kind::Poplar, rng.random_range(15.0..40.0), rng.random_range(13.0..20.0))
    } else if chance < 0.34 {
        (Kind::Bush, rng.random_range(5.0..16.0), rng.random_range(1.2..2.8))
    } else if chance < 0.50 {
        (Kind::Broadleaf, rng.random_range(28.0..75.0), rng.random_range(8.0..14.0))
    } else {
        return;
    };
    let look =
        Appearance::Tree { kind, picture: rng.random_range(0..8), height_m: height_m as f32, mirrored: rng.random() };
    items.push(Item { s_m, d_m: edge + side * away, turn_rad: 0.0, look });
}

/// A guard post: white, with the dark slanted band and the reflector on the side that faces us.
fn post() -> Mesh {
    let mut mesh = Mesh::default();
    mesh.block([-0.05, -0.06, 0.0], [0.05, 0.06, 1.0], 0);
    mesh.quad([[-0.056, 0.063, 0.70], [-0.056, -0.063, 0.76], [-0.056, -0.063, 0.96], [-0.056, 0.063, 0.90]], 1);
    mesh.block([-0.062, -0.025, 0.76], [-0.05, 0.025, 0.90], 2);
    mesh
}

fn post_palette() -> Vec<Surface> {
    vec![
        Surface::matt([0.72, 0.72, 0.70]),
        Surface::matt([0.03, 0.03, 0.03]),
        Surface::lamp([0.8, 0.75, 0.6], [0.15, 0.14, 0.1]),
    ]
}

/// A road sign: the priority road's diamond or the warning's triangle, on a grey pole.
fn sign(diamond: bool) -> Mesh {
    let mut mesh = Mesh::default();
    mesh.limb([0.0, 0.0, 0.0], [0.0, 0.0, 2.6], (0.035, 0.035), 6, 0);
    let mut plate = |x: f32, size: f32, material: u8| {
        let p = |y: f32, z: f32| -> Point { [x, y * size, 2.25 + z * size] };
        if diamond {
            mesh.quad([p(0.0, -1.0), p(-1.0, 0.0), p(0.0, 1.0), p(1.0, 0.0)], material);
        } else {
            mesh.quad([p(1.0, -0.6), p(-1.0, -0.6), p(0.0, 1.15), p(0.0, 1.15)], material);
        }
    };
    plate(-0.05, 0.46, 1);
    plate(-0.06, if diamond { 0.32 } else { 0.30 }, 2);
    if !diamond {
        plate(-0.065, 0.06, 3);
    }
    mesh
}

fn sign_palette(diamond: bool) -> Vec<Surface> {
    let (rim, face) = if diamond { ([0.75, 0.75, 0.73], [0.80, 0.48, 0.02]) } else { ([0.62, 0.02, 0.03], [0.78; 3]) };
    vec![Surface::matt([0.30; 3]), Surface::matt(rim), Surface::matt(face), Surface::matt([0.02; 3])]
}

fn houses(items: &mut Vec<Item>, rng: &mut impl Rng, road: &Road, end: i32) {
    let (right, left) = road.edges_m();
    let mut next = [0.0f64; 2];
    for s in 0..end {
        let s_m = f64::from(s);
        if road.surroundings(s_m) != Surroundings::Town {
            continue;
        }
        for (i, (edge, side)) in [(right, -1.0), (left, 1.0)].into_iter().enumerate() {
            if s_m < next[i] {
                continue;
            }
            let (length, depth) = (rng.random_range(9.0f32..14.0), rng.random_range(8.0f32..10.0));
            let d_m = edge + side * (f64::from(depth) / 2.0 + rng.random_range(6.5..9.0));
            let floors = rng.random_range(1..=2);
            let (mesh, palette, caster) = house(rng, length, depth, floors);
            let turn = if side < 0.0 { 0.0 } else { std::f32::consts::PI };
            items.push(solid(s_m + f64::from(length) / 2.0, d_m, turn, mesh, palette, vec![caster]));
            next[i] = s_m + f64::from(length) + rng.random_range(4.0..11.0);
        }
        if s % 30 == 0 {
            let d_m = right - f64::from(ground::KERB_M) - 0.5;
            items.push(solid(s_m, d_m, 0.0, lamp(), vec![Surface::matt([0.10, 0.12, 0.12]), lamp_glass()], vec![]));
            let d_m = left + f64::from(ground::KERB_M) + 0.5;
            let palette = vec![Surface::matt([0.10, 0.12, 0.12]), lamp_glass()];
            items.push(solid(s_m + 15.0, d_m, std::f32::consts::PI, lamp(), palette, vec![]));
        }
    }
}

fn lamp_glass() -> Surface {
    Surface::lamp([0.8, 0.8, 0.75], [0.2, 0.2, 0.18])
}

/// A street lamp whose arm reaches to its left.
fn lamp() -> Mesh {
    let mut mesh = Mesh::default();
    mesh.limb([0.0, 0.0, 0.0], [0.0, 0.0, 6.4], (0.075, 0.05), 8, 0);
    mesh.limb([0.0, 0.0, 6.4], [0.0, 1.5, 6.75], (0.04, 0.035), 6, 0);
    mesh.block([-0.12, 1.1, 6.66], [0.12, 1.85, 6.78], 0);
    mesh.block([-0.10, 1.15, 6.63], [0.10, 1.8, 6.66], 1);
    mesh
}

/// A house whose front looks to its left, with a gabled roof along the road.
fn house(rng: &mut impl Rng, length: f32, depth: f32, floors: u32) -> (Mesh, Vec<Surface>, Caster) {
    let (l, d) = (length / 2.0, depth / 2.0);
    let eaves = 0.4 + 2.8 * floors as f32;
    let ridge = eaves + d * 0.85;
    let mut mesh = Mesh::default();
    mesh.block([-l, -d, 0.0], [l, d, eaves], 0);
    let (o, low) = (0.45, eaves - 0.25);
    let p = |x: f32, y: f32, z: f32| -> Point { [x, y, z] };
    mesh.quad([p(l + o, d + o, low), p(-l - o, d + o, low), p(-l - o, 0.0, ridge), p(l + o, 0.0, ridge)], 1);
    mesh.quad([p(-l - o, -d - o, low), p(l + o, -d - o, low), p(l + o, 0.0, ridge), p(-l - o, 0.0, ridge)], 1);
    for x in [-l, l] {
        let gable = [p(x, -d, eaves - 0.01), p(x, d, eaves - 0.01), p(x, 0.0, ridge - 0.15), p(x, 0.0, ridge - 0.15)];
        let outward = if x > 0.0 { gable } else { [gable[1], gable[0], gable[3], gable[2]] };
        mesh.quad(outward, 0);
    }
    mesh.block([-l * 0.4, -0.5, ridge - 1.4], [-l * 0.4 + 0.7, 0.3, ridge + 0.5], 3);
    for floor in 0..floors {
        windows(&mut mesh, l, d, 1.2 + 2.8 * floor as f32, floor == 0);
    }
    let walls: [[f32; 3]; 6] = [
        [0.62, 0.58, 0.50],
        [0.66, 0.65, 0.62],
        [0.58, 0.45, 0.30],
        [0.50, 0.24, 0.16],
        [0.60, 0.60, 0.52],
        [0.46, 0.50, 0.54],
    ];
    let roofs: [[f32; 3]; 3] = [[0.30, 0.085, 0.045], [0.10, 0.10, 0.11], [0.20, 0.095, 0.06]];
    let palette = vec![
        Surface::matt(walls[rng.random_range(0..walls.len())]),
        Surface::matt(roofs[rng.random_range(0..roofs.len())]),
        Surface::glossy([0.02, 0.025, 0.03], 0.12),
        Surface::matt([0.35, 0.14, 0.09]),
        Surface::matt([0.70, 0.70, 0.68]),
        Surface::matt([0.16, 0.07, 0.03]),
    ];
    (mesh.split(2.0), palette, caster((0.0, 0.0), (l, d), (0.0, eaves + 1.0), 0.0))
}

/// Windows with frames on the front and on both gable walls, and a door.
fn windows(mesh: &mut Mesh, l: f32, d: f32, z: f32, ground_floor: bool) {
    let count = ((2.0 * l) / 2.6) as i32;
    for i in 0..count {
        let x = -l + 2.0 * l * (i as f32 + 0.5) / count as f32;
        if ground_floor && i == count / 2 {
            mesh.block([x - 0.5, d - 0.1, 0.0], [x + 0.5, d + 0.03, 2.1], 5);
            continue;
        }
        mesh.block([x - 0.62, d - 0.1, z - 0.08], [x + 0.62, d + 0.03, z + 1.38], 4);
        mesh.block([x - 0.54, d - 0.1, z], [x - 0.04, d + 0.045, z + 1.3], 2);
        mesh.block([x + 0.04, d - 0.1, z], [x + 0.54, d + 0.045, z + 1.3], 2);
    }
    for y in [-d * 0.45, d * 0.45] {
        for (from, to) in [(-l - 0.03, -l + 0.1), (l - 0.1, l + 0.03)] {
            mesh.block([from, y - 0.58, z - 0.08], [to, y + 0.58, z + 1.38], 4);
            mesh.block([from - 0.015, y - 0.5, z], [to + 0.015, y + 0.5, z + 1.3], 2);
        }
    }
}

/// A road that crosses above ours: deck, railings, pillars, and earth ramps at both ends.
fn bridge(s_m: f64, right: f64, left: f64) -> Item {
    let (right, left) = (right as f32, left as f32);
    let (near, far) = (right - 3.2, left + 3.2);
    let mut mesh = Mesh::default();
    // In pieces, so that the lens bends the long edges.
    let pieces = 16;
    let (start, end) = (near - 30.0, far + 30.0);
    for i in 0..pieces {
        let at = |i: i32| start + (end - start) * i as f32 / pieces as f32;
        let (y0, y1) = (at(i), at(i + 1));
        mesh.block([-4.5, y0, 5.1], [4.5, y1, 6.0], 0);
        for x in [-4.6f32, 4.4] {
            mesh.block([x, y0, 5.75], [x + 0.25, y1, 6.25], 1);
            mesh.block([x + 0.1, y0, 7.1], [x + 0.16, y1, 7.18], 2);
            for j in 0..5 {
                let y = y0 + (y1 - y0) * j as f32 / 5.0;
                mesh.block([x + 0.1, y, 6.2], [x + 0.16, y + 0.06, 7.1], 2);
            }
        }
    }
    for y in [near - 0.5, far + 0.5] {
        for x in [-3.0f32, 0.0, 3.0] {
            mesh.limb([x, y, 0.0], [x, y, 5.2], (0.45, 0.45), 12, 1);
        }
    }
    for (toe, top, away) in [(near - 2.0, near - 9.0, start - 8.0), (far + 2.0, far + 9.0, end + 8.0)] {
        let p = |x: f32, y: f32, z: f32| -> Point { [x, y, z] };
        let flip = top > toe;
        let mut face = |mut c: [Point; 4], material: u8| {
            if flip {
                c.reverse();
            }
            mesh.quad(c, material);
        };
        face([p(5.0, toe, 0.0), p(-5.0, toe, 0.0), p(-5.0, top, 5.1), p(5.0, top, 5.1)], 3);
        face(
            [
                p(-5.0, toe, 0.0),
                p(-13.0, toe - 3.0 * (toe - top).signum(), 0.0),
                p(-13.0, away, 0.0),
                p(-5.0, away, 5.1),
            ],
            3,
        );
        face([p(-5.0, toe, 0.0), p(-5.0, away, 5.1), p(-5.0, top, 5.1), p(-5.0, top, 5.1)], 3);
    }
    let palette = vec![
        Surface::matt([0.36, 0.355, 0.34]),
        Surface::matt([0.44, 0.435, 0.42]),
        Surface::matt([0.10, 0.16, 0.15]),
        Surface::matt([0.095, 0.135, 0.035]),
    ];
    let middle = (start + end) / 2.0;
    let caster = caster((0.0, middle), (4.6, (end - start) / 2.0), (4.6, 6.3), 0.0);
    solid(s_m, 0.0, 0.0, mesh.split(4.0), palette, vec![caster])
}

/// A caster in its item's frame: middle, half size, underside and top.
fn caster(middle: (f32, f32), half: (f32, f32), height: (f32, f32), round_m: f32) -> Caster {
    Caster {
        x_m: middle.0,
        y_m: middle.1,
        heading_rad: 0.0,
        half_length_m: half.0,
        half_width_m: half.1,
        bottom_m: height.0,
        top_m: height.1,
        round_m,
    }
}

/// The shadow a tree of this height throws.
pub fn tree_caster(kind: Kind, height_m: f32) -> Caster {
    let (radius, bottom) = match kind {
        Kind::Broadleaf => (0.25 * height_m, 0.35 * height_m),
        Kind::Poplar => (0.11 * height_m, 0.15 * height_m),
        Kind::Conifer => (0.16 * height_m, 0.10 * height_m),
        Kind::Bush => (0.35 * height_m, 0.0),
    };
    caster((0.0, 0.0), (radius, radius), (bottom, 0.9 * height_m), radius)
}

/// A person who looks to the left, one leg ahead of the other by the phase of the stride.
pub fn person(stride_rad: f32) -> (Mesh, Vec<Surface>) {
    let mut mesh = Mesh::default();
    let swing = 0.30 * stride_rad.sin();
    for (side, swing) in [(0.09f32, swing), (-0.09, -swing)] {
        mesh.limb([side, swing * 0.15, 0.86], [side, swing * 0.6, 0.45], (0.085, 0.062), 8, 1);
        mesh.limb([side, swing * 0.6, 0.47], [side, swing * 0.8 - 0.03, 0.08], (0.062, 0.045), 8, 1);
        mesh.block([side - 0.045, swing * 0.8 - 0.08, 0.0], [side + 0.045, swing * 0.8 + 0.18, 0.09], 2);
        let arm = side * 2.45;
        mesh.limb([arm, 0.0, 1.40], [arm * 1.12, -swing * 0.5, 1.10], (0.055, 0.048), 8, 0);
        mesh.limb([arm * 1.12, -swing * 0.5, 1.12], [arm * 1.05, 0.10 - swing, 0.86], (0.048, 0.036), 8, 0);
        mesh.ball([arm * 1.05, 0.11 - swing, 0.82], 0.045, 1.2, 3);
    }
    mesh.limb([0.0, 0.0, 0.80], [0.0, 0.0, 1.12], (0.155, 0.150), 12, 0);
    mesh.limb([0.0, 0.0, 1.12], [0.0, 0.0, 1.44], (0.150, 0.185), 12, 0);
    mesh.limb([0.0, 0.0, 1.43], [0.0, 0.0, 1.51], (0.175, 0.06), 12, 0);
    mesh.limb([0.0, 0.0, 1.48], [0.0, 0.01, 1.58], (0.05, 0.05), 8, 3);
    mesh.ball([0.0, 0.02, 1.66], 0.100, 1.22, 3);
    mesh.ball([0.0, -0.015, 1.69], 0.106, 1.08, 4);
    let palette = vec![
        Surface::matt([0.62, 0.20, 0.03]),
        Surface::matt([0.045, 0.06, 0.12]),
        Surface::matt([0.03, 0.03, 0.03]),
        Surface::matt([0.52, 0.33, 0.24]),
        Surface::matt([0.05, 0.03, 0.02]),
    ];
    (mesh.smooth(1.0), palette)
}
