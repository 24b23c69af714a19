//! The state machine: what it publishes for what it receives.

use auriga_fusion::{Config, FusionNode};
use auriga_msgs::{Any, TopicId, node::FusionInput, v1};
use auriga_runtime::{Nanos, Node, Outbox};
use proptest::prelude::*;
use std::sync::Arc;
use v1::{HazardKind, Indicator, Severity};

struct Rig {
    node: FusionNode,
    out: Outbox<FusionNode>,
    seq: u64,
    published: Vec<(u64, Any)>,
}

fn ms(t: u64) -> Nanos {
    Nanos::from_millis(t)
}

fn ns(t: u64) -> u64 {
    ms(t).0
}

impl Rig {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        let mut rig = Rig { node: FusionNode::new(config).unwrap(), out: Outbox::default(), seq: 0, published: vec![] };
        rig.tick(0);
        let info = v1::CameraInfo { bumper_ahead_m: 2.1, ..Default::default() };
        rig.feed(0, FusionInput::CameraFrontInfo(Arc::new(info)));
        rig
    }

    fn collect(&mut self, now: u64) -> Vec<Any> {
        let messages = self.out.take_messages();
        self.published.extend(messages.iter().map(|m| (now, m.clone())));
        messages
    }

    fn tick(&mut self, now: u64) -> Vec<Any> {
        self.node.on_tick(ms(now), &mut self.out);
        self.collect(now)
    }

    fn feed(&mut self, now: u64, input: FusionInput) -> Vec<Any> {
        self.node.on_input(input, ms(now), &mut self.out);
        self.collect(now)
    }

    /// A vehicle state measured at `stamp`, given to the node at `now`; its trace is its stamp in milliseconds.
    fn vehicle_at(&mut self, now: u64, stamp: u64, state: v1::VehicleState) -> Vec<Any> {
        let seq = self.seq;
        self.seq += 1;
        let header = Some(v1::Header { seq, ..v1::Header::new(ns(stamp), stamp) });
        self.feed(now, FusionInput::VehicleState(Arc::new(v1::VehicleState { header, ..state })))
    }

    fn vehicle(&mut self, t: u64, state: v1::VehicleState) -> Vec<Any> {
        self.vehicle_at(t, t, state)
    }

    fn lanes_at(&mut self, now: u64, stamp: u64, lanes: v1::Lanes) -> Vec<Any> {
        let header = Some(v1::Header::new(ns(stamp), 1_000_000 + stamp));
        self.feed(now, FusionInput::PerceptionLanes(Arc::new(v1::Lanes { header, ..lanes })))
    }

    /// Ticks every 5 ms in (from, to].
    fn idle(&mut self, from: u64, to: u64) -> Vec<Any> {
        (from / 5 + 1..=to / 5).flat_map(|t| self.tick(t * 5)).collect()
    }
}

fn moving(speed: f64) -> v1::VehicleState {
    v1::VehicleState { speed_mps: Some(speed), yaw_rate_radps: Some(0.0), ..Default::default() }
}

fn with_lead(speed: f64, x: f64, vx: f64) -> v1::VehicleState {
    let track = v1::RadarTrack { id: 2, x_m: x as f32, y_m: 0.1, vx_mps: vx as f32, valid: true, stamp_ns: 0 };
    v1::VehicleState { radar: vec![track], ..moving(speed) }
}

fn lanes(left: f64, right: f64, heading: f64) -> v1::Lanes {
    let line = |c0_m| Some(v1::LaneLine { c0_m, confidence: 0.9, x_max_m: 30.0, ..Default::default() });
    v1::Lanes {
        left: line(left),
        right: line(-right),
        heading_rad: Some(heading),
        curvature_per_m: Some(0.0),
        ..Default::default()
    }
}

fn centred() -> v1::Lanes {
    lanes(1.75, 1.75, 0.0)
}

fn hazards(messages: &[Any]) -> Vec<v1::Hazard> {
    messages.iter().filter_map(|m| if let Any::FusionHazard(h) = m { Some(h.as_ref().clone()) } else { None }).collect()
}

fn scenes(messages: &[Any]) -> Vec<v1::Scene> {
    messages.iter().filter_map(|m| if let Any::FusionScene(s) = m { Some(s.as_ref().clone()) } else { None }).collect()
}

fn faults(messages: &[Any]) -> Vec<String> {
    messages.iter().filter_map(|m| if let Any::Fault(f) = m { Some(f.code.clone()) } else { None }).collect()
}

