//! The drawn pictures, pixel by pixel.

use crate::common;
use crate::common::{Picture, TestNode};
use auriga_hud::{Config, config::Background};
use auriga_msgs::{node::HudInput, v1};
use auriga_runtime::Nanos;
use std::sync::Arc;
use v1::{HazardKind, Indicator, Severity};

const W: u32 = 640;
const H: u32 = 360;
const NOW: Nanos = Nanos::from_millis(10_000);

fn grey(now: Nanos) -> v1::Image {
    common::image(W, H, now, vec![110; (3 * W * H) as usize])
}

/// A picture over grey for a scene, with a level of decoration.
fn picture(scene: v1::Scene, decor: u32) -> Picture {
    let mut node = TestNode::default();
    node.feed(
        [
            HudInput::CameraFrontInfo(Arc::new(common::info(W, H))),
            HudInput::ArbiterGrants(Arc::new(common::grants(NOW, decor))),
            HudInput::FusionScene(Arc::new(scene)),
        ],
        NOW,
    );
    node.frame(grey(NOW), NOW)
}

fn still() -> v1::Scene {
    v1::Scene { tracks: vec![], ..common::scene(NOW) }
}

fn with(hazards: Vec<v1::Hazard>) -> v1::Scene {
    v1::Scene { hazards, ..still() }
}

/// The pixel of a road point, computed here independently: similar triangles in a camera pitched down by 0.03 rad.
fn pixel(x: f64, y: f64) -> (f64, f64) {
    let (s, c) = 0.03f64.sin_cos();
    let (depth, down) = (x * c + 1.4 * s, 1.4 * c - x * s);
    (320.0 - 457.0 * y / depth, 180.0 + 457.0 * down / depth)
}

#[test]
fn lane_lines_are_drawn_at_the_projection_of_their_road_points() {
    let mut scene = still();
    let lanes = scene.lanes.as_mut().unwrap();
    (lanes.left, lanes.right) = (Some(common::line(1.5, 0.0)), Some(common::line(-2.0, 0.002)));
    let drawn = picture(scene, 0);
    for x in [7.0, 9.0, 12.0] {
        for y in [1.5, -2.0 + 0.002 * x * x] {
            let (u, v) = pixel(x, y);
            let (u, v) = (u.round() as usize, v.round() as usize);
            let lit = drawn.at(u, v).iter().sum::<i32>() / 3;
            // Bright on the line, grey or darkened a line's width beside it.
            assert!(lit > 165, "({x}, {y}) m at ({u}, {v}): {lit}");
            for beside in [u - 22, u + 22] {
                let unlit = drawn.at(beside, v).iter().sum::<i32>() / 3;
                assert!(unlit < 125, "beside ({x}, {y}) m at ({beside}, {v}): {unlit}");
            }
        }
    }
}

#[test]
fn a_line_is_fainter_with_less_confidence_and_absent_at_zero() {
    let drawn = |confidence: f32| {
        let mut scene = still();
        let lanes = scene.lanes.as_mut().unwrap();
        lanes.left = Some(v1::LaneLine { confidence, ..common::line(1.5, 0.0) });
        let (u, v) = pixel(8.0, 1.5);
        picture(scene, 0).at(u.round() as usize, v.round() as usize).iter().sum::<i32>() / 3
    };
    assert!(
        drawn(1.0) > drawn(0.4) + 15 && drawn(0.4) > drawn(0.0) + 15,
        "{} {} {}",
        drawn(1.0),
        drawn(0.4),
        drawn(0.0)
    );
}

