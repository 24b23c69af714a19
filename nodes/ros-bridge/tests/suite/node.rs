//! The messages published on the ROS side.

use crate::common::{camera_info, hazard, image, state};
use auriga_msgs::{Any, FromAny, TOPICS, Topic, node::RosBridgeInput, topic, v1};
use auriga_ros_bridge::{
    Config, DEFAULTS, Publish, RosBridgeNode,
    clock::RosClock,
    message::{KeyValue, RosMessage, Time, level},
};
use auriga_runtime::{Nanos, Node, Outbox};
use bytes::Bytes;
use proptest::prelude::*;
use std::sync::Arc;

fn config() -> Config {
    toml::from_str(DEFAULTS).unwrap()
}

struct TestNode {
    node: RosBridgeNode,
    out: Outbox<RosBridgeNode>,
}

impl TestNode {
    fn new() -> TestNode {
        TestNode { node: RosBridgeNode::new(&config()).unwrap(), out: Outbox::default() }
    }
    fn feed<T: Topic>(&mut self, message: T::Message, now: Nanos) -> Vec<Publish> {
        let input = RosBridgeInput::from_any(T::wrap(Arc::new(message))).unwrap();
        self.node.on_input(input, now, &mut self.out);
        self.out.take_effects()
    }
    fn faults(&mut self) -> Vec<Arc<v1::Fault>> {
        self.out.take_messages().into_iter().map(|m| if let Any::Fault(f) = m { f } else { panic!("{m:?}") }).collect()
    }
}

#[test]
fn every_topic_with_a_ros_name_is_published_with_its_type_in_the_table() {
    let mut published = Vec::new();
    let mut test = TestNode::new();
    published.extend(test.feed::<topic::CameraFrontImage>(image(), Nanos(0)));
    published.extend(test.feed::<topic::CameraFrontInfo>(camera_info(), Nanos(0)));
    published.extend(test.feed::<topic::VehicleState>(state(5.0), Nanos(0)));
    published.extend(test.feed::<topic::FusionHazard>(hazard(), Nanos(0)));
    published.extend(test.feed::<topic::Fault>(v1::Fault::default(), Nanos(0)));
    for topic in TOPICS {
        let Some(ros) = topic.ros else { continue };
        let found = published.iter().find(|p| p.ros == ros);
        assert_eq!(found.map(|p| p.message.type_name()), Some(ros.ty), "{}", topic.name);
    }
    assert!(published.iter().all(|p| p.message.type_name() == p.ros.ty));
}

#[test]
fn a_twist_needs_speed_and_yaw_rate_and_their_absence_becomes_a_fault() {
    let mut test = TestNode::new();
    let half = v1::VehicleState { yaw_rate_radps: None, ..state(5.0) };
    assert_eq!(test.feed::<topic::VehicleState>(half.clone(), Nanos(0)), []);
    assert!(test.faults().is_empty(), "at the start values may be missing");
    test.feed::<topic::VehicleState>(half.clone(), Nanos::from_millis(2001));
    assert_eq!(test.faults()[0].code, "no-ros-message");
    let [Publish { message: RosMessage::TwistStamped(twist), stamp, .. }] =
        &test.feed::<topic::VehicleState>(state(5.0), Nanos::from_millis(2100))[..]
    else {
        panic!("one twist expected")
    };
    assert_eq!((twist.twist.linear.x, twist.twist.angular.z), (5.0, 0.125));
    assert_eq!((twist.header.frame_id.as_str(), *stamp), ("base_link", Nanos(3_000_000_000)));
    let faults = test.faults();
    assert_eq!((faults[0].code.as_str(), faults[0].state()), ("no-ros-message", v1::FaultState::Cleared));
}