/// A lead that brakes hard: radar at 20 Hz, vehicle state at 100 Hz.
fn braking_lead(b: &mut Rig) -> Vec<(u64, v1::Hazard)> {
    let (mut gap, mut lead_v, own_v) = (25.0, 14.0, 14.0);
    let mut seen = Vec::new();
    for t in (1000u64..5000).step_by(10) {
        if t > 2000 {
            lead_v = f64::max(lead_v - 0.06, 4.0);
        }
        gap += (lead_v - own_v) * 0.01;
        let state = if t % 50 == 0 { with_lead(own_v, gap, lead_v - own_v) } else { moving(own_v) };
        if gap < 1.0 {
            break;
        }
        seen.extend(hazards(&b.vehicle(t, state)).into_iter().map(|h| (t, h)));
    }
    seen
}

#[test]
fn a_forward_collision_has_the_stamp_and_trace_of_its_evidence() {
    let mut b = Rig::new();
    let seen = braking_lead(&mut b);
    let (t, onset) = &seen[0];
    assert_eq!(onset.kind(), HazardKind::ForwardCollision);
    assert_eq!((onset.severity(), onset.active, onset.id), (Severity::Warning, true, 1));
    assert_eq!(onset.header.unwrap(), v1::Header::new(ns(*t), *t), "stamp and trace of the message just taken in");
    assert!(onset.time_to_collision_s.unwrap() < 2.5);
    let (t2, critical) = &seen[1];
    assert_eq!((critical.severity(), critical.id), (Severity::Critical, 1));
    assert!(t2 > t && seen.len() == 2, "{seen:?}");
}

#[test]
fn a_forward_collision_ends_with_its_id_when_the_lead_drives_away() {
    let mut b = Rig::new();
    braking_lead(&mut b);
    let mut ends = Vec::new();
    for k in 0..40 {
        ends.extend(hazards(&b.vehicle(5000 + k * 50, with_lead(10.0, 8.0 + k as f64 * 0.25, 5.0))));
    }
    let last = ends.last().unwrap();
    assert_eq!((last.id, last.active), (1, false));
}

#[test]
fn a_collision_warning_ends_when_the_bus_is_silent() {
    let mut b = Rig::new();
    let (t, _) = braking_lead(&mut b)[0];
    let after = hazards(&b.idle(t + 2000, t + 4500));
    assert!(after.iter().any(|h| h.kind() == HazardKind::SensorLost && h.active));
    assert!(after.iter().any(|h| h.kind() == HazardKind::ForwardCollision && !h.active));
}

#[test]
fn objects_in_the_next_lane_or_beyond_a_bend_are_no_hazard() {
    let mut b = Rig::new();
    for k in 0..60u64 {
        let t = 1000 + k * 50;
        // A bend to the left of 200 m radius at 20 m/s; straight ahead stands a wall of parked cars.
        let track = |id, x: f64, y: f64| v1::RadarTrack {
            id,
            x_m: x as f32,
            y_m: y as f32,
            vx_mps: -20.0,
            valid: true,
            stamp_ns: 0,
        };
        let x = 70.0 - k as f64;
        let state = v1::VehicleState {
            radar: vec![track(1, x.max(45.0), 0.0), track(2, x.max(5.0), -3.5)],
            yaw_rate_radps: Some(0.1),
            ..moving(20.0)
        };
        assert_eq!(hazards(&b.vehicle(t, state)), vec![]);
    }
}

#[test]
fn a_lane_departure_has_the_stamp_of_its_frame_and_ends() {
    let mut b = Rig::new();
    let mut seen = Vec::new();
    for k in 0..60u64 {
        let t = 1000 + k * 40;
        b.vehicle(t, moving(15.0));
        let y = if k < 30 { k as f64 * 0.04 } else { (60 - k) as f64 * 0.04 };
        let heading = if k < 30 { 0.066 } else { -0.066 };
        let messages = b.lanes_at(t + 12, t, lanes(1.75 - y, 1.75 + y, heading));
        seen.extend(hazards(&messages).into_iter().map(|h| (t, h)));
    }
    assert_eq!(seen.len(), 2, "{seen:?}");
    let (t, onset) = &seen[0];
    assert_eq!((onset.kind(), onset.severity()), (HazardKind::LaneDeparture, Severity::Warning));
    assert_eq!(onset.header.unwrap(), v1::Header::new(ns(*t), 1_000_000 + t));
    assert!(onset.text.contains("left"));
    assert!(onset.distance_m.unwrap() > 0.0, "before the tyre is past the line");
    assert!(!seen[1].1.active && seen[1].1.id == onset.id);
}

