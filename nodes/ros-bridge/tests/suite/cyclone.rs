//! The executable with another DDS implementation (PyPI: cyclonedds) as subscriber, over loopback.

use crate::common;
use crate::common::{camera_info, hazard, python_with, state};
use auriga_msgs::{Any, NodeName, node, v1};
use auriga_runtime::{Nanos, config::RuntimeConfig, transport::Link};
use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Takes one sample of each topic and prints its contents.
const SUBSCRIBE: &str = r#"
import sys, time, types
from dataclasses import dataclass
from cyclonedds.domain import DomainParticipant
from cyclonedds.topic import Topic
from cyclonedds.sub import DataReader
from cyclonedds.core import Qos, Policy
from cyclonedds.util import duration
from cyclonedds.idl import IdlStruct
from cyclonedds.idl.types import int32, uint32, uint8, float64, sequence, array


def message(package, type_name, /, **fields):
    """The IDL type of a ROS message."""
    options = {"typename": f"{package}::msg::dds_::{type_name}_"}
    return dataclass(types.new_class(type_name, (IdlStruct,), options, lambda ns: ns.update(__annotations__=fields)))

Time = message("builtin_interfaces", "Time", sec=int32, nanosec=uint32)
Header = message("std_msgs", "Header", stamp=Time, frame_id=str)
Vector3 = message("geometry_msgs", "Vector3", x=float64, y=float64, z=float64)
Twist = message("geometry_msgs", "Twist", linear=Vector3, angular=Vector3)
TwistStamped = message("geometry_msgs", "TwistStamped", header=Header, twist=Twist)
size = {"height": uint32, "width": uint32}
pixels = {"encoding": str, "is_bigendian": uint8, "step": uint32, "data": sequence[uint8]}
Image = message("sensor_msgs", "Image", header=Header, **size, **pixels)
Roi = message("sensor_msgs", "RegionOfInterest", x_offset=uint32, y_offset=uint32, **size, do_rectify=bool)
lens = {"distortion_model": str, "d": sequence[float64]}
matrices = {"k": array[float64, 9], "r": array[float64, 9], "p": array[float64, 12]}
binning = {"binning_x": uint32, "binning_y": uint32}
CameraInfo = message("sensor_msgs", "CameraInfo", header=Header, **size, **lens, **matrices, **binning, roi=Roi)
KeyValue = message("diagnostic_msgs", "KeyValue", key=str, value=str)
status = {"level": uint8, "name": str, "message": str, "hardware_id": str, "values": sequence[KeyValue]}
Status = message("diagnostic_msgs", "DiagnosticStatus", **status)
Array = message("diagnostic_msgs", "DiagnosticArray", header=Header, status=sequence[Status])

participant = DomainParticipant(int(sys.argv[1]))
reliable = Qos(Policy.Reliability.Reliable(duration(seconds=1)), Policy.History.KeepLast(10))
best = Qos(Policy.Reliability.BestEffort, Policy.History.KeepLast(1))
def reader(name, kind, qos):
    return DataReader(participant, Topic(participant, name, kind, qos=qos), qos=qos)
readers = {
    "speed": reader("rt/vehicle/speed", TwistStamped, reliable),
    "image": reader("rt/camera/front/image_rect_color", Image, best),
    "info": reader("rt/camera/front/camera_info", CameraInfo, reliable),
    "hazard": reader("rt/diagnostics", Array, reliable),
}
end = time.monotonic() + 60
seen = {}
while len(seen) < 4 and time.monotonic() < end:
    for name, r in readers.items():
        for m in r.take(N=1):
            # Faults of a slow machine are on the same topic.
            if name == "hazard" and not m.status[0].name.startswith("auriga/hazard/"):
                continue
            seen.setdefault(name, m)
    time.sleep(0.01)
for name in readers:
    m = seen.get(name)
    if m is None:
        print(name, "not received")
    elif name == "speed":
        print(name, m.header.frame_id, m.twist.linear.x, m.twist.angular.z, m.header.stamp.sec)
    elif name == "image":
        print(name, m.width, m.height, m.encoding, m.step, len(m.data), m.data[-1])
    elif name == "info":
        print(name, m.width, m.height, m.distortion_model, m.k[0], m.p[2])
    else:
        s = m.status[0]
        print(name, s.level, s.name, s.message, [(v.key, v.value) for v in s.values])
