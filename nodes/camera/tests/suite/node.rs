//! The camera's state machine.

use auriga_camera::{CameraNode, calibration::Calibration};
use auriga_msgs::{Any, Stamped, TopicId, node::CameraInput, v1};
use auriga_runtime::{Nanos, Node, Outbox};
use proptest::prelude::*;
use std::{sync::Arc, time::Duration};

fn calibration() -> Calibration {
    Calibration {
        frame_id: "camera_front".into(),
        width: 320,
        height: 180,
        fx: 290.0,
        fy: 288.0,
        cx: 163.0,
        cy: 92.0,
        k1: -0.25,
        k2: 0.06,
        p1: 0.001,
        p2: -0.002,
        k3: -0.02,
        k4: 0.0,
        k5: 0.0,
        k6: 0.0,
        model: Default::default(),
        mounting_assumed: false,
        height_m: 1.3,
        pitch_rad: 0.02,
        yaw_rad: 0.0,
        bumper_ahead_m: 2.0,
    }
}

fn node(calibration: Calibration) -> CameraNode {
    CameraNode::new(calibration, Duration::from_millis(200)).unwrap()
}

fn frame(width: u32, height: u32, stamp_ms: u64) -> v1::Image {
    v1::Image {
        header: Some(v1::Header::new(stamp_ms * 1_000_000, 0)),
        width,
        height,
        step: 3 * width,
        encoding: "bgr8".into(),
        data: vec![100; (3 * width * height) as usize].into(),
        ..Default::default()
    }
}

fn take(node: &mut CameraNode, image: v1::Image, now_ms: u64) -> Vec<Any> {
    let mut out = Outbox::default();
    node.on_input(CameraInput::DeviceCameraFront(Arc::new(image)), Nanos::from_millis(now_ms), &mut out);
    out.take_messages()
}

fn images(messages: &[Any]) -> Vec<&v1::Image> {
    messages.iter().filter_map(|m| if let Any::CameraFrontImage(i) = m { Some(i.as_ref()) } else { None }).collect()
}

fn infos(messages: &[Any]) -> Vec<&v1::CameraInfo> {
    messages.iter().filter_map(|m| if let Any::CameraFrontInfo(i) = m { Some(i.as_ref()) } else { None }).collect()
}

fn faults(messages: &[Any]) -> Vec<&str> {
    messages.iter().filter_map(|m| if let Any::Fault(f) = m { Some(f.code.as_str()) } else { None }).collect()
}

#[test]
fn a_frame_goes_out_rectified_with_its_exposure_time_and_a_new_trace() {
    let mut node = node(calibration());
    let first = take(&mut node, frame(320, 180, 1000), 1020);
    let second = take(&mut node, frame(320, 180, 1040), 1060);
    assert!(faults(&first).is_empty(), "{first:?}");
    let (a, b) = (images(&first)[0], images(&second)[0]);
    assert!(a.rectified && a.frame_id == "camera_front" && a.step == 960);
    assert_eq!(a.header_copy().stamp_ns, 1_000_000_000);
    assert_eq!(a.header_copy().source(), Some(TopicId::CameraFrontImage));
    assert_ne!(a.header_copy().trace_id, b.header_copy().trace_id);
    let info = infos(&first)[0];
    assert_eq!((info.d.as_slice(), info.k[2]), ([0.0; 5].as_slice(), 163.0));
}

#[test]
fn camera_info_is_published_once_a_second() {
    let mut node = node(calibration());
    let mut out = Outbox::default();
    let mut count = 0;
    for ms in (0..5000).step_by(100) {
        node.on_tick(Nanos::from_millis(ms), &mut out);
        count += infos(&out.take_messages()).len();
    }
    assert_eq!(count, 5);
}

/// A smooth picture, so that interpolation loses nothing.
fn picture(x: f64, y: f64) -> f64 {
    127.0 + 60.0 * (x * 0.07).sin() + 60.0 * (y * 0.09).cos()
}

#[test]
fn lens_distortion_is_removed() {
    let c = calibration();
    // The forward model as OpenCV's documentation of calib3d states it; inverted here by fixed-point iteration.
    let distort = |x: f64, y: f64| {
        let r2 = x * x + y * y;
        let radial = 1.0 + c.k1 * r2 + c.k2 * r2 * r2 + c.k3 * r2 * r2 * r2;
        (
            x * radial + 2.0 * c.p1 * x * y + c.p2 * (r2 + 2.0 * x * x),
            y * radial + c.p1 * (r2 + 2.0 * y * y) + 2.0 * c.p2 * x * y,
        )
    };
    let mut bent = frame(320, 180, 1000);
    let pixel = |u: u32, v: u32| {
        let (xd, yd) = ((f64::from(u) - c.cx) / c.fx, (f64::from(v) - c.cy) / c.fy);
        let (mut x, mut y) = (xd, yd);
        for _ in 0..60 {
            let (dx, dy) = distort(x, y);
            (x, y) = (x + xd - dx, y + yd - dy);
        }
        picture(x * c.fx + c.cx, y * c.fy + c.cy).round() as u8
    };
    let data: Vec<u8> = (0..180).flat_map(|v| (0..320).flat_map(move |u| [pixel(u, v); 3])).collect();
    bent.data = data.into();
    let bent_data = bent.data.clone();
    let messages = take(&mut node(calibration()), bent, 1010);
    let (mut worst, mut worst_before) = (0.0f64, 0.0f64);
    for v in 20..160u32 {
        for u in 20..300u32 {
            let at = ((v * 320 + u) * 3) as usize;
            let truth = picture(u.into(), v.into());
            worst = worst.max((f64::from(images(&messages)[0].data[at]) - truth).abs());
            worst_before = worst_before.max((f64::from(bent_data[at]) - truth).abs());
        }
    }
    assert!(worst < 3.0, "off by {worst}");
    assert!(worst_before > 20.0, "the test's lens bends too little for this test: {worst_before}");
}

