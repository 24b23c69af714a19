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
        raw(208, &[0x0e, 0x10, 3]),
        raw(208, &[0; 8]),
        v1::CanFrame { extended: true, ..raw(208, &[0; 8]) },
        v1::CanFrame { fd: true, ..raw(208, &[0; 12]) },
        v1::CanFrame { remote: true, ..raw(208, &[]) },
        v1::CanFrame { error: true, ..raw(0x4, &[0, 4, 0, 0, 0, 0, 0, 0]) },
    ];
    let (state, faults) = test.feed(frames, 1);
    let expected = Counts { total: 7, unknown: 2, wrong_length: 2, error: 1, remote: 1, ..Counts::default() };
    assert_eq!(test.node.counts(), expected);
    let state = state.expect("a state");
    let published = (state.frames_total, state.frames_unknown, state.frames_wrong_length, state.frames_error);
    assert_eq!(published, (7, 2, 2, 1));
    // One warning for a message.
    let codes: Vec<&str> = faults.iter().map(|f| f.code.as_str()).collect();
    assert_eq!(codes, ["can-wrong-length", "can-error-frame"]);
    assert!(faults[0].text.contains("expected 8 bytes, found 3; signals beyond"), "{}", faults[0].text);
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
fn each_item_left_out_of_the_database_is_reported_at_the_start() {
    let dbc = "BO_ 1075054137 M: 8 X\n\nBO_ 5 N: 1 X\n SG_ A : 0|9@1+ (1,0) [0|0] \"\" X\n SG_ B : 0|8@1+ (0,0) [0|0] \"\" X\n";
    let mut test = Custom::new(dbc, "");
    test.node.on_tick(Nanos::ZERO, &mut test.out);
    let (_, faults) = test.taken();
    let texts: Vec<&str> = faults.iter().map(|f| f.text.as_str()).collect();
    assert_eq!(texts.len(), 3, "{texts:?}");
    assert!(texts[0].contains("car.dbc:1: message M is left out"), "{texts:?}");
    assert!(texts[1].contains("car.dbc:4: signal N.A") && texts[2].contains("car.dbc:5: signal N.B"), "{texts:?}");
    test.node.on_tick(Nanos::from_millis(1), &mut test.out);
    assert!(test.taken().1.is_empty());
    // Many are reported in part, with their number: there is room for other faults.
    let many: String = (0..100).map(|i| format!(" SG_ S{i} : 0|9@1+ (1,0) [0|0] \"\" X\n")).collect();
    let mut test = Custom::new(&format!("BO_ 5 N: 1 X\n{many}"), "");
    test.node.on_tick(Nanos::ZERO, &mut test.out);
    let (_, faults) = test.taken();
    assert!(faults.len() == 65 && faults[64].text.contains("36 more items"), "{}", faults[64].text);
}

/// A node for a database and a mapping.
struct Custom {
    node: CanNode,
    out: Outbox<CanNode>,
}

impl Custom {
    fn new(dbc: &str, vss: &str) -> Self {
        let database = Database::parse(dbc, "car.dbc").unwrap_or_else(|e| panic!("{e}"));
        let mapping = Mapping::parse(vss, "vss.toml", &database).unwrap_or_else(|e| panic!("{e}"));
        Self { node: CanNode::with(database, mapping), out: Outbox::default() }
    }

    fn taken(&mut self) -> (Option<v1::VehicleState>, Vec<v1::Fault>) {
        let (mut state, mut faults) = (None, Vec::new());
        for any in self.out.take_messages() {
            match any {
                Any::VehicleState(found) => state = Some((*found).clone()),
                Any::Fault(fault) => faults.push((*fault).clone()),
                _ => {}
            }
        }
        (state, faults)
    }

    fn feed(&mut self, bus: &str, id: u32, data: &[u8], at_ms: u64) -> (Option<v1::VehicleState>, Vec<v1::Fault>) {
        let (stamp_ns, extended) = (at_ms * 1_000_000, id > 0x7ff);
        let data = data.to_vec().into();
        let frame = v1::CanFrame { stamp_ns, id, extended, data, bus: bus.into(), ..Default::default() };
        let batch = Arc::new(v1::CanFrames { header: None, frames: vec![frame] });
        self.node.on_input(CanInput::DeviceCan(batch), Nanos::from_millis(at_ms), &mut self.out);
        self.taken()
    }
}