#[test]
fn lane_lines_are_moved_by_the_ego_motion_since_the_scene() {
    // A scene 100 ms old at 20 m/s and 0.2 rad/s: the picture is 2 m further and turned left by 0.02 rad.
    let mut node = TestNode::default();
    let mut scene = still();
    let vehicle = scene.vehicle.as_mut().unwrap();
    (vehicle.speed_mps, vehicle.yaw_rate_radps) = (Some(20.0), Some(0.2));
    scene.lanes.as_mut().unwrap().left = Some(common::line(1.5, 0.0));
    let later = NOW + std::time::Duration::from_millis(100);
    let info = Arc::new(common::info(W, H));
    node.feed([HudInput::CameraFrontInfo(info), HudInput::FusionScene(Arc::new(scene))], NOW);
    let drawn = node.frame(grey(later), later);
    let (dx, dy) = (20.0 / 0.2 * 0.02f64.sin(), 20.0 / 0.2 * (1.0 - 0.02f64.cos()));
    let (x, y) = (12.0 - dx, 1.5 - dy);
    let moved = (0.02f64.cos() * x + 0.02f64.sin() * y, 0.02f64.cos() * y - 0.02f64.sin() * x);
    let (u, v) = pixel(moved.0, moved.1);
    let lit = |u: f64| drawn.at(u.round() as usize, v.round() as usize).iter().sum::<i32>() / 3;
    // Unmoved, the line would lie here in this row: the road point with y = 1.5 and this row's distance.
    let unmoved = pixel(moved.0, 1.5).0;
    assert!((u - unmoved).abs() > 4.0, "the two places can be told apart: {u} {unmoved}");
    assert!(lit(u) > 165, "{}", lit(u));
    assert!(lit(unmoved - 6.0) < 125, "{}", lit(unmoved - 6.0));
}

#[test]
fn the_vehicle_ahead_has_a_bracket_at_its_corners() {
    let lead = v1::Scene { tracks: vec![common::track(1, 18.0, 0.0, true)], ..still() };
    let (with, without) = (picture(lead, 0), picture(still(), 0));
    // The radar measures from the bumper, 2.1 m ahead of the camera.
    let (u, v) = pixel(20.1, 1.0);
    let near = |x: f64, y: f64, r: f64| {
        let part = |at: f64, size: f64| [(at - r) / size, (at + r) / size];
        with.difference(&without, part(x, 640.0), part(y, 360.0))
    };
    assert!(near(u, v, 4.0) > 8.0, "{}", near(u, v, 4.0));
    assert!(near(640.0 - u, v, 4.0) > 8.0);
    // Nothing is drawn within the bracket.
    assert!(near(320.0, v - 15.0, 6.0) < 1.0);
}

#[test]
fn a_collision_warning_shows_a_red_banner_and_frame() {
    let hazard = common::hazard(HazardKind::ForwardCollision, 1, NOW, Severity::Critical);
    let (on, off) = (picture(with(vec![hazard]), 0), picture(still(), 0));
    // The banner in the upper middle.
    let [blue, green, red] = on.at(320 - 60, 18);
    assert!(red > 200 && green < 110 && blue < 110, "{blue} {green} {red}");
    // The frame around the picture.
    let [_, green, red] = on.at(1, 180);
    assert!(red > green + 80);
    // The road is unchanged.
    assert!(on.difference(&off, [0.2, 0.8], [0.3, 0.7]) < 1.0);
}

#[test]
fn a_lane_departure_shows_a_glow_on_its_side() {
    let hazard = common::hazard(HazardKind::LaneDeparture, 1, NOW, Severity::Warning);
    let (on, off) = (picture(with(vec![hazard]), 0), picture(still(), 0));
    let (left, right) = (on.difference(&off, [0.0, 0.08], [0.2, 0.8]), on.difference(&off, [0.92, 1.0], [0.2, 0.8]));
    assert!(left > 15.0 && right < 1.0, "{left} {right}");
    // The line that is crossed turns amber.
    let (u, v) = pixel(8.0, 1.75 + 0.0004 * 64.0);
    let [blue, _, red] = on.at(u.round() as usize, v.round() as usize);
    assert!(red > blue + 100, "{blue} {red}");
}

#[test]
fn a_hazard_is_shown_from_its_start_to_its_end() {
    let mut node = TestNode::default();
    node.feed([HudInput::FusionScene(Arc::new(still()))], NOW);
    let at = |ms| NOW + std::time::Duration::from_millis(ms);
    let before = node.frame(grey(at(10)), at(10));
    for kind in [HazardKind::ForwardCollision, HazardKind::Pedestrian, HazardKind::SensorLost] {
        let start = common::hazard(kind, kind as u64, at(20 + 100 * kind as u64), Severity::Warning);
        let end = v1::Hazard { active: false, ..start.clone() };
        let t = at(20 + 100 * kind as u64);
        node.feed([HudInput::FusionHazard(Arc::new(start))], t);
        let during = node.frame(grey(t), t);
        node.feed([HudInput::FusionHazard(Arc::new(end))], t);
        let t = t + std::time::Duration::from_millis(40);
        let after = node.frame(grey(t), t);
        let banner = |p: &Picture| p.difference(&before, [0.4, 0.6], [0.04, 0.12]);
        assert!(banner(&during) > 40.0 && banner(&after) < 1.0, "{kind:?}: {} {}", banner(&during), banner(&after));
    }
}