#[test]
fn an_indicator_suppresses_the_departure_of_its_own_side_only() {
    for (indicator, expected) in
        [(Indicator::Left, 0), (Indicator::Right, 1), (Indicator::Off, 1), (Indicator::Hazard, 1)]
    {
        let mut b = Rig::new();
        let mut onsets = 0;
        for k in 0..30u64 {
            let t = 1000 + k * 40;
            b.vehicle(t, v1::VehicleState { indicator: indicator.into(), ..moving(15.0) });
            let y = k as f64 * 0.04;
            onsets += hazards(&b.lanes_at(t + 12, t, lanes(1.75 - y, 1.75 + y, 0.066))).len();
        }
        assert_eq!(onsets, expected, "{indicator:?}");
    }
}

#[test]
fn a_scene_has_the_vehicle_state_interpolated_to_the_camera_frame() {
    let mut b = Rig::new();
    b.vehicle(1000, moving(10.0));
    assert!(scenes(&b.lanes_at(1012, 1005, centred())).is_empty(), "waits for CAN");
    let scene = &scenes(&b.vehicle(1013, v1::VehicleState { ..moving(23.0) }))[0];
    let header = scene.header.unwrap();
    assert_eq!((header.stamp_ns, header.trace_id), (ns(1005), 1_001_005));
    let speed = scene.vehicle.as_ref().unwrap().speed_mps.unwrap();
    assert!((speed - 15.0).abs() < 1e-9, "{speed}");
    assert_eq!((scene.camera_age_ns, scene.can_age_ns, scene.speech_age_ns), (Some(0), Some(5_000_000), None));
}

#[test]
fn a_scene_waits_at_most_max_wait_ms_and_not_at_all_on_a_silent_bus() {
    let mut b = Rig::new();
    b.vehicle(1000, moving(10.0));
    b.lanes_at(1012, 1005, centred());
    assert!(scenes(&b.idle(1012, 1030)).is_empty());
    let scene = &scenes(&b.idle(1030, 1035))[0];
    assert_eq!(scene.vehicle.as_ref().unwrap().speed_mps, Some(10.0), "held");
    assert_eq!(scenes(&b.lanes_at(1812, 1800, centred())).len(), 1, "dead bus");
    let mut without_can = Rig::new();
    let scene = &scenes(&without_can.lanes_at(1012, 1000, centred()))[0];
    assert_eq!((scene.vehicle.clone(), scene.can_age_ns), (None, None));
}

#[test]
fn frames_out_of_order_give_scenes_in_order_and_a_duplicate_gives_none() {
    let mut b = Rig::new();
    b.vehicle(1000, moving(10.0));
    b.lanes_at(1060, 1045, centred());
    b.lanes_at(1061, 1005, centred());
    b.lanes_at(1062, 1045, centred());
    let stamps: Vec<u64> = scenes(&b.vehicle(1070, moving(10.0))).iter().map(|s| s.header.unwrap().stamp_ns).collect();
    assert_eq!(stamps, [ns(1005), ns(1045)]);
    assert!(scenes(&b.lanes_at(1071, 1045, centred())).is_empty(), "known");
    let late = b.lanes_at(1072, 1020, centred());
    assert!(scenes(&late).is_empty(), "scenes never go back");
    assert_eq!(faults(&late), ["message-too-old"]);
}

#[test]
fn duplicate_and_late_vehicle_states_do_not_confirm_a_hazard() {
    let mut b = Rig::new();
    let state = |x| with_lead(15.0, x, -10.0);
    b.vehicle(1000, state(15.0));
    let again = Arc::new(v1::VehicleState {
        header: Some(v1::Header { seq: 0, ..v1::Header::new(ns(1000), 1000) }),
        ..state(15.0)
    });
    for t in 1001..1010 {
        assert!(hazards(&b.feed(t, FusionInput::VehicleState(again.clone()))).is_empty());
    }
    assert!(hazards(&b.vehicle_at(1011, 950, state(15.5))).is_empty(), "older radar confirms nothing");
    b.vehicle(1050, state(14.5));
    assert_eq!(hazards(&b.vehicle(1100, state(14.0))).len(), 1);
}