const SPEED_DBC: &str =
    "BO_ 291 MSG: 8 X\n SG_ SPD : 7|16@0+ (0.01,0) [0|300] \"km/h\" X\n SG_ CNT : 16|8@1+ (1,0) [0|255] \"\" X\n";
const SPEED_VSS: &str = "timeout_ms = 3600000\n[[signal]]\nfrom = \"MSG.SPD\"\nto = \"Vehicle.Speed\"\n";

fn codes(faults: &[v1::Fault]) -> Vec<&str> {
    faults.iter().map(|f| f.code.as_str()).collect()
}

#[test]
fn a_message_that_two_buses_carry_with_other_content_has_no_values_until_one_is_chosen() {
    let frames = |i: u8| [("can0", [0x03, 0xe8 + i, i, 0, 0, 0, 0, 0]), ("can1", [0x27, 0x10, i, 0, 0, 0, 0, 0])];
    let mut test = Custom::new(SPEED_DBC, SPEED_VSS);
    let (mut speeds, mut told) = (Vec::new(), Vec::new());
    for i in 0..10u8 {
        for (bus, data) in frames(i) {
            let (state, faults) = test.feed(bus, 291, &data, 10 * u64::from(i));
            told.extend(faults);
            let found = state.iter().flat_map(|s| s.signals.clone()).find(|s| s.path == "Vehicle.Speed");
            speeds.extend(found.map(|s| s.value));
        }
    }
    assert_eq!(codes(&told), ["can-bus-ambiguous"]);
    assert!(told[0].text.contains("can0") && told[0].text.contains("can1"), "{}", told[0].text);
    assert!(!speeds.contains(&Some(Value::Number(100.0))), "{speeds:?}");
    // The choice of the mapping, for the file or a row; each row has its own.
    for (vss, expected) in
        [(format!("bus = \"can0\"\n{SPEED_VSS}"), 10.0), (format!("{SPEED_VSS}bus = \"can1\"\n"), 100.0)]
    {
        let mut test = Custom::new(SPEED_DBC, &vss);
        let mut told = Vec::new();
        for i in 0..10u8 {
            for (bus, mut data) in frames(i) {
                data[1] = if bus == "can0" { 0xe8 } else { 0x10 };
                let (state, faults) = test.feed(bus, 291, &data, 10 * u64::from(i));
                told.extend(faults);
                let found = state.as_ref().and_then(|s| number(s, "Vehicle.Speed"));
                assert!(found.is_none_or(|found| found == expected), "{found:?}");
            }
        }
        assert!(told.is_empty(), "{told:?}");
    }
}

#[test]
fn a_bus_that_mirrors_another_one_is_no_other_content() {
    let mut test = Custom::new(SPEED_DBC, SPEED_VSS);
    let mut told = Vec::new();
    let data = |i: u8| [0x03, 0xe8 + i, i, 0, 0, 0, 0, 0];
    for i in 0..10u8 {
        told.extend(test.feed("can0", 291, &data(i), 20 * u64::from(i)).1);
        // With a short delay, and once ahead.
        if i % 3 == 0 {
            told.extend(test.feed("can1", 291, &data(i + 1), 20 * u64::from(i) + 5).1);
        } else {
            told.extend(test.feed("can1", 291, &data(i), 20 * u64::from(i) + 5).1);
        }
    }
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn only_frames_of_the_chosen_bus_are_decoded_and_a_wrong_choice_is_reported() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let node = |bus: &str| {
        let config = auriga_can::Config {
            bus: bus.into(),
            dbc: file("car.dbc", SPEED_DBC),
            mapping: file("vss.toml", SPEED_VSS),
            ..auriga_runtime::config::shipped(auriga_can::DEFAULTS)
        };
        Custom { node: CanNode::new(&config).expect("valid"), out: Outbox::default() }
    };
    let mut chosen = node("can0");
    for i in 0..20u8 {
        let (state, faults) = chosen.feed("can1", 291, &[0xff; 8], 20 * u64::from(i));
        assert!(state.is_none() && faults.is_empty(), "{faults:?}");
        let (state, faults) = chosen.feed("can0", 291, &[0x03, 0xe8, i, 0, 0, 0, 0, 0], 20 * u64::from(i) + 1);
        assert!(state.is_some() && faults.is_empty(), "{faults:?}");
        if i > 5 {
            break;
        }
    }
    assert_eq!(chosen.node.counts().other_bus, 7);
    let mut wrong = node("can7");
    let told: Vec<v1::Fault> = (0..20).flat_map(|i| wrong.feed("can1", 291, &[0; 8], 20 * i).1).collect();
    assert!(told[0].code == "can-bus-missing" && told[0].text.contains("frames from can1"), "{told:?}");
}

