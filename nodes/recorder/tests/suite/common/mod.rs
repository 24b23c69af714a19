//! Messages to record, and a Python that reads recordings.
#![allow(dead_code)] // Each test file uses its own part.

use auriga_msgs::{Any, v1};
use std::process::{Command, Output};

pub fn header(ms: u64, seq: u64) -> Option<v1::Header> {
    let published_ns = ms * 1_000_000;
    Some(v1::Header { stamp_ns: published_ns.saturating_sub(400_000), published_ns, seq, trace_id: (5 << 48) + seq })
}

pub fn state(ms: u64, seq: u64) -> Any {
    let state = v1::VehicleState { header: header(ms, seq), speed_mps: Some(seq as f64), ..Default::default() };
    Any::VehicleState(state.into())
}

pub fn fault(ms: u64, code: &str) -> Any {
    let fault = v1::Fault { header: header(ms, 0), node: "can".into(), code: code.into(), ..Default::default() };
    Any::Fault(fault.into())
}

pub fn drive_info(ms: u64) -> Any {
    let info = v1::DriveInfo { header: header(ms, 0), name: "b-road".into(), seed: 7, ..Default::default() };
    Any::DriveInfo(info.into())
}

pub fn utterance(ms: u64, text: &str) -> Any {
    let utterance = v1::Utterance { header: header(ms, 0), text: text.into(), r#final: true, ..Default::default() };
    Any::SpeechUtterance(utterance.into())
}

/// 64x48 pixels with a gradient in each channel.
pub fn camera_image(ms: u64, seq: u64) -> v1::Image {
    let (width, height) = (64u32, 48u32);
    let pixel = |x: u32, y: u32| [(4 * x) as u8, (5 * y) as u8, (2 * (x + y)) as u8];
    let data: Vec<u8> = (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(x, y))).collect();
    v1::Image {
        header: header(ms, seq),
        frame_id: "camera".into(),
        width,
        height,
        step: 3 * width,
        encoding: "bgr8".into(),
        data: data.into(),
        rectified: true,
        picture: v1::PictureCondition::Damaged.into(),
    }
}

pub fn hud_frame(ms: u64, seq: u64) -> v1::CompressedImage {
    v1::CompressedImage {
        header: header(ms, seq),
        frame_id: "hud".into(),
        width: 4,
        height: 2,
        format: "jpeg".into(),
        data: vec![0xff, 0xd8, 0xff, 0xd9].into(),
    }
}

/// Bytes of 33 to 122 that are hardly compressible, the same for the same seed.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_add(1);
    let mut next = || {
        // Knuth's MMIX generator; its upper bits are good.
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        33 + ((state >> 40) % 90) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Runs a script with arguments and returns its standard output; a failure of the script fails the test.
pub fn run_python(script: &str, arguments: &[&str]) -> Option<String> {
    let Output { status, stdout, stderr } = Command::new(auriga_testing::python("mcap and mcap-protobuf-support")?)
        .args(["-c", script])
        .args(arguments)
        .output()
        .unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    Some(String::from_utf8(stdout).unwrap())
}