#[test]
fn frames_of_another_size_scale_the_intrinsics_and_other_shapes_are_refused() {
    let mut node = node(calibration());
    let messages = take(&mut node, frame(640, 360, 1000), 1010);
    assert_eq!(faults(&messages), ["camera-size-scaled"]);
    let info = infos(&messages)[0];
    assert_eq!((info.width, info.k[0], info.k[4]), (640, 580.0, 576.0));
    let messages = take(&mut node, frame(320, 240, 1040), 1050);
    assert_eq!(faults(&messages), ["camera-size-mismatch"]);
    assert!(images(&messages).is_empty());
    // And the right one again.
    assert_eq!(images(&take(&mut node, frame(320, 180, 1080), 1090)).len(), 1);
}

#[test]
fn late_and_out_of_order_frames_are_dropped_and_counted() {
    let mut node = node(calibration());
    assert_eq!(images(&take(&mut node, frame(320, 180, 1000), 1100)).len(), 1);
    assert_eq!(faults(&take(&mut node, frame(320, 180, 1040), 1241)), ["camera-frame-late"]);
    assert_eq!(faults(&take(&mut node, frame(320, 180, 1000), 1100)), ["camera-frame-out-of-order"]);
    assert_eq!(faults(&take(&mut node, frame(320, 180, 900), 1100)), ["camera-frame-out-of-order"]);
    assert_eq!(node.dropped(), (1, 2));
    assert_eq!(images(&take(&mut node, frame(320, 180, 1250), 1260)).len(), 1);
}

#[test]
fn a_stamp_from_the_future_does_not_silence_the_camera() {
    let mut node = node(calibration());
    let messages = take(&mut node, frame(320, 180, 9_000_000), 1000);
    assert_eq!(faults(&messages), ["camera-stamp-ahead"]);
    assert_eq!(images(&messages)[0].header_copy().stamp_ns, 1_000_000_000);
    assert_eq!(images(&take(&mut node, frame(320, 180, 1040), 1050)).len(), 1);
}

#[test]
fn padded_rows_are_taken_and_undistorted_frames_pass_uncopied() {
    let flat = Calibration { k1: 0.0, k2: 0.0, p1: 0.0, p2: 0.0, k3: 0.0, ..calibration() };
    let mut padded = frame(320, 180, 1000);
    padded.step = 1000;
    padded.data =
        (0..180).flat_map(|_| (0..1000u32).map(|i| if i < 960 { 7 } else { 255 })).collect::<Vec<u8>>().into();
    let messages = take(&mut node(flat.clone()), padded, 1010);
    assert!(images(&messages)[0].data.iter().all(|&b| b == 7) && images(&messages)[0].data.len() == 960 * 180);
    let plain = frame(320, 180, 1000);
    let at = plain.data.as_ptr();
    assert_eq!(images(&take(&mut node(flat), plain, 1010))[0].data.as_ptr(), at);
}

#[test]
fn invalid_calibrations_are_rejected_with_the_field() {
    for (change, field) in [
        (Calibration { fx: f64::NAN, ..calibration() }, "fx"),
        (Calibration { width: 0, ..calibration() }, "width"),
        (Calibration { cy: 500.0, ..calibration() }, "cy"),
        (Calibration { height_m: -1.0, ..calibration() }, "height_m"),
        (Calibration { yaw_rad: 2.0, ..calibration() }, "yaw_rad"),
        (Calibration { bumper_ahead_m: f64::NAN, ..calibration() }, "bumper_ahead_m"),
    ] {
        let e = CameraNode::new(change, Duration::ZERO).err().expect("refused").to_string();
        assert!(e.contains(field), "{e}");
    }
}

#[test]
fn the_shipped_calibrations_and_defaults_load() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../calibration/carnd");
    for file in ["camera.toml", "camera_1280.toml"] {
        Calibration::load(format!("{folder}/{file}")).unwrap();
    }
    let args = auriga_runtime::config::Args::default();
    let defaults = include_str!("../../config.toml");
    let (config, _) = auriga_runtime::config::load::<auriga_camera::Config>(defaults, &args).unwrap();
    config.source_settings().unwrap();
    let missing = Calibration::load("no/such/camera.toml").unwrap_err().to_string();
    assert!(missing.contains("no/such/camera.toml"), "{missing}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_image_message_is_published_or_a_fault(
        width in prop_oneof![0u32..400, any::<u32>()],
        height in prop_oneof![0u32..200, any::<u32>()],
        step in prop_oneof![0u32..1300, any::<u32>()],
        exact in any::<bool>(),
        length in 0usize..100_000,
        encoding in prop_oneof![Just("bgr8"), Just("mono8"), Just("")],
        stamp in any::<u64>(),
        now in any::<u64>(),
    ) {
        let length = if exact { (u64::from(step) * u64::from(height)).min(1_000_000) as usize } else { length };
        let image = v1::Image {
            header: Some(v1::Header::new(stamp, 0)), width, height, step, encoding: encoding.into(),
            data: vec![1; length].into(), ..Default::default()
        };
        let mut out = Outbox::default();
        node(calibration()).on_input(CameraInput::DeviceCameraFront(Arc::new(image)), Nanos(now), &mut out);
        let messages = out.take_messages();
        prop_assert!(!images(&messages).is_empty() || !faults(&messages).is_empty());
    }

    #[test]
    fn arbitrary_text_is_not_a_calibration(text in ".{0,300}") {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("camera.toml");
        std::fs::write(&path, text).unwrap();
        prop_assert!(Calibration::load(&path).is_err());
    }
}
