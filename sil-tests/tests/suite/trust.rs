//! One wrong message on any topic, then a drive that goes on: every node is soon where it would be without it.
//!
//! Each node runs alone, in replay, on the messages that it would get in a drive. In the drive is put one message made from
//! a true one by changing what its bytes hold: times, sequence numbers, counts, ids, names, numbers, texts, lists. After
//! [`SETTLED`] the node publishes the same as without it.

use crate::common::repository;
use auriga_arbiter::ArbiterNode;
use auriga_fusion::FusionNode;
use auriga_hud::HudNode;
use auriga_language::LanguageNode;
use auriga_monitor::MonitorNode;
use auriga_msgs::{Any, NODES, TopicId, v1};
use auriga_perception::PerceptionNode;
use auriga_runtime::{
    Nanos, Replay, Timed,
    camera::{Mounting, Pinhole},
};
use auriga_speech::SpeechNode;
use proptest::prelude::*;
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use std::{sync::LazyLock, time::Duration};

/// When the drive begins on the clock of the messages.
const START_MS: u64 = 100_000;
const LENGTH_MS: u64 = 18_000;
/// The wrong message comes in the first seconds.
const WRONG_MS: std::ops::Range<u64> = 1500..4000;
/// From so long after it on, all is as without it: the longest memories are those of the arbiter for the driving and the
/// overload (5 s and their smoothing), and of the display for a line of the dialogue.
const SETTLED: Duration = Duration::from_secs(9);

/// Pixels of the camera.
const SIZE: (u32, u32) = (64, 48);

fn at(ms: u64) -> Nanos {
    Nanos::from_millis(START_MS + ms)
}

/// What the sensors of a drive give, 50 times a second: a lead that is approached twice, and requests of the driver.
fn sensors() -> Vec<Timed> {
    let mut log = Vec::new();
    let (width, height) = SIZE;
    let mounting = Mounting { height_m: 1.4, pitch_rad: 0.03, bumper_ahead_m: 2.1, ..Mounting::default() };
    let camera = Pinhole::new(width, height, f64::from(width) * 457.0 / 640.0, mounting);
    for (seq, ms) in (0..LENGTH_MS).step_by(20).enumerate() {
        let now = at(ms);
        let header = |topic, count: u64| {
            Some(v1::Header { seq: count, ..v1::Header::new(now.0, v1::Header::trace(topic, count)) })
        };
        let seq = seq as u64;
        if ms.is_multiple_of(1000) {
            let info = v1::CameraInfo {
                header: header(TopicId::CameraFrontInfo, ms / 1000),
                ..camera.info("camera", v1::Header::default())
            };
            log.push((now, Any::CameraFrontInfo(info.into())));
        }
        if ms.is_multiple_of(80) {
            let grain = |i: u32| (i.wrapping_mul(2_654_435_761).wrapping_add(ms as u32) >> 24) as u8;
            let image = v1::Image {
                header: header(TopicId::CameraFrontImage, ms / 80),
                frame_id: "camera".into(),
                width,
                height,
                step: 3 * width,
                encoding: "bgr8".into(),
                data: (0..3 * width * height).map(grain).collect::<Vec<u8>>().into(),
                rectified: true,
                ..Default::default()
            };
            log.push((now, Any::CameraFrontImage(image.into())));
            log.push((now, Any::PerceptionLanes(lanes(header(TopicId::CameraFrontImage, ms / 80)).into())));
        }
        log.push((now, Any::VehicleState(vehicle(header(TopicId::DeviceCan, seq), ms).into())));
        if ms.is_multiple_of(200) {
            log.extend(
                NODES
                    .iter()
                    .map(|node| (now, Any::Usage(usage(node.name, header(TopicId::Usage, ms / 200), ms).into()))),
            );
        }
        if ms % 3000 == 500 {
            let utterance = v1::Utterance {
                header: header(TopicId::SpeechUtterance, ms / 3000),
                text: "how far can i still go".into(),
                r#final: true,
                confidence: 0.9,
                speech_start_ns: at(ms - 400).0,
                speech_end_ns: now.0,
                ..Default::default()
            };
            log.push((now, Any::SpeechUtterance(utterance.into())));
        }
        if ms.is_multiple_of(1000) {
            let item = v1::DemandItem {
                workload: "language-dialogue".into(),
                probability: 0.5,
                weight: 3.0,
                horizon_ns: 2_000_000_000,
                reason: "habit".into(),
            };
            let demand = v1::Demand { header: header(TopicId::LanguageDemand, ms / 1000), items: vec![item] };
            log.push((now, Any::LanguageDemand(demand.into())));
            let report = v1::DriveReport { header: header(TopicId::DriveReport, ms / 1000), ..Default::default() };
            log.push((now, Any::DriveReport(report.into())));
        }
    }
    log
}

