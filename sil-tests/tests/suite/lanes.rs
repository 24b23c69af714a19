//! The camera and perception nodes detect the lanes that the generator renders.

use crate::common::{demo, shipped};
use auriga_camera::{CameraNode, calibration::Calibration};
use auriga_msgs::{Any, v1};
use auriga_perception::PerceptionNode;
use auriga_runtime::{Nanos, Replay, Timed};
use auriga_sil::{
    drive::Truth,
    generator::{
        FPS,
        render::Renderer,
        world::{motion::Motion, road::Road, truth},
    },
};
use std::time::Duration;

/// Lanes detected in the frames from `from_s` to `to_s` of the shipped drive, with the ground truth.
fn detected(from_s: f64, to_s: f64) -> Vec<(Truth, v1::Lanes)> {
    let script = shipped();
    let (calibration, road) = (Calibration::load(demo().join("camera.toml")).unwrap(), Road::new(&script.road));
    let motion = Motion::new(&script, &road);
    let (truths, _) = truth::compute(&script, &road, &motion, FPS);
    let renderer = Renderer::new(&script, &road, &motion, &calibration);
    let mut scratch = renderer.scratch();
    let (width, height) = (calibration.width, calibration.height);
    let played: Vec<Truth> = truths.into_iter().filter(|t| (from_s..to_s).contains(&t.t_s)).collect();
    let frames = played.iter().map(|truth| -> anyhow::Result<Timed> {
        let t = Nanos::from_secs_f64(truth.t_s);
        let image = v1::Image {
            header: Some(v1::Header::new(t.0, 0)),
            width,
            height,
            step: 3 * width,
            encoding: "bgr8".into(),
            data: renderer.frame(truth.t_s, &mut scratch).into(),
            ..Default::default()
        };
        Ok((t, Any::DeviceCameraFront(image.into())))
    });
    let mut replay = Replay::new();
    replay.add(CameraNode::new(calibration.clone(), Duration::from_millis(200)).unwrap());
    replay.add(PerceptionNode::new(&Default::default()).unwrap());
    let mut lanes = Vec::new();
    let sink = |any: &Any| {
        if let Any::PerceptionLanes(m) = any {
            lanes.push(**m);
        }
        Ok(())
    };
    replay.run(frames, Duration::ZERO, |_, _| {}, sink).unwrap();
    assert_eq!(lanes.len(), played.len(), "a result for each frame");
    played.into_iter().zip(lanes).collect()
}

/// The share of frames after the first half second (the detector tracks) with correct offset, width and curvature.
fn share_correct(from_s: f64, to_s: f64) -> f64 {
    share_correct_from(from_s, from_s + 0.5, to_s)
}

/// The same for a detector that runs from `from_s` on and is evaluated from `evaluated_s` on.
fn share_correct_from(from_s: f64, evaluated_s: f64, to_s: f64) -> f64 {
    let settled: Vec<_> = detected(from_s, to_s).into_iter().filter(|(t, _)| t.t_s >= evaluated_s).collect();
    let correct = settled.iter().filter(|(truth, lanes)| {
        let offset = lanes.offset_m.is_some_and(|o| (o - truth.lane_offset_m).abs() < 0.12);
        let width = lanes.width_m.is_some_and(|w| (w - truth.lane_width_m).abs() < 0.25);
        offset && width && lanes.curvature_per_m.is_some_and(|c| (c - truth.curvature_per_m).abs() < 0.003)
    });
    let share = correct.count() as f64 / settled.len() as f64;
    let worst = settled.iter().filter_map(|(t, l)| Some((l.offset_m? - t.lane_offset_m).abs())).fold(0.0, f64::max);
    println!("{from_s} s to {to_s} s: correct in {:.0} %, worst offset {worst:.3} m", share * 100.0);
    share
}

#[test]
fn lanes_are_detected_on_a_straight_road_by_day() {
    assert!(share_correct(2.0, 4.0) >= 0.95);
}

#[test]
fn lanes_are_detected_in_a_left_curve() {
    assert!(share_correct(10.0, 12.0) >= 0.95);
}

#[test]
fn lanes_are_detected_in_a_right_curve_in_the_dark() {
    assert!(share_correct(23.0, 25.0) >= 0.95);
}

#[test]
fn after_a_lane_change_the_new_lane_is_detected() {
    assert!(share_correct_from(14.0, 18.5, 21.0) >= 0.95);
}

#[test]
fn lanes_are_detected_while_the_car_drifts_over_the_marking() {
    assert!(share_correct(41.5, 44.0) >= 0.90);
}

#[test]
fn lanes_are_detected_in_town_with_kerbs() {
    assert!(share_correct(54.0, 56.0) >= 0.95);
}
