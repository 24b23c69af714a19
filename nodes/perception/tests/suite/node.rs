//! The state machine around the lane detector.

use crate::common::{HEIGHT, Road, WIDTH, image, info};
use auriga_msgs::{Any, Stamped, node::PerceptionInput, v1};
use auriga_perception::{Config, PerceptionNode};
use auriga_runtime::{Nanos, Node, Outbox};
use proptest::prelude::*;
use std::sync::Arc;

fn node() -> PerceptionNode {
    PerceptionNode::new(&Config::default()).unwrap()
}

fn with_info() -> PerceptionNode {
    let mut node = node();
    assert_eq!(give_info(&mut node, info()), []);
    node
}

fn give_info(node: &mut PerceptionNode, info: v1::CameraInfo) -> Vec<Any> {
    let mut out = Outbox::default();
    node.on_input(PerceptionInput::CameraFrontInfo(Arc::new(info)), Nanos::ZERO, &mut out);
    out.take_messages()
}

fn give(node: &mut PerceptionNode, image: v1::Image, now_ms: u64) -> Vec<Any> {
    let mut out = Outbox::default();
    node.on_input(PerceptionInput::CameraFrontImage(Arc::new(image)), Nanos::from_millis(now_ms), &mut out);
    out.take_messages()
}

fn fault(messages: &[Any]) -> &str {
    match messages {
        [Any::Fault(f)] => &f.code,
        other => panic!("expected one fault, found {other:?}"),
    }
}

#[test]
fn lanes_keep_the_stamp_and_trace_of_their_frame() {
    let messages = give(&mut with_info(), image(Road::default().draw(), 40_000_000, 77), 50);
    let [Any::PerceptionLanes(lanes)] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!((lanes.header_copy().stamp_ns, lanes.header_copy().trace_id), (40_000_000, 77));
    assert!(lanes.left.is_some() && lanes.right.is_some());
}

#[test]
fn a_frame_without_lines_gives_an_empty_message() {
    let black = vec![0; (3 * WIDTH * HEIGHT) as usize];
    let messages = give(&mut with_info(), image(black, 40_000_000, 77), 50);
    let [Any::PerceptionLanes(lanes)] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!(**lanes, v1::Lanes { header: lanes.header, ..Default::default() });
}

/// The lanes of the tenth frame, all of which the camera found to be in a condition.
fn lanes_in(condition: v1::PictureCondition) -> v1::Lanes {
    let mut node = with_info();
    let frame = |k: u64| v1::Image {
        picture: condition.into(),
        ..image(Road { travelled_m: k as f64, ..Road::default() }.draw(), 40_000_000 * (k + 1), k)
    };
    let mut last = Vec::new();
    (0..10).for_each(|k| last = give(&mut node, frame(k), 40 * (k + 1) + 5));
    let [Any::PerceptionLanes(lanes)] = last.as_slice() else { panic!("{last:?}") };
    **lanes
}

#[test]
fn the_condition_of_a_picture_goes_on_and_lowers_the_confidence_in_its_lines() {
    use v1::PictureCondition as P;
    let clear = lanes_in(P::Clear);
    let confidence = |l: &v1::Lanes| [l.left, l.right].map(|line| line.map(|line| line.confidence));
    assert!(confidence(&clear).iter().all(|c| c.is_some_and(|c| c > 0.3)), "{clear:?}");
    assert_eq!(confidence(&lanes_in(P::Unspecified)), confidence(&clear), "as in recordings made before");
    for condition in [P::Black, P::Covered, P::Frozen] {
        let lanes = lanes_in(condition);
        assert_eq!(lanes, v1::Lanes { header: lanes.header, picture: condition.into(), ..Default::default() });
    }
    for condition in [P::Damaged, P::Blurred] {
        let lanes = lanes_in(condition);
        assert_eq!(lanes.picture(), condition);
        assert_eq!(confidence(&lanes), confidence(&clear).map(|c| c.map(|c| 0.5 * c)));
    }
}

#[test]
fn images_without_camera_info_are_a_fault_after_a_while() {
    let mut node = node();
    let frame = |ms: u64| image(Road::default().draw(), ms * 1_000_000, 1);
    assert_eq!(give(&mut node, frame(1000), 1000), []);
    assert_eq!(give(&mut node, frame(3000), 3000), []);
    assert_eq!(fault(&give(&mut node, frame(3600), 3600)), "camera-info-missing");
    give_info(&mut node, info());
    assert!(matches!(give(&mut node, frame(3640), 3640).as_slice(), [Any::PerceptionLanes(_)]));
}