fn vehicle(header: Option<v1::Header>, ms: u64) -> v1::VehicleState {
    // Nearer and nearer from 6 and from 14 s on: a collision is warned of, and avoided.
    let gap_m = match ms % 8000 {
        t @ 6000..7500 => 40.0 - (t - 6000) as f32 * 0.016,
        _ => 60.0,
    };
    let vx_mps = if gap_m < 59.0 { -16.0 } else { 0.0 };
    let (stamp_ns, valid) = (header.map_or(0, |h| h.stamp_ns), true);
    let signal = |path: &str, value| v1::VssSignal { path: path.into(), stamp_ns, value: Some(value) };
    v1::VehicleState {
        header,
        speed_mps: Some(20.0 + (ms as f64 * 1e-3).sin()),
        yaw_rate_radps: Some(0.01),
        steering_wheel_rad: Some(0.02),
        accelerator: Some(0.1),
        brake: Some(0.0),
        accel_mps2: Some(0.1),
        gear: v1::Gear::Drive.into(),
        indicator: v1::Indicator::Off.into(),
        range_km: Some(212.0),
        battery: Some(0.6),
        outside_temp_c: Some(8.0),
        radar: vec![v1::RadarTrack { id: 3, stamp_ns, x_m: gap_m, y_m: 0.1, vx_mps, valid }],
        signals: vec![
            signal("Vehicle.Speed", v1::vss_signal::Value::Number(72.0)),
            signal("Vehicle.Body.Lights", v1::vss_signal::Value::Label("low".into())),
        ],
        frames_total: ms,
        push_to_talk: Some(false),
        ..Default::default()
    }
}

fn lanes(header: Option<v1::Header>) -> v1::Lanes {
    let line = |c0_m| Some(v1::LaneLine { c0_m, confidence: 0.9, x_min_m: 5.0, x_max_m: 40.0, ..Default::default() });
    v1::Lanes {
        header,
        left: line(1.75),
        right: line(-1.75),
        offset_m: Some(0.0),
        curvature_per_m: Some(0.0),
        width_m: Some(3.5),
        heading_rad: Some(0.0),
        ..Default::default()
    }
}

fn usage(node: &str, header: Option<v1::Header>, ms: u64) -> v1::Usage {
    let uptime_ns = (50_000 + ms) * 1_000_000;
    v1::Usage {
        header,
        node: node.into(),
        pid: 4000 + node.len() as u32,
        uptime_ns,
        cpu_ns: uptime_ns / 10,
        rss_bytes: 50 << 20,
        messages_in: ms,
        messages_out: ms,
        ..Default::default()
    }
}

/// The nodes that take messages of others.
const TESTED: [&str; 7] = ["fusion", "arbiter", "hud", "language", "speech", "monitor", "perception"];

fn add(name: &str, replay: &mut Replay) {
    let workloads = repository().join("launch/workloads.toml");
    match name {
        "fusion" => replay.add(FusionNode::new(auriga_fusion::Config::default()).expect("fusion")),
        "arbiter" => {
            let config = auriga_arbiter::Config { workloads, ..Default::default() };
            replay.add(ArbiterNode::new(&config).expect("arbiter"));
        }
        "hud" => replay.add(HudNode::new(&auriga_hud::Config::default()).expect("hud")),
        "language" => {
            let catalogue = repository().join("models/language/intents.toml");
            let shipped: auriga_language::Config =
                toml::from_str(auriga_language::DEFAULTS).expect("the shipped defaults");
            let config = auriga_language::Config { workloads, catalogue, ..shipped };
            replay.add(LanguageNode::with_model(&config, Err("no model".into())).expect("language"));
        }
        "speech" => replay.add(SpeechNode::new(&auriga_speech::Config::default(), Ok(None)).expect("speech")),
        "monitor" => {
            let config: auriga_monitor::Config =
                toml::from_str(auriga_monitor::DEFAULTS).expect("the shipped defaults");
            replay.add(MonitorNode::new(&config, None).expect("monitor"));
        }
        "perception" => {
            replay.add(PerceptionNode::new(&auriga_perception::Config::default()).expect("perception"));
        }
        other => panic!("{other}"),
    }
}

/// All that is played to or published by these nodes, with its time.
fn run(nodes: &[&str], log: &[Timed]) -> Vec<Any> {
    let mut replay = Replay::new();
    replay.start_at(at(0));
    nodes.iter().for_each(|name| add(name, &mut replay));
    let mut seen = Vec::new();
    let sink = |any: &Any| {
        seen.push(any.clone());
        Ok(())
    };
    let source = log.iter().map(|(t, any)| Ok((*t, any.clone())));
    replay.run(source, Duration::ZERO, |_, _| {}, sink).expect("a replay");
    seen
}

