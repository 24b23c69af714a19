//! Random driving scenes.

use crate::intent::scene::{Gear, HAZARDS, SceneFacts, Tyres};
use rand::{Rng, seq::IndexedRandom};

/// A plausible random scene, in which some values are unknown.
pub fn scene(rng: &mut impl Rng) -> SceneFacts {
    let gap = if rng.random_bool(0.1) { 0.9 } else { 0.12 };
    let mut known = |p: f64| !rng.random_bool(1.0 - (1.0 - gap) * p);
    let has: Vec<bool> = [1.0, 1.0, 0.6, 0.5, 1.0, 1.0, 1.0, 0.9, 1.0, 0.7].iter().map(|p| known(*p)).collect();
    let parked = rng.random_bool(0.15);
    let gear = match (parked, rng.random_range(0..20)) {
        (true, _) => Gear::Park,
        (_, 0) => Gear::Reverse,
        (_, 1) => Gear::Neutral,
        _ => Gear::Drive,
    };
    let speed = if parked { 0.0 } else { rng.random_range(0.0..45.0) };
    let fill: f64 = if rng.random_bool(0.25) { rng.random_range(0.02..0.2) } else { rng.random_range(0.1..1.0) };
    let mut tyre = || 2.2 + 0.1 * f64::from(rng.random_range(0..4u8));
    let base = tyre();
    let mut bars = [base, base, base - 0.1, base];
    if rng.random_bool(0.3) {
        bars[rng.random_range(0..4usize)] = 1.2 + 0.1 * f64::from(rng.random_range(0..7u8));
    }
    let hazards =
        if rng.random_bool(0.25) { vec![HAZARDS.choose(rng).copied().unwrap_or_default().into()] } else { Vec::new() };
    let out: f64 = if rng.random_bool(0.3) { rng.random_range(-15.0..5.0) } else { rng.random_range(0.0..38.0) };
    SceneFacts {
        speed_mps: has[0].then_some(speed),
        gear: has[1].then_some(gear),
        lead_distance_m: has[2].then(|| rng.random_range(3.0..130.0)),
        time_to_collision_s: (has[2] && has[3]).then(|| rng.random_range(1.0..20.0)),
        battery: has[4].then_some(fill),
        range_km: has[5].then(|| (fill * rng.random_range(300.0..520.0)).max(3.0)),
        outside_temp_c: has[6].then_some(out),
        tyres: has[7].then_some(Tyres {
            front_left_bar: bars[0],
            front_right_bar: bars[1],
            rear_left_bar: bars[2],
            rear_right_bar: bars[3],
        }),
        hazards,
        driving_load: has[8].then(|| rng.random_range(0.0..1.0)),
        minute_of_day: has[9].then(|| rng.random_range(0..24 * 60)),
    }
}