#[test]
fn without_camera_scenes_continue_from_can_and_the_loss_is_a_hazard() {
    let mut b = Rig::new();
    for t in (1000..1400).step_by(40) {
        b.vehicle(t, moving(10.0));
        b.lanes_at(t + 10, t, centred());
    }
    let mut silent = Vec::new();
    for t in (1400..3400).step_by(10) {
        silent.extend(b.vehicle(t, moving(10.0)));
        silent.extend(b.tick(t));
    }
    let camera_less = scenes(&silent);
    // From 200 ms after the last frame (1360) on, at 10 Hz.
    assert!((17..=19).contains(&camera_less.len()), "{}", camera_less.len());
    let last = camera_less.last().unwrap();
    assert!(
        last.lanes.is_none() && last.camera_age_ns.unwrap() > 1_500_000_000 && last.can_age_ns.unwrap() <= 10_000_000
    );
    assert_eq!(last.hazards[0].kind(), HazardKind::SensorLost);
    let raised = hazards(&silent);
    // The onset, and again every 500 ms.
    assert_eq!(raised.iter().map(|h| h.id).collect::<Vec<_>>(), [1; 4]);
    assert_eq!(
        (raised[0].kind(), raised[0].severity(), raised[0].active),
        (HazardKind::SensorLost, Severity::Warning, true)
    );
    assert_eq!(raised[0].header.unwrap().stamp_ns, ns(1860));
    let over = hazards(&b.lanes_at(3410, 3400, centred()));
    assert_eq!((over[0].id, over[0].active), (raised[0].id, false));
}

#[test]
fn a_silent_bus_is_a_hazard_until_its_next_message() {
    let mut b = Rig::new();
    b.vehicle(1000, moving(10.0));
    let raised = hazards(&b.idle(1000, 1600));
    assert!(raised[0].active && raised[0].text.contains("bus"));
    let over = hazards(&b.vehicle(1700, moving(10.0)));
    assert_eq!((over[0].id, over[0].active), (raised[0].id, false));
}

#[test]
fn a_sensor_that_never_came_is_lost_only_when_expected() {
    let mut b = Rig::new();
    assert!(b.idle(0, 20_000).is_empty());
    let mut config = Config::default();
    config.sensors.expect_camera = true;
    let mut b = Rig::with(config);
    let raised = hazards(&b.idle(0, 20_000));
    assert!(raised.iter().all(|h| h.id == 1 && h.active));
    assert_eq!(raised[0].header.unwrap().stamp_ns, ns(10_000));
}

#[test]
fn an_active_hazard_is_published_again_every_half_second_until_its_end() {
    let mut b = Rig::new();
    b.vehicle(1000, moving(10.0));
    let messages = b.idle(1000, 4000);
    let published: Vec<(u64, bool)> = b
        .published
        .iter()
        .filter_map(|(t, m)| if let Any::FusionHazard(h) = m { Some((*t, h.active)) } else { None })
        .collect();
    assert_eq!(published, [1500, 2000, 2500, 3000, 3500, 4000].map(|t| (t, true)));
    assert!(hazards(&messages).iter().all(|h| h.id == 1 && h.header.unwrap().trace_id == 0));
    let end = hazards(&b.vehicle(4100, moving(10.0)));
    assert_eq!((end[0].id, end[0].active), (1, false));
    assert!(hazards(&b.idle(4100, 4500)).is_empty());
}

#[test]
fn the_words_of_an_utterance_are_in_the_scene_only_when_configured() {
    for (wanted, expected) in [(false, ""), (true, "call anna")] {
        let mut b = Rig::with(Config { utterance_text_in_scene: wanted, ..Config::default() });
        let header = Some(v1::Header::new(ns(900), 7));
        let utterance = v1::Utterance {
            header,
            text: "call anna".into(),
            r#final: true,
            zone: v1::SpeakerZone::Driver.into(),
            ..Default::default()
        };
        b.feed(950, FusionInput::SpeechUtterance(Arc::new(utterance)));
        b.feed(
            960,
            FusionInput::SpeechUtterance(Arc::new(v1::Utterance { text: "call".into(), ..Default::default() })),
        );
        let scene = &scenes(&b.lanes_at(1010, 1000, centred()))[0];
        let said = scene.last_utterance.as_ref().unwrap();
        assert_eq!((said.text.as_str(), said.zone()), (expected, v1::SpeakerZone::Driver));
        assert_eq!(scene.speech_age_ns, Some(100_000_000));
    }
}