"#;

/// Loopback alone, discovery without multicast.
const CYCLONE: &str = r#"<CycloneDDS><Domain><General><Interfaces><NetworkInterface name="lo" multicast="false"/></Interfaces>
<AllowMulticast>false</AllowMulticast></General><Discovery><ParticipantIndex>auto</ParticipantIndex>
<Peers><Peer address="127.0.0.1"/></Peers></Discovery></Domain></CycloneDDS>"#;

/// Kills the process when the test fails before it ends.
struct Process(Child);
impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// 640x480: many UDP datagrams.
fn large_image() -> v1::Image {
    let (width, height) = (640, 480);
    let data: Vec<u8> = (0..3 * width * height).map(|i| (i % 251) as u8).collect();
    v1::Image { width, height, step: 3 * width, data: data.into(), ..common::image() }
}

#[test]
fn cyclone_dds_receives_speed_image_camera_info_and_hazard_with_ros_time() {
    let Some(python) = python_with("cyclonedds") else { return };
    let id = std::process::id();
    let (domain, port) = (1 + id % 49, 21450 + (id % 400) as u16 * 100);
    let mut subscriber = Command::new(python)
        .args(["-c", SUBSCRIBE, &domain.to_string()])
        .env("CYCLONEDDS_URI", CYCLONE)
        .stdout(Stdio::piped())
        .spawn()
        .map(Process)
        .unwrap();
    let bridge = Command::new(env!("CARGO_BIN_EXE_auriga-ros-bridge"))
        .args(["-p", &format!("domain_id={domain}"), "-p", &format!("runtime.zenoh_base_port={port}")])
        .spawn()
        .map(Process)
        .unwrap();
    let runtime = RuntimeConfig { zenoh_base_port: port, shared_memory_mib: 0, ..Default::default() };
    let link = |spec| Link::open(&runtime, spec).unwrap();
    let (mut can, mut camera, mut fusion) = (link(node::Can::SPEC), link(node::Camera::SPEC), link(node::Fusion::SPEC));
    let (image, deadline) = (large_image(), Instant::now() + Duration::from_secs(90));
    while subscriber.0.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "the subscriber did not end");
        let header = Some(v1::Header { stamp_ns: Nanos::monotonic().0, ..Default::default() });
        can.publish(&Any::VehicleState(v1::VehicleState { header, ..state(13.5) }.into())).unwrap();
        camera.publish(&Any::CameraFrontImage(v1::Image { header, ..image.clone() }.into())).unwrap();
        camera.publish(&Any::CameraFrontInfo(v1::CameraInfo { header, ..camera_info() }.into())).unwrap();
        fusion.publish(&Any::FusionHazard(v1::Hazard { header, ..hazard() }.into())).unwrap();
        // The rate of a camera.
        std::thread::sleep(Duration::from_millis(40));
    }
    let mut received = String::new();
    std::io::Read::read_to_string(&mut subscriber.0.stdout.take().unwrap(), &mut received).unwrap();
    drop(bridge);
    for link in [can, camera, fusion] {
        link.close();
    }
    let (speed, rest) = received.split_once('\n').unwrap();
    let (speed, sec) = speed.rsplit_once(' ').unwrap();
    assert_eq!(speed, "speed base_link 13.5 0.125");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!(now.abs_diff(sec.parse().unwrap()) < 90, "stamp {sec}, now {now}");
    let last = (3 * 640 * 480 - 1) % 251;
    let expected = format!(
        "image 640 480 bgr8 1920 921600 {last}\n\
         info 1280 720 plumb_bob 1158.0 640.5\n\
         hazard 2 auriga/hazard/forward-collision vehicle ahead: 18 m \
         [('id', '7'), ('active', 'true'), ('time_to_collision_s', '1.25')]\n"
    );
    assert_eq!(rest, expected);
}
