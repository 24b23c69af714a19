//! The state machine.

use crate::common::{demo_database, demo_node, frame, repository};
use auriga_can::{CanNode, Counts, dbc::Database, log, mapping::Mapping};
use auriga_msgs::{Any, Stamped, TopicId, node::CanInput, v1};
use auriga_runtime::{Nanos, Node, Outbox, Replay};
use auriga_testing::shared_data;
use proptest::prelude::*;
use std::{sync::Arc, time::Duration};
use v1::{FaultState, Severity, vss_signal::Value};

/// A node with its outbox.
struct TestNode {
    node: CanNode,
    out: Outbox<CanNode>,
    database: Database,
}

impl TestNode {
    fn new() -> Self {
        Self { node: demo_node(), out: Outbox::default(), database: demo_database() }
    }

    /// Feeds one batch; returns the state, if one is published, and the faults.
    fn feed(&mut self, frames: Vec<v1::CanFrame>, now_ms: u64) -> (Option<v1::VehicleState>, Vec<v1::Fault>) {
        let count = frames.len();
        let batch = Arc::new(v1::CanFrames { header: None, frames });
        self.node.on_input(CanInput::DeviceCan(batch), Nanos::from_millis(now_ms), &mut self.out);
        let (mut states, mut faults, mut recorded) = (Vec::new(), Vec::new(), 0);
        for any in self.out.take_messages() {
            match any {
                Any::VehicleState(state) => states.push((*state).clone()),
                Any::Fault(fault) => faults.push((*fault).clone()),
                Any::CanFrames(frames) => recorded += frames.frames.len(),
                other => panic!("{other:?}"),
            }
        }
        assert!(states.len() <= 1, "at most one state for a batch");
        assert_eq!(recorded, count, "all frames are recorded");
        (states.pop(), faults)
    }

    fn frame(&self, message: &str, values: &[(&str, f64)], stamp_ms: u64) -> v1::CanFrame {
        frame(&self.database, message, values, stamp_ms * 1_000_000)
    }
}

fn number(state: &v1::VehicleState, path: &str) -> Option<f64> {
    state.signals.iter().find(|s| s.path == path).and_then(|s| match s.value {
        Some(Value::Number(number)) => Some(number),
        _ => None,
    })
}

fn near(found: Option<f64>, expected: f64) -> bool {
    found.is_some_and(|f| (f - expected).abs() < 1e-9)
}

#[test]
fn a_batch_becomes_one_state_stamped_with_its_newest_frame() {
    let mut test = TestNode::new();
    let frames = vec![
        test.frame("SPEED", &[("VEHICLE_SPEED", 90.0), ("YAW_RATE", -4.5), ("LONG_ACCEL", 1.25)], 100),
        test.frame("STEERING", &[("STEER_ANGLE", 45.0)], 101),
        test.frame("PEDALS", &[("ACCEL_PEDAL", 12.5), ("BRAKE_PEDAL", 0.0), ("BRAKE_LIGHT", 1.0)], 99),
        test.frame("BODY", &[("INDICATOR", 1.0), ("GEAR", 3.0), ("OUTSIDE_TEMP", 17.5)], 98),
        test.frame("WHEEL_BUTTONS", &[("TALK", 1.0)], 98),
        test.frame("ENERGY", &[("BATTERY_SOC", 62.4), ("RANGE", 214.0)], 97),
        test.frame(
            "RADAR_TRACK_3",
            &[("VALID", 1.0), ("LONG_DIST", 42.5), ("LAT_DIST", -1.5), ("REL_SPEED", -3.25)],
            96,
        ),
    ];
    let (state, faults) = test.feed(frames, 102);
    let state = state.expect("a state");
    assert!(faults.is_empty(), "{faults:?}");
    let header = state.header_copy();
    assert_eq!((header.stamp_ns, header.trace_id), (101_000_000, v1::Header::trace(TopicId::VehicleState, 0)));
    assert!(near(state.speed_mps, 25.0) && near(state.yaw_rate_radps, (-4.5f64).to_radians()));
    assert!(near(state.steering_wheel_rad, 45f64.to_radians()) && near(state.accel_mps2, 1.25));
    assert!(near(state.accelerator, 0.125) && near(state.brake, 0.0));
    assert_eq!((state.gear(), state.indicator()), (v1::Gear::Drive, v1::Indicator::Left));
    assert!(near(state.battery, 0.624) && near(state.range_km, 214.0) && near(state.outside_temp_c, 17.5));
    assert_eq!(state.push_to_talk, Some(true));
    let track = v1::RadarTrack { id: 3, stamp_ns: 96_000_000, x_m: 42.5, y_m: -1.5, vx_mps: -3.25, valid: true };
    assert_eq!(state.radar, [track]);
    assert!(near(number(&state, "Vehicle.Speed"), 90.0));
    assert!(near(number(&state, "Vehicle.Powertrain.Range"), 214_000.0));
    assert!(near(number(&state, "Vehicle.Powertrain.Transmission.SelectedGear"), 127.0));
    let value = |path: &str| state.signals.iter().find(|s| s.path == path).and_then(|s| s.value.clone());
    let left = "Vehicle.Body.Lights.DirectionIndicator.Left.IsSignaling";
    assert_eq!(value(left), Some(Value::Flag(true)));
    assert_eq!(value("Vehicle.Body.Lights.Brake.IsActive"), Some(Value::Label("ACTIVE".into())));
    assert_eq!(state.frames_total, 7);
}

