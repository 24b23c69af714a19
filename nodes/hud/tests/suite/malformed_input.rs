//! Malformed and implausible input leads to a fault or a picture, never to a panic.

use crate::common;
use crate::common::TestNode;
use auriga_msgs::{node::HudInput, v1};
use auriga_runtime::Nanos;
use proptest::prelude::*;
use std::sync::Arc;

const NOW: Nanos = Nanos::from_millis(5000);

#[test]
fn a_malformed_image_is_a_fault_and_the_next_one_is_drawn() {
    let mut node = TestNode::default();
    let good = |ms| common::image(64, 48, Nanos::from_millis(ms), vec![9; 3 * 64 * 48]);
    let bad = [
        v1::Image { data: vec![1, 2, 3].into(), ..good(1000) },
        v1::Image { width: 0, ..good(1000) },
        v1::Image { width: u32::MAX, height: u32::MAX, step: u32::MAX, ..good(1000) },
        v1::Image { step: 1, ..good(1000) },
        v1::Image { encoding: "yuv422".into(), ..good(1000) },
    ];
    node.feed(bad.map(|image| HudInput::CameraFrontImage(Arc::new(image))), NOW);
    assert!(node.fault_codes().iter().all(|code| code == "camera-image-malformed"));
    assert_eq!(node.frame(good(2000), NOW).width, 64);
    node.feed([HudInput::CameraFrontImage(Arc::new(good(1500)))], NOW);
    assert_eq!(node.fault_codes(), ["camera-frame-out-of-order"]);
    node.feed([HudInput::CameraFrontImage(Arc::new(good(60_000)))], NOW);
    assert_eq!(node.fault_codes(), ["camera-stamp-ahead"]);
    assert_eq!(node.frame(good(2100), NOW).width, 64, "a stamp ahead does not block what follows");
}

#[test]
fn an_unusable_camera_info_is_a_fault_and_frames_are_drawn_without_the_road() {
    let mut node = TestNode::default();
    let info = v1::CameraInfo { height_m: f64::NAN, ..common::info(640, 360) };
    node.feed([HudInput::CameraFrontInfo(Arc::new(info))], NOW);
    assert_eq!(node.fault_codes(), ["camera-info-unusable"]);
    node.feed([HudInput::FusionScene(Arc::new(common::scene(NOW)))], NOW);
    assert_eq!(node.frame(common::road(640, 360, NOW), NOW).width, 640);
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(f64::MAX),
        Just(0.0),
        Just(-1e9),
        -200f64..200.0,
        any::<f64>(),
    ]
}

prop_compose! {
    fn line()(v in proptest::array::uniform5(number()), confidence in any::<f32>()) -> v1::LaneLine {
        v1::LaneLine { c0_m: v[0], c1: v[1], c2_per_m: v[2], confidence, x_min_m: v[3], x_max_m: v[4], dashed: true }
    }
}

prop_compose! {
    fn scene()(
        stamp in any::<u64>(),
        near in any::<bool>(),
        left in line(),
        right in line(),
        v in proptest::array::uniform8(number()),
        kind in -1i32..7,
        severity in -1i32..5,
        text in "\\PC{0,200}",
        age in any::<i64>(),
    ) -> v1::Scene {
        let header = Some(v1::Header::new(if near { NOW.0 } else { stamp }, 0));
        v1::Scene {
            header,
            lanes: Some(v1::Lanes { header, left: Some(left), right: Some(right), ..Default::default() }),
            vehicle: Some(v1::VehicleState {
                speed_mps: Some(v[0]),
                yaw_rate_radps: Some(v[1]),
                gear: kind,
                indicator: kind,
                ..Default::default()
            }),
            tracks: (0..40)
                .map(|i| v1::Track {
                    x_m: v[2],
                    y_m: v[3] + f64::from(i),
                    vx_mps: v[4],
                    vy_mps: v[5],
                    lead: i % 2 == 0,
                    class: kind,
                    ..Default::default()
                })
                .collect(),
            hazards: (0..5)
                .map(|id| v1::Hazard {
                    header,
                    kind,
                    severity,
                    active: true,
                    time_to_collision_s: Some(v[6]),
                    distance_m: Some(v[7]),
                    text: text.clone(),
                    id,
                    side: kind,
                })
                .collect(),
            can_age_ns: Some(if near { 0 } else { age }),
            camera_age_ns: Some(age),
            driving_load: v[0],
            ..Default::default()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..Default::default() })]
    #[test]
    fn any_scene_and_any_text_are_drawn_without_a_panic(
        scene in scene(),
        text in "\\PC{0,300}",
        confidence in any::<f32>(),
        size in prop_oneof![Just((16u32, 16u32)), Just((640, 360)), Just((33, 400)), Just((500, 17))],
        level in any::<u32>(),
    ) {
        let mut node = TestNode::default();
        let (width, height) = size;
        let slots = vec![v1::Slot { name: text.clone(), value: text.clone() }; 20];
        let intent = v1::Intent { slots, confidence, refusal: text.clone(), ..Default::default() };
        let turn = v1::DialogueTurn { text: text.clone(), ..Default::default() };
        node.feed(
            [
                HudInput::CameraFrontInfo(Arc::new(common::info(width, height))),
                HudInput::ArbiterGrants(Arc::new(common::grants(NOW, level))),
                HudInput::LanguageIntent(Arc::new(intent)),
                HudInput::LanguageTurn(Arc::new(turn)),
                HudInput::FusionScene(Arc::new(scene)),
            ],
            NOW,
        );
        let picture = node.frame(common::road(width, height, NOW), NOW);
        prop_assert_eq!((picture.width, picture.height), (width as usize, height as usize));
        node.tick(NOW);
        let states = node.states();
        prop_assert_eq!(states.len(), 1);
        prop_assert!(serde_json::to_string(&*states[0]).is_ok());
    }
}