#[test]
fn a_scene_has_the_newest_value_of_every_signal() {
    let mut b = Rig::new();
    let signal = |path: &str, t, v| v1::VssSignal {
        path: path.into(),
        stamp_ns: ns(t),
        value: Some(v1::vss_signal::Value::Number(v)),
    };
    b.vehicle(1000, v1::VehicleState { signals: vec![signal("Vehicle.A", 1000, 1.0)], ..moving(10.0) });
    b.vehicle(
        1010,
        v1::VehicleState {
            signals: vec![signal("Vehicle.B", 1010, 2.0), signal("Vehicle.A", 990, 9.0)],
            ..moving(10.0)
        },
    );
    let scene = &scenes(&b.lanes_at(1020, 1005, centred()))[0];
    let expected = vec![signal("Vehicle.A", 1000, 1.0), signal("Vehicle.B", 1010, 2.0)];
    assert_eq!(scene.vehicle.as_ref().unwrap().signals, expected);
}

#[test]
fn tracks_are_published_once_per_radar_sweep() {
    let mut b = Rig::new();
    let mut count = 0;
    for k in 0..20u64 {
        for id in 0..4u64 {
            let track = v1::RadarTrack { id: id as u32, x_m: 20.0 + id as f32, valid: true, ..Default::default() };
            let messages = b.vehicle(1000 + k * 50 + id, v1::VehicleState { radar: vec![track], ..moving(10.0) });
            count += messages.iter().filter(|m| m.topic() == TopicId::FusionTracks).count();
        }
    }
    assert_eq!(count, 20);
}

#[test]
fn implausible_values_are_reported_and_ignored() {
    let mut b = Rig::new();
    let broken = with_lead(f64::NAN, f64::INFINITY, f64::NEG_INFINITY);
    for t in (1000..1500).step_by(50) {
        assert!(hazards(&b.vehicle(t, broken.clone())).is_empty());
    }
    let lanes = lanes(f64::NAN, 0.2, 0.3);
    b.vehicle(1500, v1::VehicleState { speed_mps: Some(1e6), ..Default::default() });
    for t in (1500..1600).step_by(40) {
        assert!(hazards(&b.lanes_at(t, t, lanes)).is_empty(), "no departure without a speed");
    }
    let all: Vec<Any> = b.published.iter().map(|(_, m)| m.clone()).collect();
    assert!(faults(&all).iter().all(|c| c == "implausible-value") && !faults(&all).is_empty());
    assert_eq!(scenes(&all).last().unwrap().vehicle.as_ref().unwrap().speed_mps, None);
}

#[test]
fn a_message_stamped_in_the_future_is_dropped() {
    let mut b = Rig::new();
    assert_eq!(faults(&b.vehicle_at(1000, 5000, moving(10.0))), ["stamp-ahead"]);
    b.vehicle(1010, moving(12.0));
    let scene = &scenes(&b.lanes_at(1012, 1010, centred()))[0];
    assert_eq!(scene.vehicle.as_ref().unwrap().speed_mps, Some(12.0));
}

#[derive(Debug, Clone)]
enum Event {
    Vehicle {
        lag: i64,
        seq: u64,
        speed: Option<f64>,
        yaw: Option<f64>,
        radar: Vec<(u32, f32, f32, f32, bool)>,
        indicator: i32,
    },
    Lanes {
        lag: i64,
        left: Option<(f64, f64, f32)>,
        right: Option<(f64, f64, f32)>,
        heading: Option<f64>,
    },
    Utterance {
        lag: i64,
        last: bool,
    },
    Tick,
}

/// Mostly plausible values, sometimes any bit pattern.
fn number(low: f64, high: f64) -> impl Strategy<Value = f64> {
    prop_oneof![8 => low..high, 1 => any::<f64>(), 1 => Just(f64::NAN)]
}

fn event() -> impl Strategy<Value = Event> {
    let lag = || prop_oneof![8 => -5i64..60, 1 => -500i64..5000, 1 => any::<i64>()];
    let line = || proptest::option::of((number(-4.0, 4.0), number(-0.1, 0.1), 0f32..1.2));
    let radar = || (0u32..12, number(0.0, 120.0), number(-6.0, 6.0), number(-30.0, 10.0), any::<bool>());
    let radar = || radar().prop_map(|(id, x, y, v, valid)| (id, x as f32, y as f32, v as f32, valid));
    let speed = || proptest::option::of(number(0.0, 40.0));
    prop_oneof![
        6 => (lag(), any::<u64>(), speed(), proptest::option::of(number(-0.5, 0.5)), proptest::collection::vec(radar(), 0..5), -1i32..7)
            .prop_map(|(lag, seq, speed, yaw, radar, indicator)| Event::Vehicle { lag, seq, speed, yaw, radar, indicator }),
        4 => (lag(), line(), line(), proptest::option::of(number(-0.2, 0.2)))
            .prop_map(|(lag, left, right, heading)| Event::Lanes { lag, left, right, heading }),
        1 => (lag(), any::<bool>()).prop_map(|(lag, last)| Event::Utterance { lag, last }),
        3 => Just(Event::Tick),
    ]
}