#[test]
fn decoration_follows_its_grant_and_stops_when_the_lease_ends() {
    let mut node = TestNode::default();
    node.feed(common::inputs(W, H, NOW, false, 2), NOW);
    let full = node.frame(grey(NOW), NOW);
    let surface = pixel(9.0, 0.0);
    let middle = |p: &Picture| p.at(surface.0 as usize, surface.1 as usize);
    assert!(middle(&full)[0] > middle(&full)[2] + 10, "the lane's surface is tinted: {:?}", middle(&full));
    // The lease ended 100 ms ago; the scene is still fresh.
    let later = NOW + std::time::Duration::from_millis(600);
    let off = node.frame(grey(later), later);
    let [b, _, r] = middle(&off);
    assert!((b - r).abs() < 6, "{:?}", middle(&off));
    let dialogue = full.difference(&off, [0.32, 0.95], [0.86, 0.98]);
    assert!(dialogue > 4.0, "the dialogue line is not drawn either: {dialogue}");
    // Speed and the transcript mark stay.
    let bare = picture(still(), 0);
    let digits = (60..100).map(|x| off.at(x, 330)[1]).max().unwrap();
    assert!(digits > 180, "the speed is drawn: {digits}");
    assert!(off.difference(&bare, [0.78, 0.98], [0.03, 0.1]) > 10.0, "the transcript mark is drawn");
}

#[test]
fn an_indicator_blinks_on_its_side() {
    let mut scene = still();
    scene.vehicle.as_mut().unwrap().indicator = Indicator::Left.into();
    let mut node = TestNode::default();
    let lit: Vec<bool> = (0..40)
        .map(|i| {
            let now = NOW + std::time::Duration::from_millis(40 * i);
            let mut scene = scene.clone();
            scene.header = common::header(now);
            node.feed([HudInput::FusionScene(Arc::new(scene))], now);
            let drawn = node.frame(grey(now), now);
            // The arrow's shaft.
            let [b, g, _] = drawn.at(27, 329);
            g > b + 30
        })
        .collect();
    let changes = lit.windows(2).filter(|w| w[0] != w[1]).count();
    assert!((3..=6).contains(&changes), "1.6 s hold four or five half-periods of 0.36 s: {lit:?}");
}

#[test]
fn without_camera_frames_dark_pictures_with_speed_and_warning_are_published() {
    let mut node = TestNode::default();
    node.feed(common::inputs(W, H, NOW, false, 2), NOW);
    node.tick(NOW);
    node.frame(grey(NOW), NOW);
    let mut pictures = Vec::new();
    for ms in (0..2000).step_by(10) {
        let now = NOW + std::time::Duration::from_millis(ms);
        if ms % 100 == 0 {
            node.feed([HudInput::FusionScene(Arc::new(common::scene(now)))], now);
        }
        pictures.extend(node.tick(now));
    }
    assert!(pictures.len() >= 19, "{} pictures in 2 s", pictures.len());
    let last = pictures.last().unwrap();
    assert!(last.at(320, 150).iter().all(|c| *c < 40), "dark: {:?}", last.at(320, 150));
    let [blue, _, red] = last.at(320 - 60, 18);
    assert!(red > 200 && blue < 120, "a warning is shown");
    let brightest = (60..130).map(|x| last.at(x, 330)[1]).max().unwrap();
    assert!(brightest > 180, "the speed is drawn");
    // The next camera frame ends it.
    let now = NOW + std::time::Duration::from_millis(2000);
    assert!(node.frame(grey(now), now).at(320, 150)[0] > 90);
}