const TRUCK: &str = "BO_ 2566844926 CCVS1: 8 X\n SG_ Speed : 8|16@1+ (0.00390625,0) [0|250.996] \"km/h\" X\n \
                     SG_ Brake : 24|2@1+ (1,0) [0|3] \"\" X\n";
const TRUCK_VSS: &str = "timeout_ms = 3600000\n[[signal]]\nfrom = \"CCVS1.Speed\"\nto = \"speed_mps\"\n";

#[test]
fn j1939_codes_for_error_and_not_available_are_no_values() {
    let brake = "[[signal]]\nfrom = \"CCVS1.Brake\"\nto = \"Vehicle.Chassis.ParkingBrake.IsEngaged\"\n";
    let speed = |vss: &str, raw: u16, brake: u8| {
        let mut test = Custom::new(TRUCK, vss);
        let [low, high] = raw.to_le_bytes();
        let (state, faults) = test.feed("can0", 0x18fe_f121, &[0xff, low, high, brake, 0xff, 0xff, 0xff, 0xff], 1);
        (state.expect("a state"), faults)
    };
    let both = format!("{TRUCK_VSS}{brake}");
    let engaged = |state: &v1::VehicleState| state.signals.iter().find_map(|s| s.value.clone());
    for (raw, flag, expected, lit) in [
        (0x3200, 0b00, Some(50.0 / 3.6), Some(false)),
        (0xfaff, 0b01, Some(250.99609375 / 3.6), Some(true)),
        (0xfb00, 0b10, None, None),
        (0xfe00, 0b11, None, None),
        (0xffff, 0b11, None, None),
    ] {
        let (state, faults) = speed(&both, raw, flag);
        assert!(state.speed_mps.is_some() == expected.is_some(), "{raw:#x}");
        assert!(expected.is_none_or(|e| near(state.speed_mps, e)), "{:?}", state.speed_mps);
        assert_eq!(engaged(&state), lit.map(Value::Flag), "{raw:#x}");
        let expected = if lit.is_some() { vec![] } else { vec!["can-value-not-available"; 2] };
        assert_eq!(codes(&faults), expected);
    }
    // Switched off, with the range.
    let off = format!("{TRUCK_VSS}not_available = false\nrange = false\n");
    assert!(near(speed(&off, 0xffff, 0).0.speed_mps, 255.99609375 / 3.6));
}

#[test]
fn two_source_addresses_are_reported_and_one_can_be_chosen() {
    let data = |high: u8| [0xff, 0, high, 0xff, 0xff, 0xff, 0xff, 0xff];
    let mut test = Custom::new(TRUCK, TRUCK_VSS);
    assert!(near(test.feed("can0", 0x18fe_f100, &data(0x32), 1).0.expect("a state").speed_mps, 50.0 / 3.6));
    let (state, faults) = test.feed("can0", 0x18fe_f10b, &data(0xff), 2);
    assert_eq!(state.expect("a state").speed_mps, None);
    assert_eq!(codes(&faults), ["can-source-ambiguous", "can-value-not-available"]);
    assert!(faults[0].text.contains("0x00 and 0x0b"), "{}", faults[0].text);
    let mut test = Custom::new(TRUCK, &format!("{TRUCK_VSS}source = 0x0b\n"));
    assert!(test.feed("can0", 0x18fe_f100, &data(0x32), 1).0.is_none());
    assert!(near(test.feed("can0", 0x18fe_f10b, &data(0x33), 2).0.expect("a state").speed_mps, 51.0 / 3.6));
}