fn run(events: &[(u64, Event)]) -> Vec<(u64, Any)> {
    let mut b = Rig::new();
    let mut now = 1000u64;
    for (step, event) in events {
        now += step;
        let header = |lag: i64| {
            Some(v1::Header::new((ns(now) as i64).saturating_sub(lag.saturating_mul(1_000_000)) as u64, now))
        };
        match event.clone() {
            Event::Vehicle { lag, seq, speed, yaw, radar, indicator } => {
                let radar = radar
                    .into_iter()
                    .map(|(id, x_m, y_m, vx_mps, valid)| v1::RadarTrack { id, x_m, y_m, vx_mps, valid, stamp_ns: 0 })
                    .collect();
                let header = header(lag).map(|h| v1::Header { seq, ..h });
                let state = v1::VehicleState {
                    header,
                    speed_mps: speed,
                    yaw_rate_radps: yaw,
                    radar,
                    indicator,
                    ..Default::default()
                };
                b.feed(now, FusionInput::VehicleState(Arc::new(state)));
            }
            Event::Lanes { lag, left, right, heading } => {
                let line = |l: Option<(f64, f64, f32)>| {
                    l.map(|(c0_m, c1, confidence)| v1::LaneLine {
                        c0_m,
                        c1,
                        confidence,
                        x_max_m: 30.0,
                        ..Default::default()
                    })
                };
                let lanes = v1::Lanes {
                    header: header(lag),
                    left: line(left),
                    right: line(right),
                    heading_rad: heading,
                    ..Default::default()
                };
                b.feed(now, FusionInput::PerceptionLanes(Arc::new(lanes)));
            }
            Event::Utterance { lag, last } => {
                let utterance = v1::Utterance { header: header(lag), r#final: last, ..Default::default() };
                b.feed(now, FusionInput::SpeechUtterance(Arc::new(utterance)));
            }
            Event::Tick => {
                b.tick(now);
            }
        }
    }
    b.published
}

fn is_finite(scene: &v1::Scene) -> bool {
    let v = scene.vehicle.clone().unwrap_or_default();
    let motion = [v.speed_mps, v.yaw_rate_radps];
    (0.0..=1.0).contains(&scene.driving_load)
        && motion.into_iter().flatten().all(f64::is_finite)
        && scene.tracks.iter().all(|t| t.x_m.is_finite() && t.y_m.is_finite() && t.vx_mps.is_finite())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn for_any_input_scenes_stay_in_order_and_every_hazard_end_follows_an_onset(
        events in proptest::collection::vec((0u64..120, event()), 0..120),
    ) {
        let published = run(&events);
        let mut last_scene = 0;
        let mut on = std::collections::BTreeSet::new();
        for (_, message) in &published {
            match message {
                Any::FusionScene(s) => {
                    let stamp = s.header.unwrap().stamp_ns;
                    prop_assert!(stamp > last_scene, "scenes go back");
                    last_scene = stamp;
                    prop_assert!(is_finite(s));
                    let in_scene: std::collections::BTreeSet<u64> = s.hazards.iter().map(|h| h.id).collect();
                    prop_assert_eq!(&in_scene, &on, "the scene holds the published hazards");
                }
                Any::FusionHazard(h) => {
                    prop_assert!(h.time_to_collision_s.is_none_or(f64::is_finite));
                    prop_assert!(h.distance_m.is_none_or(f64::is_finite));
                    if h.active { on.insert(h.id); } else { prop_assert!(on.remove(&h.id), "an end without onset"); }
                }
                _ => {}
            }
        }
    }

    #[test]
    fn the_same_inputs_give_the_same_bytes(events in proptest::collection::vec((0u64..120, event()), 0..60)) {
        let bytes = |published: Vec<(u64, Any)>| {
            let mut buf = Vec::new();
            published.iter().for_each(|(_, m)| m.encode(&mut buf).unwrap());
            buf
        };
        prop_assert_eq!(bytes(run(&events)), bytes(run(&events)));
    }
}