/// What all topics carry in the drive, as a log.
static DRIVE: LazyLock<Vec<Timed>> = LazyLock::new(|| {
    let together = ["fusion", "arbiter", "language", "monitor"];
    let timed = |any: Any| (Nanos(any.header().published_ns), any);
    run(&together, &sensors()).into_iter().map(timed).collect()
});

/// What `node` publishes from `from` on, made comparable: without what counts all messages ever, and without what nothing
/// in the drive states again.
fn published(node: &str, messages: Vec<Any>, from: Nanos) -> Vec<Any> {
    let of_node = |any: &Any| any.topic().spec().publisher == node && any.header().published_ns >= from.0;
    let mut messages: Vec<Any> = messages.into_iter().filter(of_node).collect();
    // The sink sees what the log plays, too: then the node itself is not what published it.
    messages.retain(|any| !matches!(any, Any::DriveReport(_)));
    for any in &mut messages {
        any.header_mut().seq = 0;
        match any {
            Any::FusionHazard(hazard) => std::sync::Arc::make_mut(hazard).id = 0,
            Any::FusionScene(scene) => {
                let scene = std::sync::Arc::make_mut(scene);
                scene.hazards.iter_mut().for_each(|h| h.id = 0);
                // A signal that the wrong message named stays known until it has to make room.
                scene.vehicle.iter_mut().for_each(|v| v.signals.clear());
            }
            Any::LanguageSlices(status) => {
                let status = std::sync::Arc::make_mut(status);
                (status.slices, status.preemptions, status.last_slice_ns) = (0, 0, 0);
            }
            Any::LanguageTurn(turn) => std::sync::Arc::make_mut(turn).turn_id = 0,
            Any::HudFrame(_) => any.header_mut().trace_id = 0,
            _ => {}
        }
    }
    messages
}

/// The inputs of a node in the drive.
fn inputs(node: &str) -> Vec<Timed> {
    let spec = NODES.iter().find(|n| n.name == node).expect("a node of the table");
    // What the node publishes itself is not its input; the monitor reads all topics.
    let is_input = |any: &Any| spec.reads.contains(&any.topic()) && any.topic().spec().publisher != node;
    DRIVE.iter().filter(|(_, any)| is_input(any)).cloned().collect()
}

fn encoded(any: &Any) -> Vec<u8> {
    let mut bytes = Vec::new();
    any.encode(&mut bytes).expect("a Vec has room");
    bytes
}

fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (i, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f).checked_shl(7 * i as u32)?;
        if byte & 0x80 == 0 {
            return Some((value, i + 1));
        }
    }
    None
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The fields of a protobuf message: key, and the bytes of the value (without the length of a length-delimited one).
fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Vec<u8>)>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let (key, used) = varint(bytes)?;
        bytes = &bytes[used..];
        let (skip, length) = match key & 7 {
            0 => (0, varint(bytes)?.1),
            1 => (0, 8),
            2 => {
                let (length, used) = varint(bytes)?;
                (used, usize::try_from(length).ok()?)
            }
            5 => (0, 4),
            _ => return None,
        };
        if key >> 3 == 0 {
            return None;
        }
        fields.push((key, bytes.get(skip..skip.checked_add(length)?)?.to_vec()));
        bytes = &bytes[skip + length..];
    }
    Some(fields)
}

fn joined(fields: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, value) in fields {
        put_varint(*key, &mut bytes);
        if key & 7 == 2 {
            put_varint(value.len() as u64, &mut bytes);
        }
        bytes.extend(value);
    }
    bytes
}

/// A number as no honest publisher would send it, or as one might.
fn odd_number(rng: &mut ChaCha8Rng) -> u64 {
    let near = at(rng.random_range(0..LENGTH_MS)).0;
    let numbers = [0, 1, 7, 1 << 31, u64::MAX, 1 << 63, (1 << 63) - 1, near, near + 10_000_000_000];
    let reals = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308, -1e9, -0.5, 0.5, 130.0];
    match rng.random_range(0..3) {
        0 => *numbers.choose(rng).expect("some"),
        1 => reals.choose(rng).expect("some").to_bits(),
        _ => rng.random(),
    }
}

