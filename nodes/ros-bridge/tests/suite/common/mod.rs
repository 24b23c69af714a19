//! Messages for the tests, and a Python with other implementations of DDS and CDR.
#![allow(dead_code)] // Each test file uses its own part.

use auriga_msgs::v1;
use std::{path::PathBuf, process::Command};

pub fn header(stamp_ns: u64) -> Option<v1::Header> {
    Some(v1::Header { stamp_ns, ..Default::default() })
}

pub fn image() -> v1::Image {
    let data: Vec<u8> = (0..5 * 11).collect();
    v1::Image {
        header: header(1_500_000_000),
        frame_id: "camera".into(),
        width: 3,
        height: 5,
        step: 11,
        encoding: "bgr8".into(),
        data: data.into(),
        rectified: true,
        ..Default::default()
    }
}

pub fn camera_info() -> v1::CameraInfo {
    v1::CameraInfo {
        header: header(2_000_000_001),
        frame_id: "camera".into(),
        width: 1280,
        height: 720,
        d: vec![-0.25, 0.125, 0.0, 0.001, 0.5],
        k: vec![1158.0, 0.0, 640.5, 0.0, 1160.25, 360.0, 0.0, 0.0, 1.0],
        ..Default::default()
    }
}

pub fn state(speed_mps: f64) -> v1::VehicleState {
    v1::VehicleState {
        header: header(3_000_000_000),
        speed_mps: Some(speed_mps),
        yaw_rate_radps: Some(0.125),
        ..Default::default()
    }
}

pub fn hazard() -> v1::Hazard {
    v1::Hazard {
        header: header(4_000_000_000),
        kind: v1::HazardKind::ForwardCollision.into(),
        severity: v1::Severity::Critical.into(),
        active: true,
        time_to_collision_s: Some(1.25),
        distance_m: None,
        text: "vehicle ahead: 18 m".into(),
        id: 7,
        ..Default::default()
    }
}

/// A Python that can import `module`, or `None` after the test has been reported as skipped.
pub fn python_with(module: &str) -> Option<PathBuf> {
    let python = auriga_testing::python(module)?;
    let import = Command::new(&python).args(["-c", &format!("import {module}")]).output();
    if import.is_ok_and(|o| o.status.success()) {
        return Some(python);
    }
    auriga_testing::skip(format!("the Python of AURIGA_PYTHON has no {module}"));
    None
}