#[test]
fn vss_signals_are_published_on_change_and_fields_always() {
    let mut test = TestNode::new();
    let speed = |test: &TestNode, kmh: f64, at: u64| test.frame("SPEED", &[("VEHICLE_SPEED", kmh)], at);
    let (first, _) = test.feed(vec![speed(&test, 36.0, 10), test.frame("BODY", &[("GEAR", 3.0)], 10)], 10);
    assert!(first.expect("a state").signals.len() > 3);
    let (same, _) = test.feed(vec![speed(&test, 36.0, 30)], 30);
    let same = same.expect("a state without changes");
    assert!(same.signals.is_empty(), "{:?}", same.signals);
    assert!(near(same.speed_mps, 10.0) && same.gear() == v1::Gear::Drive);
    let (next, _) = test.feed(vec![speed(&test, 72.0, 50)], 50);
    let next = next.expect("a state");
    assert_eq!(next.signals.len(), 1);
    assert!(near(number(&next, "Vehicle.Speed"), 72.0));
}

#[test]
fn a_value_is_removed_after_its_timeout() {
    let mut test = TestNode::new();
    let frames = vec![test.frame("SPEED", &[("VEHICLE_SPEED", 36.0)], 0), test.frame("BODY", &[("GEAR", 3.0)], 0)];
    test.feed(frames, 0);
    // 200 ms for the speed, 500 ms for the body: at the last instant the value is still there.
    let (state, faults) = test.feed(vec![test.frame("STEERING", &[], 200)], 200);
    assert!(near(state.expect("a state").speed_mps, 10.0) && faults.is_empty());
    test.node.on_tick(Nanos::from_millis(201), &mut test.out);
    let faults = test.out.take_messages();
    let [Any::Fault(fault)] = faults.as_slice() else { panic!("{faults:?}") };
    assert_eq!((fault.code.as_str(), fault.subject.as_str()), ("can-signal-timeout", "SPEED"));
    let (state, faults) = test.feed(vec![test.frame("STEERING", &[], 210)], 210);
    let state = state.expect("a state");
    assert_eq!(state.speed_mps, None);
    assert_eq!(state.gear(), v1::Gear::Drive);
    assert!(faults.is_empty(), "{faults:?}");
    let gone = state.signals.iter().find(|s| s.path == "Vehicle.Speed").expect("published once without a value");
    assert_eq!((gone.value.clone(), gone.stamp_ns), (None, 201_000_000));
    let (state, _) = test.feed(vec![test.frame("STEERING", &[], 600)], 600);
    assert_eq!(state.expect("a state").gear(), v1::Gear::Unspecified);
    let (state, faults) = test.feed(vec![test.frame("SPEED", &[("VEHICLE_SPEED", 36.0)], 700)], 700);
    let [cleared] = faults.as_slice() else { panic!("{faults:?}") };
    assert_eq!((cleared.code.as_str(), cleared.subject.as_str()), ("can-signal-timeout", "SPEED"));
    assert_eq!(cleared.state(), FaultState::Cleared);
    let state = state.expect("a state");
    assert!(near(state.speed_mps, 10.0) && near(number(&state, "Vehicle.Speed"), 36.0));
}

#[test]
fn a_frame_older_than_its_timeout_sets_no_value() {
    let mut test = TestNode::new();
    let (state, faults) = test.feed(vec![test.frame("SPEED", &[("VEHICLE_SPEED", 36.0)], 0)], 5000);
    assert_eq!(state.and_then(|s| s.speed_mps), None);
    assert_eq!(faults.len(), 1);
}