/// Changes some of the fields of a message, those of messages in it too.
fn mutated(bytes: &[u8], rng: &mut ChaCha8Rng) -> Vec<u8> {
    let Some(mut fields) = fields(bytes).filter(|f| !f.is_empty()) else { return bytes.to_vec() };
    for _ in 0..rng.random_range(1..=3) {
        let index = rng.random_range(0..fields.len());
        let (key, value) = &mut fields[index];
        match *key & 7 {
            0 => {
                value.clear();
                put_varint(odd_number(rng), value);
            }
            1 => *value = odd_number(rng).to_le_bytes().to_vec(),
            5 => {
                let real = (f64::from_bits(odd_number(rng)) as f32).to_le_bytes();
                *value = if rng.random() { real } else { (odd_number(rng) as u32).to_le_bytes() }.to_vec();
            }
            _ => match rng.random_range(0..8) {
                0 => value.clear(),
                1 => *value = "\u{1b}[2J\u{202e}forged \n".repeat(rng.random_range(1..300)).into_bytes(),
                // A list that is very long.
                2 => {
                    let (key, value) = (*key, value.clone());
                    let copies = rng.random_range(1..400);
                    fields.extend((0..copies).map(|_| (key, mutated(&value, rng))));
                }
                _ => *value = mutated(value, rng),
            },
        }
    }
    joined(&fields)
}

/// A wrong message: a true one of `topic`, changed. `None` when the bytes are no message any more.
fn wrong(node: &str, log: &[Timed], rng: &mut ChaCha8Rng) -> Option<Timed> {
    let ms = rng.random_range(WRONG_MS);
    let topics: Vec<TopicId> = NODES.iter().find(|n| n.name == node)?.reads.to_vec();
    let topic = *topics.iter().filter(|t| !t.spec().is_device()).collect::<Vec<_>>().choose(rng)?;
    let before: Vec<&Any> =
        log.iter().filter(|(t, any)| any.topic() == *topic && *t <= at(ms)).map(|(_, any)| any).collect();
    // Every message begins with its header; on topics on which the drive has nothing to say that is all there is.
    let header_alone =
        Any::Fault(v1::Fault { header: Some(v1::Header::new(at(ms).0, 7)), ..Default::default() }.into());
    let original = encoded(before.last().copied().unwrap_or(&header_alone));
    Some((at(ms), Any::decode(*topic, mutated(&original, rng).into()).ok()?))
}

/// The log with one message more.
fn with(log: &[Timed], message: Timed) -> Vec<Timed> {
    let place = log.partition_point(|(t, _)| *t <= message.0);
    [&log[..place], &[message], &log[place..]].concat()
}

/// The topic that a wrong message can end a whole drive on: what the driver says and asks is not known again.
fn is_a_command_of_the_driver(any: &Any) -> bool {
    matches!(any, Any::SpeechUtterance(_) | Any::CabinOutcome(_))
}

fn one_wrong_message(name: &str, seed: u64) -> Result<(), TestCaseError> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let log = inputs(name);
    let Some(message) = wrong(name, &log, &mut rng) else { return Ok(()) };
    let from = message.0 + SETTLED;
    let text = format!("{name}: {} at {:?}: {:?}", message.1.topic().spec().name, message.0, message.1.header());
    let command = is_a_command_of_the_driver(&message.1);
    let after = published(name, run(&[name], &with(&log, message)), from);
    let without = published(name, run(&[name], &log), from);
    if command && name == "language" {
        return Ok(());
    }
    prop_assert_eq!(after.len(), without.len(), "{}", text);
    for (after, without) in after.iter().zip(&without) {
        // By their bytes: not-a-number is not equal to itself.
        prop_assert!(encoded(after) == encoded(without), "{}: {:?}, expected {:?}", text, after, without);
    }
    Ok(())
}

#[test]
fn the_drive_of_these_tests_has_hazards_scenes_grants_and_pictures() {
    let log = &*DRIVE;
    let count = |topic| log.iter().filter(|(t, any)| any.topic() == topic && *t >= at(13_000)).count();
    assert!(count(TopicId::FusionHazard) >= 2 && count(TopicId::FusionScene) > 40);
    assert!(count(TopicId::ArbiterGrants) > 40 && count(TopicId::LanguageTurn) >= 1);
    let modes = log.iter().filter_map(|(_, any)| if let Any::ArbiterGrants(g) = any { Some(g.mode()) } else { None });
    assert_eq!(modes.filter(|m| *m == v1::Mode::Limp).count(), 0);
    for name in TESTED {
        assert!(!inputs(name).is_empty(), "{name}");
    }
    assert!(published("hud", run(&["hud"], &inputs("hud")), at(13_000)).len() > 40);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 0, ..Default::default() })]

    #[test]
    fn a_wrong_message_does_not_change_what_nodes_publish_later(index in 0..TESTED.len(), seed in any::<u64>()) {
        one_wrong_message(TESTED[index], seed)?;
    }

    #[test]
    fn a_wrong_message_does_not_change_what_safety_nodes_publish_later(safety in 0usize..2, seed in any::<u64>()) {
        one_wrong_message(["fusion", "arbiter"][safety], seed)?;
    }
}