#[test]
fn values_outside_the_range_of_the_database_are_no_values_unless_the_mapping_says_so() {
    let speed = |rest: &str, data: [u8; 8]| {
        let mut test = Custom::new(SPEED_DBC, &format!("{SPEED_VSS}{rest}"));
        let (state, faults) = test.feed("can0", 291, &data, 1);
        let found = state.as_ref().and_then(|s| number(s, "Vehicle.Speed"));
        (found, codes(&faults).join(" "), faults.first().map(|f| f.text.clone()).unwrap_or_default())
    };
    let (top, beyond) = ([0x75, 0x30, 0, 0, 0, 0, 0, 0], [0xff, 0xff, 0, 0, 0, 0, 0, 0]);
    assert_eq!(speed("", top).0, Some(300.0));
    let (found, code, text) = speed("", beyond);
    assert_eq!((found, code.as_str()), (None, "can-value-out-of-range"));
    assert!(text.contains("MSG.SPD is 655.35 km/h") && text.contains("state `range`"), "{text}");
    assert_eq!(speed("range = false", beyond).0, Some(655.35));
    assert_eq!(speed("range = [0, 700]", beyond).0, Some(655.35));
    assert_eq!(speed("range = [0, 200]", top).0, None);
}

#[test]
fn several_signals_give_one_value_of_an_enumeration() {
    let dbc = "BO_ 416 BODY: 8 X\n SG_ L : 0|1@1+ (1,0) [0|1] \"\" X\n SG_ R : 1|1@1+ (1,0) [0|1] \"\" X\n \
               SG_ MAG : 8|15@1+ (0.01,0) [0|300] \"deg/s\" X\n SG_ SIGN : 23|1@1+ (1,0) [0|1] \"\" X\n";
    let two = |to: &str, one: &str, other: &str| {
        format!(
            "[[signal]]\nfrom = \"BODY.L\"\nto = \"{to}\"\n{one}\n[[signal]]\nfrom = \"BODY.R\"\nto = \"{to}\"\n{other}\n"
        )
    };
    let states = |vss: &str| {
        let mut test = Custom::new(dbc, vss);
        [0u8, 1, 2, 3]
            .map(|bits| test.feed("can0", 416, &[bits, 0, 0, 0, 0, 0, 0, 0], u64::from(bits)).0.expect("a state"))
    };
    use v1::{Gear, Indicator};
    let indicator =
        two("indicator", "values = { 0 = \"off\", 1 = \"left\" }", "values = { 0 = \"off\", 1 = \"right\" }");
    let found = states(&indicator).map(|s| s.indicator());
    assert_eq!(found, [Indicator::Off, Indicator::Left, Indicator::Right, Indicator::Hazard]);
    let gear = two("gear", "values = { 1 = \"park\" }", "values = { 1 = \"reverse\" }");
    assert_eq!(states(&gear).map(|s| s.gear()), [Gear::Unspecified, Gear::Park, Gear::Reverse, Gear::Park]);
    // Two switches of the brake pedal.
    let brake = two("brake", "values = { 0 = 0, 1 = 1 }", "values = { 0 = 0, 1 = 1 }");
    assert_eq!(states(&brake).map(|s| s.brake), [Some(0.0), Some(1.0), Some(1.0), Some(1.0)]);
    // Words and flags of VSS, which are published when they change.
    let signals = |vss: &str| states(vss).map(|s| s.signals.first().and_then(|s| s.value.clone()));
    let light = two(
        "Vehicle.Body.Lights.Brake.IsActive",
        "values = { 0 = \"INACTIVE\", 1 = \"ACTIVE\" }",
        "values = { 0 = \"INACTIVE\", 1 = \"ADAPTIVE\" }",
    );
    let label = |word: &str| Some(Value::Label(word.into()));
    assert_eq!(signals(&light), [label("INACTIVE"), label("ACTIVE"), label("ADAPTIVE"), label("ACTIVE")]);
    let flag = |flag: bool| Some(Value::Flag(flag));
    let door = two("Vehicle.Cabin.Door.Row1.DriverSide.IsOpen", "", "");
    assert_eq!(signals(&door), [flag(false), flag(true), None, None]);
    let belts = two("Vehicle.Cabin.Seat.Row1.DriverSide.IsBelted", "combine = \"all\"", "");
    assert_eq!(signals(&belts), [flag(false), None, None, flag(true)]);

    // A magnitude and its sign.
    let rate = "[[signal]]\nfrom = \"BODY.MAG\"\nto = \"yaw_rate_radps\"\ncombine = \"product\"\n\
                [[signal]]\nfrom = \"BODY.SIGN\"\nto = \"yaw_rate_radps\"\nvalues = { 0 = 1, 1 = -1 }\n";
    let mut test = Custom::new(dbc, rate);
    for (data, expected) in [([0xe8, 0x03], 10f64), ([0xe8, 0x83], -10.0)] {
        let (state, _) = test.feed("can0", 416, &[0, data[0], data[1], 0, 0, 0, 0, 0], 1);
        assert!(near(state.expect("a state").yaw_rate_radps, expected.to_radians()));
    }
}