#[test]
fn unknown_short_long_remote_and_error_frames_are_counted_and_reported() {
    let mut test = TestNode::new();
    let raw = |id: u32, data: &'static [u8]| v1::CanFrame { id, data: data.into(), ..Default::default() };
    let frames = vec![
        raw(0x7ff, &[1]),
        raw(208, &[1, 2, 3]),
        raw(208, &[0; 8]),
        v1::CanFrame { extended: true, ..raw(208, &[0; 8]) },
        v1::CanFrame { fd: true, ..raw(208, &[0; 12]) },
        v1::CanFrame { remote: true, ..raw(208, &[]) },
        v1::CanFrame { error: true, ..raw(0x4, &[0, 4, 0, 0, 0, 0, 0, 0]) },
    ];
    let (state, faults) = test.feed(frames, 1);
    let expected = Counts { total: 7, unknown: 2, wrong_length: 2, error: 1, remote: 1, duplicate: 0, out_of_order: 0 };
    assert_eq!(test.node.counts(), expected);
    let state = state.expect("a state");
    let published = (state.frames_total, state.frames_unknown, state.frames_wrong_length, state.frames_error);
    assert_eq!(published, (7, 2, 2, 1));
    let codes: Vec<&str> = faults.iter().map(|f| f.code.as_str()).collect();
    assert_eq!(codes, ["can-wrong-length", "can-wrong-length", "can-error-frame"]);
    assert!(faults[0].text.contains("expected 8 bytes, found 3"), "{}", faults[0].text);
}

#[test]
fn bus_off_and_its_end_are_reported() {
    let mut test = TestNode::new();
    let error = |id: u32| v1::CanFrame { id, error: true, bus: "can0".into(), ..Default::default() };
    let (_, faults) = test.feed(vec![error(0x40)], 1);
    assert_eq!((faults[0].code.as_str(), faults[0].severity()), ("can-bus-off", Severity::Critical));
    let (_, faults) = test.feed(vec![error(0x100)], 2);
    assert_eq!((faults[0].code.as_str(), faults[0].state()), ("can-bus-off", FaultState::Cleared));
    let (_, faults) = test.feed(vec![test.frame("STEERING", &[], 3)], 3);
    assert!(faults.is_empty(), "{faults:?}");
    // A frame ends a bus-off like the report of a restart.
    test.feed(vec![error(0x40)], 4);
    let (_, faults) = test.feed(vec![test.frame("STEERING", &[], 5)], 5);
    assert_eq!((faults[0].code.as_str(), faults[0].state()), ("can-bus-off", FaultState::Cleared));
}

#[test]
fn duplicates_and_late_frames_are_not_used() {
    let mut test = TestNode::new();
    let new = test.frame("SPEED", &[("VEHICLE_SPEED", 72.0)], 20);
    let old = test.frame("SPEED", &[("VEHICLE_SPEED", 36.0)], 10);
    let (state, faults) = test.feed(vec![new.clone(), new.clone(), old], 20);
    assert!(near(state.expect("a state").speed_mps, 20.0));
    assert_eq!((test.node.counts().duplicate, test.node.counts().out_of_order), (1, 1));
    assert_eq!(faults[0].code, "can-frame-out-of-order");
    let (state, _) = test.feed(vec![new], 21);
    assert_eq!(state, None);
    // Another value at the same instant is not a duplicate: recordings have coarse clocks.
    let (state, _) = test.feed(vec![test.frame("SPEED", &[("VEHICLE_SPEED", 73.8)], 20)], 22);
    assert!(near(state.expect("a state").speed_mps, 20.5));
}

#[test]
fn a_stamp_ahead_of_the_clock_is_replaced_by_the_arrival() {
    let mut test = TestNode::new();
    let (state, faults) = test.feed(vec![test.frame("SPEED", &[("VEHICLE_SPEED", 72.0)], 9_000_000)], 20);
    assert_eq!(state.expect("a state").header_copy().stamp_ns, 20_000_000);
    assert_eq!(faults[0].code, "can-stamp-ahead");
}

