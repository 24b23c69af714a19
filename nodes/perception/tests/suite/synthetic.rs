//! Synthetic images of roads with known parameters.

use crate::common::{HEIGHT, Random, Road, WIDTH, info};
use auriga_msgs::v1;
use auriga_perception::{Config, ground::BirdsEye, lanes::LaneDetector};
use auriga_runtime::Nanos;

fn detector() -> LaneDetector {
    LaneDetector::new(BirdsEye::new(&info(), Config::default().region().unwrap()).unwrap())
}

fn detect(road: &Road) -> v1::Lanes {
    detector().detect(&road.draw(), Nanos::from_millis(40)).unwrap()
}

#[track_caller]
fn assert_lane(road: &Road, lanes: &v1::Lanes) {
    let near = |found: Option<f64>, truth: f64, bound: f64, what: &str| {
        let found = found.unwrap_or_else(|| panic!("{what} absent: {road:?}\n{lanes:?}"));
        assert!((found - truth).abs() <= bound, "{what} {found} instead of {truth}: {road:?}");
    };
    near(lanes.offset_m, road.offset_m, 0.1, "offset");
    near(lanes.width_m, road.width_m, 0.12, "width");
    near(lanes.heading_rad, road.heading_rad, 0.01, "heading");
    near(lanes.curvature_per_m, road.curvature_per_m, 0.0006, "curvature");
    let dashed = [&lanes.left, &lanes.right].map(|l| l.as_ref().is_some_and(|l| l.dashed));
    assert_eq!(dashed, road.dashed, "{road:?}");
}

#[test]
fn offset_width_heading_and_curvature_are_measured() {
    for offset_m in [-1.2, -0.4, 0.0, 0.7, 1.3] {
        for (curvature_per_m, heading_rad) in [(0.0, 0.0), (0.004, 0.02), (-0.003, -0.03), (0.001, 0.06)] {
            let road = Road { offset_m, curvature_per_m, heading_rad, ..Road::default() };
            assert_lane(&road, &detect(&road));
        }
    }
    for width_m in [2.7, 3.2, 4.3] {
        let road = Road { width_m, ..Road::default() };
        assert_lane(&road, &detect(&road));
    }
}

#[test]
fn dashes_of_every_phase_and_yellow_paint_are_found() {
    for i in 0..6 {
        let road = Road { travelled_m: 2.0 * f64::from(i), dashed: [true, true], offset_m: 0.2, ..Road::default() };
        assert_lane(&road, &detect(&road));
    }
    let road = Road { yellow_left: true, dashed: [false, true], ..Road::default() };
    assert_lane(&road, &detect(&road));
}

#[test]
fn darkness_shadows_and_noise_do_not_move_the_lane() {
    let harder = [
        Road { light: 0.22, noise: 2.5, ..Road::default() },
        Road { light: 1.2, noise: 6.0, ..Road::default() },
        Road { bridge_shadow: 0.3, ..Road::default() },
        Road { shadow_edge_y_m: Some(0.4), offset_m: 0.5, ..Road::default() },
        Road { shadow_edge_y_m: Some(-1.2), bridge_shadow: 0.4, ..Road::default() },
    ];
    for road in harder {
        assert_lane(&road, &detect(&road));
    }
}

/// Frames without a lane: flat, sensor noise, blobs of several sizes, checkers, stripes across the road.
fn frames_without_lane() -> Vec<(String, Vec<u8>)> {
    let size = (WIDTH * HEIGHT) as usize;
    let grey = |f: &mut dyn FnMut(usize) -> f64| -> Vec<u8> {
        (0..size).flat_map(|i| [f(i).clamp(0.0, 255.0) as u8; 3]).collect()
    };
    let mut frames = vec![
        ("black".into(), vec![0; 3 * size]),
        ("white".into(), vec![255; 3 * size]),
        (
            "checkers".into(),
            grey(&mut |i| {
                if (i % WIDTH as usize / 20 + i / WIDTH as usize / 20).is_multiple_of(2) { 90.0 } else { 140.0 }
            }),
        ),
        ("stripes".into(), grey(&mut |i| if (i / WIDTH as usize / 6).is_multiple_of(2) { 90.0 } else { 190.0 })),
    ];
    for seed in 1..49 {
        let mut random = Random(seed * 7919);
        frames.push((format!("noise {seed}"), grey(&mut |_| 120.0 + 40.0 * random.normal())));
        let cell = [4, 9, 17, 30][seed as usize % 4];
        let across = WIDTH as usize / cell + 2;
        let grid: Vec<f64> = (0..across * (HEIGHT as usize / cell + 2)).map(|_| 255.0 * random.next()).collect();
        let blob = |i: usize| grid[(i / WIDTH as usize / cell) * across + i % WIDTH as usize / cell];
        frames.push((format!("blobs {seed} of {cell}"), grey(&mut |i| blob(i))));
        let bare = Road { width_m: 60.0, seed, ..Road::default() };
        frames.push((format!("rough road {seed}"), Road { noise: 10.0, ..bare.clone() }.draw()));
        let litter = [0.1, 0.2, 0.35, 0.5][seed as usize % 4];
        frames.push((format!("litter {litter}, {seed}"), Road { litter, ..bare }.draw()));
    }
    frames
}

#[test]
fn no_lane_is_found_in_frames_without_one() {
    for (name, frame) in frames_without_lane() {
        let lanes = detector().detect(&frame, Nanos::from_millis(40)).unwrap();
        assert_eq!(lanes, v1::Lanes::default(), "{name}");
    }
}

#[test]
fn the_confidence_of_a_lane_that_ends_decays_to_absence_within_half_a_second() {
    let mut detector = detector();
    let road = Road::default().draw();
    let empty = Road { width_m: 60.0, ..Road::default() }.draw();
    let mut last = 1.0;
    for i in 0..25u64 {
        let frame = if i < 5 { &road } else { &empty };
        let lanes = detector.detect(frame, Nanos::from_millis(40 * i)).unwrap();
        match lanes.right {
            Some(line) if i >= 5 => {
                assert!(line.confidence < last, "frame {i}: {} after {last}", line.confidence);
                last = line.confidence;
            }
            Some(line) => last = line.confidence,
            None => assert!(i > 5, "frame {i}: the lane is visible"),
        }
        assert!(i < 5 + 12 || lanes == v1::Lanes::default(), "frame {i}: {lanes:?}");
    }
}

#[test]
fn a_drift_over_many_frames_is_tracked_without_jumps() {
    let mut detector = detector();
    let mut last: Option<f64> = None;
    for i in 0..60u32 {
        let offset_m = 0.5 * (f64::from(i) / 60.0 * 6.3).sin();
        let road = Road { offset_m, travelled_m: f64::from(i) * 1.1, seed: u64::from(i) + 1, ..Road::default() };
        let lanes = detector.detect(&road.draw(), Nanos::from_millis(40 * u64::from(i))).unwrap();
        assert_lane(&road, &lanes);
        let offset = lanes.offset_m.unwrap();
        assert!(last.is_none_or(|l| (offset - l).abs() < 0.2), "frame {i}: {last:?} then {offset}");
        last = Some(offset);
    }
}

#[test]
fn the_same_frames_give_identical_messages() {
    use prost::Message;
    let run = || {
        let mut detector = detector();
        (0..6u32)
            .flat_map(|i| {
                let road = Road { travelled_m: f64::from(i), seed: u64::from(i) + 3, ..Road::default() };
                detector.detect(&road.draw(), Nanos::from_millis(40 * u64::from(i))).unwrap().encode_to_vec()
            })
            .collect::<Vec<u8>>()
    };
    assert_eq!(run(), run());
}