#[test]
fn an_indicator_of_which_one_flag_is_silent_is_not_off() {
    let dbc = "BO_ 1 A: 1 X\n SG_ L : 0|1@1+ (1,0) [0|1] \"\" X\n\nBO_ 2 B: 1 X\n SG_ R : 0|1@1+ (1,0) [0|1] \"\" X\n";
    let vss = "[[signal]]\nfrom = \"A.L\"\nto = \"indicator\"\nvalues = { 0 = \"off\", 1 = \"left\" }\ntimeout_ms = 100\n\
               [[signal]]\nfrom = \"B.R\"\nto = \"indicator\"\nvalues = { 0 = \"off\", 1 = \"right\" }\n";
    let mut test = Custom::new(dbc, vss);
    use v1::Indicator;
    let mut feed = |id: u32, data: u8, at: u64| test.feed("can0", id, &[data], at).0.expect("a state").indicator();
    assert_eq!(feed(1, 0, 0), Indicator::Unspecified);
    assert_eq!(feed(2, 0, 10), Indicator::Off);
    assert_eq!(feed(2, 1, 20), Indicator::Right);
    assert_eq!(feed(2, 0, 30), Indicator::Off);
    // The left one is too old.
    assert_eq!(feed(2, 0, 200), Indicator::Unspecified);
}

#[test]
fn a_radar_object_needs_all_of_its_signals_and_is_not_valid_without_a_measure() {
    let dbc = "BO_ 528 TRACK: 8 X\n SG_ DIST : 0|16@1+ (0.1,0) [0|300] \"m\" X\n SG_ LAT : 16|8@1- (1,0) [-100|100] \"m\" X\n \
               SG_ VEL : 32|8@1- (1,0) [-80|80] \"m/s\" X\n SG_ VALID : 40|1@1+ (1,0) [0|1] \"\" X\n";
    let vss = "[[radar]]\nmessages = [\"TRACK\"]\nx = \"DIST\"\ny = \"LAT\"\nvx = \"VEL\"\nvalid = \"VALID\"\n";
    let track = |data: &[u8]| {
        let mut test = Custom::new(dbc, vss);
        test.feed("can0", 528, data, 1).0.expect("a state").radar.first().cloned()
    };
    let found = track(&[0xe8, 3, 2, 0, 0xfb, 1, 0, 0]).expect("a track");
    assert_eq!((found.x_m, found.y_m, found.vx_mps, found.valid), (100.0, 2.0, -5.0, true));
    assert_eq!(track(&[0xe8, 3, 2, 0, 0xfb]), None, "VALID is not in the frame");
    // 6553.5 m.
    assert!(!track(&[0xff, 0xff, 2, 0, 0xfb, 1, 0, 0]).expect("a track").valid);
}

#[test]
fn the_period_of_the_database_sets_the_timeout() {
    let dbc = "BO_ 1 SLOW: 1 X\n SG_ S : 0|8@1+ (1,0) [0|0] \"km/h\" X\n\nBA_DEF_ BO_ \"GenMsgCycleTime\" INT 0 65535;\n\
               BA_DEF_DEF_ \"GenMsgCycleTime\" 0;\nBA_ \"GenMsgCycleTime\" BO_ 1 1000;\n";
    let vss = "[[signal]]\nfrom = \"SLOW.S\"\nto = \"speed_mps\"\n";
    let timeout = |vss: &str| {
        let database = Database::parse(dbc, "x.dbc").expect("valid");
        Mapping::parse(vss, "vss.toml", &database).expect("valid").signals()[0].timeout
    };
    assert_eq!(timeout(vss), Duration::from_millis(3000));
    assert_eq!(timeout(&format!("timeout_ms = 700\n{vss}")), Duration::from_millis(700));
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