#[test]
fn messages_left_out_of_the_database_are_reported_at_the_start() {
    let database = Database::parse("BO_ 1075054137 M: 8 X\n", "odd.dbc").expect("valid");
    let mapping = Mapping::parse("", "vss.toml", &database).expect("empty");
    let (mut node, mut out) = (CanNode::with(database, mapping), Outbox::default());
    node.on_tick(Nanos::ZERO, &mut out);
    let [Any::Fault(fault)] = &out.take_messages()[..] else { panic!("one fault") };
    assert!(fault.text.contains("odd.dbc:1: message M is left out"), "{}", fault.text);
}

/// Plays a log through the node in replay and returns what came out, as bytes.
fn replayed(log: &std::path::Path, node: CanNode) -> (Vec<u8>, Vec<Any>) {
    let source = log::frames(log, Nanos::ZERO).expect("a log");
    let source = source.map(|item| item.map(|(t, frames)| (t, Any::DeviceCan(frames.into()))));
    let mut replay = Replay::new();
    replay.add(node);
    let (mut bytes, mut all) = (Vec::new(), Vec::new());
    let sink = |any: &Any| {
        any.encode(&mut bytes)?;
        all.push(any.clone());
        Ok(())
    };
    replay.run(source, Duration::from_secs(1), |_, _| (), sink).expect("a replay");
    (bytes, all)
}

#[test]
fn two_replays_of_a_real_recording_are_identical() {
    let (Some(log), Some(dbc)) = (shared_data("can/icsim-sample-can.log"), shared_data("can/honda_common.dbc")) else {
        return;
    };
    let node = || {
        let database = Database::load(&dbc).expect("honda");
        let mapping = Mapping::load(repository().join("calibration/honda/vss.toml"), &database).expect("the mapping");
        CanNode::with(database, mapping)
    };
    let (bytes, all) = replayed(&log, node());
    assert!(bytes == replayed(&log, node()).0, "two replays differ");
    let states: Vec<&v1::VehicleState> =
        all.iter().filter_map(|a| if let Any::VehicleState(s) = a { Some(&**s) } else { None }).collect();
    let recorded: usize = all.iter().map(|a| if let Any::CanFrames(f) = a { f.frames.len() } else { 0 }).sum();
    assert_eq!(recorded, 6158);
    let last = states.last().expect("states");
    // The car stands with the engine off; SEATBELT_STATUS has 2 bytes in this car, 7 in the database.
    assert_eq!(last.frames_wrong_length, 31);
    assert!(last.frames_total > 6100, "{}", last.frames_total);
    assert_eq!(last.speed_mps, Some(0.0));
    assert!(states.iter().any(|s| number(s, "Vehicle.ADAS.CruiseControl.SpeedSet").is_some()));
    let codes: std::collections::BTreeSet<&str> =
        all.iter().filter_map(|a| if let Any::Fault(f) = a { Some(f.code.as_str()) } else { None }).collect();
    println!("{} states, faults {codes:?}", states.len());
    assert!(codes.contains("can-wrong-length"));
}

fn any_frame() -> impl Strategy<Value = v1::CanFrame> {
    let id = prop_oneof![4 => prop::sample::select(vec![192u32, 208, 224, 528, 800, 928, 1104]), 1 => any::<u32>()];
    let data = prop::collection::vec(any::<u8>(), 0..12);
    (id, data, 0u64..2_000_000_000, any::<[bool; 4]>(), 0u8..8).prop_map(|(id, data, stamp_ns, flags, rare)| {
        let [extended, fd, remote, error] = flags.map(|f| f && rare == 0);
        v1::CanFrame { stamp_ns, id, extended, fd, remote, error, data: data.into(), bus: String::new() }
    })
}

proptest! {
    #[test]
    fn any_frames_in_any_order_cause_no_panic_and_give_the_same_output_twice(
        batches in prop::collection::vec(prop::collection::vec(any_frame(), 0..8), 0..20),
    ) {
        let run = || {
            let (mut node, mut out) = (demo_node(), Outbox::default());
            let mut bytes = Vec::new();
            for (i, frames) in batches.iter().enumerate() {
                let now = Nanos::from_millis(100 * i as u64);
                let batch = Arc::new(v1::CanFrames { header: None, frames: frames.clone() });
                node.on_input(CanInput::DeviceCan(batch), now, &mut out);
                node.on_tick(now, &mut out);
                out.take_messages().iter().for_each(|any| any.encode(&mut bytes).expect("room"));
            }
            (bytes, node.counts())
        };
        let (bytes, counts) = run();
        prop_assert_eq!(counts.total as usize, batches.iter().map(Vec::len).sum::<usize>());
        prop_assert_eq!(run(), (bytes, counts));
    }
}
