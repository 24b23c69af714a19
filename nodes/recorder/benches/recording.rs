//! Time of recording, compared with the MCAP crate alone, and of reading.

use auriga_msgs::{Any, v1};
use auriga_recorder::mcap_file::{Reader, Settings, Writer};
use mcap::{WriteOptions, records::MessageHeader};
use std::{collections::BTreeMap, io::Cursor, time::Instant};

const STATES: u64 = 50_000;
const FRAMES: u64 = 100;
const SIZE: (u32, u32) = (1280, 720);

fn main() {
    let states: Vec<Any> = (0..STATES).map(state).collect();
    let frames: Vec<Any> = (0..FRAMES).map(frame).collect();
    println!("{:<44} {:>10} {:>12} {:>12}", "", "count", "µs each", "bytes each");
    let file = row("vehicle states, written", STATES, || auriga(&states));
    row("vehicle states, bare mcap crate", STATES, || bare(&states));
    row("vehicle states, read back", STATES, || {
        assert_eq!(Reader::from_bytes(file.clone()).unwrap().map(Result::unwrap).count() as u64, STATES);
        Vec::new()
    });
    let file = row("1280x720 frames, written as JPEG", FRAMES, || auriga(&frames));
    row("1280x720 frames, bare mcap crate, raw pixels", FRAMES, || bare(&frames));
    row("1280x720 frames, read back and decoded", FRAMES, || {
        assert_eq!(Reader::from_bytes(file.clone()).unwrap().map(Result::unwrap).count() as u64, FRAMES);
        Vec::new()
    });
}

fn row(what: &str, count: u64, run: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    let start = Instant::now();
    let file = run();
    let each_us = start.elapsed().as_secs_f64() * 1e6 / count as f64;
    println!("{what:<44} {count:>10} {each_us:>12.1} {:>12}", file.len() as u64 / count);
    file
}

fn header(ns: u64) -> Option<v1::Header> {
    Some(v1::Header { stamp_ns: ns, published_ns: ns + 300_000, seq: ns, trace_id: ns })
}

/// At 100 Hz, with eight signals and four radar objects.
fn state(i: u64) -> Any {
    let signal = |n: u64| v1::VssSignal {
        path: format!("Vehicle.Powertrain.Signal{n}"),
        stamp_ns: i * 10_000_000,
        value: Some(v1::vss_signal::Value::Number((i * n) as f64 * 0.1)),
    };
    let object =
        |id: u32| v1::RadarTrack { id, x_m: (i % 90) as f32, y_m: id as f32, valid: true, ..Default::default() };
    let state = v1::VehicleState {
        header: header(i * 10_000_000),
        speed_mps: Some(20.0 + (i % 100) as f64 * 0.01),
        yaw_rate_radps: Some((i % 37) as f64 * 1e-3),
        signals: (0..8).map(signal).collect(),
        radar: (0..4).map(object).collect(),
        ..Default::default()
    };
    Any::VehicleState(state.into())
}

/// A road-like picture: gradients, edges and some noise.
fn frame(i: u64) -> Any {
    let (width, height) = SIZE;
    let mut noise = i.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let data: Vec<u8> = (0..width * height * 3)
        .map(|at| {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            let (x, y) = (at / 3 % width, at / 3 / width);
            let line = if (x + y / 2 + i as u32 * 8) % 160 < 6 { 90 } else { 0 };
            (60 + y / 8 + line) as u8 + (noise & 7) as u8
        })
        .collect();
    let image = v1::Image {
        header: header(i * 40_000_000),
        width,
        height,
        step: 3 * width,
        encoding: "bgr8".into(),
        data: data.into(),
        ..Default::default()
    };
    Any::CameraFrontImage(image.into())
}

fn auriga(messages: &[Any]) -> Vec<u8> {
    let mut writer = Writer::new(Cursor::new(Vec::new()), Settings::default()).unwrap();
    messages.iter().for_each(|any| writer.write(any).unwrap());
    writer.finish().unwrap().into_inner()
}

fn bare(messages: &[Any]) -> Vec<u8> {
    let options = WriteOptions::new().compression_threads(0);
    let mut writer = options.create(Cursor::new(Vec::new())).unwrap();
    let channel_id = writer.add_channel(0, "topic", "protobuf", &BTreeMap::new()).unwrap();
    let mut data = Vec::new();
    for any in messages {
        data.clear();
        any.encode(&mut data).unwrap();
        let v1::Header { published_ns: log_time, stamp_ns: publish_time, seq, .. } = any.header();
        let header = MessageHeader { channel_id, sequence: seq as u32, log_time, publish_time };
        writer.write_to_known_channel(&header, &data).unwrap();
    }
    writer.finish().unwrap();
    writer.into_inner().into_inner()
}