#[test]
fn an_unusable_camera_info_is_a_fault_until_a_usable_one_comes() {
    let mut node = node();
    let distorted = v1::CameraInfo { d: vec![0.1, 0.0, 0.0, 0.0, 0.0], ..info() };
    assert_eq!(fault(&give_info(&mut node, distorted)), "camera-info-unusable");
    let sky = v1::CameraInfo { pitch_rad: -0.7, ..info() };
    assert_eq!(fault(&give_info(&mut node, sky)), "camera-info-unusable");
    assert_eq!(give_info(&mut node, info()), []);
    let messages = give(&mut node, image(Road::default().draw(), 40_000_000, 77), 50);
    assert!(matches!(messages.as_slice(), [Any::PerceptionLanes(_)]));
}

#[test]
fn a_repeated_camera_info_keeps_the_track() {
    let mut node = with_info();
    give(&mut node, image(Road::default().draw(), 40_000_000, 1), 50);
    give_info(&mut node, v1::CameraInfo { header: Some(v1::Header::new(5, 5)), ..info() });
    // One frame without paint: a tracked lane is still published, a dropped one is absent.
    let bare = Road { width_m: 60.0, ..Road::default() }.draw();
    let messages = give(&mut node, image(bare, 80_000_000, 2), 90);
    let [Any::PerceptionLanes(lanes)] = messages.as_slice() else { panic!("{messages:?}") };
    assert!(lanes.right.is_some());
}

#[test]
fn old_and_malformed_frames_are_faults() {
    let mut node = with_info();
    let good = || image(Road::default().draw(), 40_000_000, 1);
    give(&mut node, good(), 50);
    assert_eq!(fault(&give(&mut node, good(), 60)), "camera-frame-out-of-order");
    let odd = [
        v1::Image { encoding: "mono8".into(), step: WIDTH, ..image(vec![0; (WIDTH * HEIGHT) as usize], 80_000_000, 1) },
        v1::Image { step: 3 * WIDTH - 1, ..image(Road::default().draw(), 80_000_000, 1) },
        v1::Image { step: u32::MAX, ..image(Road::default().draw(), 80_000_000, 1) },
        image(vec![1, 2, 3], 80_000_000, 1),
    ];
    for image in odd {
        let text = format!("{} {}", image.encoding, image.step);
        assert_eq!(fault(&give(&mut node, image, 90)), "camera-image-malformed", "{text}");
    }
    // The next good frame is processed.
    let next = give(&mut node, image(Road::default().draw(), 80_000_000, 1), 90);
    assert!(matches!(next.as_slice(), [Any::PerceptionLanes(_)]));
}

#[test]
fn an_error_in_the_configuration_names_the_field() {
    for (config, field) in [
        (Config { near_m: 0.0, ..Config::default() }, "near_m"),
        (Config { far_m: f64::NAN, ..Config::default() }, "far_m"),
        (Config { half_width_m: 900.0, ..Config::default() }, "half_width_m"),
    ] {
        let error = PerceptionNode::new(&config).err().expect("refused").to_string();
        assert!(error.contains(field), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    /// Any image and any info, made to fit often enough that the detector itself is reached with odd pixels and
    /// odd geometry.
    #[test]
    fn any_image_gives_lanes_or_a_fault_and_never_a_panic(
        (width, height) in prop_oneof![Just((64u32, 48u32)), Just((1, 1)), Just((0, 0)), (0u32..200, 0u32..200), any::<(u32, u32)>()],
        padding in prop_oneof![Just(0u32), 0u32..9, any::<u32>()],
        mono in proptest::bool::weighted(0.1),
        fits in proptest::bool::weighted(0.8),
        focal in prop_oneof![10.0..500.0f64, any::<f64>()],
        centre in any::<(u8, u8)>(),
        height_m in prop_oneof![0.2..5.0f64, any::<f64>()],
        pitch_rad in -1.0..1.0f64,
        yaw_rad in -1.0..1.0f64,
        pixels in proptest::collection::vec(any::<u8>(), 1..64),
    ) {
        let step = (3u32.wrapping_mul(width)).wrapping_add(padding);
        let size = if fits { (u64::from(step) * u64::from(height)).min(1_000_000) as usize } else { 1000 };
        let data: Vec<u8> = pixels.iter().copied().cycle().take(size).collect();
        let encoding = if mono { "mono8" } else { "bgr8" };
        let image = v1::Image { width, height, step, encoding: encoding.into(), ..image(data, 40_000_000, 9) };
        let k = vec![focal, 0.0, centre.0.into(), 0.0, focal, centre.1.into(), 0.0, 0.0, 1.0];
        let mut node = node();
        let of_info = give_info(&mut node, v1::CameraInfo { width, height, k, height_m, pitch_rad, yaw_rad, ..info() });
        prop_assert!(of_info.iter().all(|m| matches!(m, Any::Fault(_))));
        for message in give(&mut node, image, 50) {
            if let Any::PerceptionLanes(lanes) = message {
                let numbers = [lanes.offset_m, lanes.width_m, lanes.curvature_per_m, lanes.heading_rad];
                prop_assert!(numbers.iter().flatten().all(|n| n.is_finite()), "{lanes:?}");
            }
        }
    }
}