#[test]
fn an_old_scene_is_not_drawn() {
    let mut node = TestNode::default();
    node.feed(common::inputs(W, H, NOW, true, 0), NOW);
    let later = NOW + std::time::Duration::from_millis(1100);
    let drawn = node.frame(grey(later), later);
    let (u, v) = pixel(8.0, 1.75);
    assert!(drawn.at(u as usize, v as usize)[1] < 125, "no lane line");
    let [_, green, red] = drawn.at(1, 180);
    assert!((red - green).abs() < 10, "no red frame");
    let [blue, _, red] = drawn.at(320 - 60, 18);
    assert!(red > 200 && blue < 120, "the warning ASSISTANCE LOST");
}

#[test]
fn without_any_scene_the_picture_shows_assistance_lost() {
    let mut node = TestNode::default();
    node.tick(NOW);
    let is_amber = |p: &Picture| p.at(320 - 60, 18)[2] > 200 && p.at(320 - 60, 18)[0] < 120;
    let at = |ms| NOW + std::time::Duration::from_millis(ms);
    let starting = node.frame(grey(at(900)), at(900));
    assert!(!is_amber(&starting), "fusion has a second to start");
    let drawn = node.frame(grey(at(1000)), at(1000));
    assert!(is_amber(&drawn), "{:?}", drawn.at(320 - 60, 18));
}

#[test]
fn the_picture_has_the_stamp_trace_and_size_of_the_frame_and_is_deterministic() {
    let draw = || {
        let mut node = TestNode::default();
        node.feed(common::inputs(W, H, NOW, true, 2), NOW);
        node.frame(common::road(W, H, NOW), NOW)
    };
    let (one, two) = (draw(), draw());
    let header = one.message.header.unwrap();
    assert_eq!((header.stamp_ns, header.trace_id, one.message.width), (NOW.0, 77, W));
    assert_eq!(one.message.data, two.message.data);
}

#[test]
fn banners_transcript_mark_and_footer_do_not_overlap_at_any_size() {
    for (width, height) in [(640, 360), (960, 540), (1280, 720)] {
        let mut node = TestNode::default();
        node.feed(common::inputs(width, height, NOW, true, 2), NOW);
        let image = || common::image(width, height, NOW, vec![110; (3 * width * height) as usize]);
        let drawn = node.frame(image(), NOW);
        // Between the banners and the mark, and between speed and dialogue, there is a gap in which nothing is drawn.
        let bare = |x: f64, y: [f64; 2]| {
            let rows = (y[0] * f64::from(height)) as usize..(y[1] * f64::from(height)) as usize;
            rows.clone().all(|row| {
                let [b, g, r] = drawn.at((x * f64::from(width)) as usize, row);
                (b - g).abs() < 28 && (g - r).abs() < 28 && r < 125
            })
        };
        assert!((740..790).any(|x| bare(f64::from(x) / 1000.0, [0.09, 0.3])), "{width}x{height}: banner and mark");
        assert!((270..306).any(|x| bare(f64::from(x) / 1000.0, [0.86, 0.92])), "{width}x{height}: speed and dialogue");
    }
}

#[test]
fn a_black_background_has_the_overlay_alone_and_scale_enlarges_the_picture() {
    let config = Config { background: Background::Black, scale: 2, ..Config::default() };
    let mut node = TestNode::new(config);
    node.feed(common::inputs(W, H, NOW, false, 0), NOW);
    let drawn = node.frame(grey(NOW), NOW);
    assert_eq!((drawn.width, drawn.height), (1280, 720));
    assert!(drawn.at(640, 150).iter().all(|c| *c < 12), "black where nothing is drawn");
    // 20 ms to the display at 13.9 m/s: the line has come nearer, which along itself changes nothing.
    let (u, v) = pixel(8.0, 1.75 + 0.0004 * 64.0);
    assert!(drawn.at((2.0 * u) as usize, (2.0 * v) as usize)[1] > 150);
}

#[test]
fn the_vehicle_ahead_hides_the_lines_beyond_it() {
    let lead = v1::Scene { tracks: vec![common::track(1, 15.0, 0.0, true)], ..still() };
    let drawn = picture(lead, 0);
    let lit = |x: f64| {
        let (u, v) = pixel(x, 1.75 + 0.0004 * x * x);
        drawn.at(u.round() as usize, v.round() as usize).iter().sum::<i32>() / 3
    };
    assert!(lit(10.0) > 150 && lit(26.0) < 125, "{} {}", lit(10.0), lit(26.0));
}