#[test]
fn an_active_hazard_has_its_severity_as_level_and_an_ended_one_ok() {
    let mut test = TestNode::new();
    for (active, severity, expected) in [
        (true, v1::Severity::Critical, level::ERROR),
        (true, v1::Severity::Warning, level::WARN),
        (true, v1::Severity::Info, level::OK),
        (false, v1::Severity::Critical, level::OK),
    ] {
        let hazard = v1::Hazard { active, severity: severity.into(), ..hazard() };
        let published = test.feed::<topic::FusionHazard>(hazard, Nanos(0));
        let [Publish { message: RosMessage::DiagnosticArray(array), .. }] = &published[..] else { panic!() };
        let status = &array.status[0];
        assert_eq!((status.level, status.name.as_str()), (expected, "auriga/hazard/forward-collision"));
        assert!(status.values.contains(&KeyValue { key: "time_to_collision_s".into(), value: "1.25".into() }));
        assert!(!status.values.iter().any(|v| v.key == "distance_m"), "an unknown value is omitted");
    }
}

#[test]
fn a_cleared_fault_has_the_level_ok() {
    let mut test = TestNode::new();
    let mut status = |state: v1::FaultState| {
        let fault = v1::Fault { severity: v1::Severity::Critical.into(), state: state.into(), ..Default::default() };
        let published = test.feed::<topic::Fault>(fault, Nanos(0));
        let [Publish { message: RosMessage::DiagnosticArray(array), .. }] = &published[..] else { panic!() };
        array.status[0].level
    };
    assert_eq!(status(v1::FaultState::Raised), level::ERROR);
    assert_eq!(status(v1::FaultState::Active), level::ERROR);
    assert_eq!(status(v1::FaultState::Cleared), level::OK);
}

#[test]
fn images_and_infos_that_would_crash_a_subscriber_are_faults() {
    let mut test = TestNode::new();
    let short = v1::Image { data: Bytes::from_static(b"short"), ..image() };
    let narrow = v1::Image { width: 4, ..image() };
    let strange = v1::Image { encoding: "yuv422".into(), ..image() };
    for bad in [short, narrow, strange] {
        assert_eq!(test.feed::<topic::CameraFrontImage>(bad, Nanos(0)), []);
    }
    let matrix = v1::CameraInfo { k: vec![1.0; 8], ..camera_info() };
    assert_eq!(test.feed::<topic::CameraFrontInfo>(matrix, Nanos(0)), []);
    let faults = test.faults();
    let texts: Vec<&str> = faults.iter().map(|f| f.text.as_str()).collect();
    // Repeats of a code and subject are published at powers of two.
    assert_eq!(texts.len(), 3, "{texts:?}");
    assert!(texts[2].contains("8 elements, expected 9"), "{texts:?}");
}

#[test]
fn stamps_are_converted_to_ros_time_within_its_range() {
    let clock = RosClock::with_offset(1_700_000_000_250_000_000);
    assert_eq!(clock.at(Nanos(1_800_000_000)), Time { sec: 1_700_000_002, nanosec: 50_000_000 });
    assert_eq!(RosClock::with_offset(0).at(Nanos(u64::MAX)), Time { sec: i32::MAX, nanosec: 999_999_999 });
    assert_eq!(RosClock::with_offset(-1).at(Nanos(0)), Time { sec: -1, nanosec: 999_999_999 });
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    let measured = i64::from(RosClock::measure().at(Nanos::monotonic()).sec);
    assert!((measured - now).abs() <= 1, "{measured} against {now}");
}

#[test]
fn an_error_in_the_configuration_names_the_field() {
    for (bad, field) in [
        (Config { domain_id: 233, ..config() }, "domain_id"),
        (Config { networks: vec!["192.168.1.4".parse().unwrap()], ..config() }, "networks"),
    ] {
        let e = RosBridgeNode::new(&bad).err().unwrap();
        assert!(e.to_string().starts_with(field), "{e}");
    }
}

proptest! {
    #[test]
    fn any_published_image_has_the_stated_size(
        width: u32, height in 0u32..100, step in 0u32..400, length in 0usize..40_000, encoding in "bgr8|mono8|x",
    ) {
        let bad = v1::Image { width, height, step, encoding, data: vec![0; length].into(), ..image() };
        for publish in TestNode::new().feed::<topic::CameraFrontImage>(bad, Nanos(0)) {
            let RosMessage::Image(ros) = publish.message else { panic!() };
            prop_assert_eq!(ros.data.len() as u64, u64::from(ros.step) * u64::from(ros.height));
        }
    }
}
