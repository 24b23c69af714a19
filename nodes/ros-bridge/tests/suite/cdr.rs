//! The CDR encoding compared with another implementation (PyPI: rosbags).

use crate::common::{camera_info, hazard, image, python_with, state};
use auriga_ros_bridge::{
    convert,
    message::{RosMessage, Time},
};
use ros2_client::dds::rustdds::serialization::{RepresentationIdentifier, to_writer_with_rep_id};
use serde::Serialize;
use std::process::Command;

/// Decodes hexadecimal CDR of each type, prints the contents, and whether encoding them gives the same bytes.
const CHECK: &str = r#"
import sys
from rosbags.typesys import Stores, get_typestore
store = get_typestore(Stores.ROS2_HUMBLE)
for line in sys.stdin:
    typename, data = line.split()
    raw = bytes.fromhex(data)
    m = store.deserialize_cdr(raw, typename)
    same = bytes(store.serialize_cdr(m, typename)) == raw
    h = m.header
    if typename.endswith("Image"):
        what = [m.height, m.width, m.encoding, m.is_bigendian, m.step, sum(int(b) for b in m.data)]
    elif typename.endswith("CameraInfo"):
        what = [m.height, m.width, m.distortion_model, *map(float, [*m.d, *m.k, *m.p[:4], m.r[8]]), m.roi.do_rectify]
    elif typename.endswith("TwistStamped"):
        what = [m.twist.linear.x, m.twist.angular.z]
    else:
        what = [[int(s.level), s.name, s.message, [[v.key, v.value] for v in s.values]] for s in m.status]
    print(same, h.stamp.sec, h.stamp.nanosec, h.frame_id, what)
"#;

const EXPECTED: &str = "\
True 12 345 camera [5, 3, 'bgr8', 0, 11, 1485]
True 12 345 camera [720, 1280, 'plumb_bob', -0.25, 0.125, 0.0, 0.001, 0.5, 1158.0, 0.0, 640.5, 0.0, 1160.25, 360.0, 0.0, 0.0, 1.0, 1158.0, 0.0, 640.5, 0.0, 1.0, False]
True 12 345 base_link [13.5, 0.125]
True 12 345  [[2, 'auriga/hazard/forward-collision', 'vehicle ahead: 18 m', [['id', '7'], ['active', 'true'], ['time_to_collision_s', '1.25']]]]
";

fn cdr(message: &impl Serialize) -> Vec<u8> {
    // Representation identifier and options, then the payload.
    let mut bytes = vec![0, 1, 0, 0];
    to_writer_with_rep_id(&mut bytes, message, RepresentationIdentifier::CDR_LE).unwrap();
    bytes
}

fn line(mut message: RosMessage) -> String {
    message.header_mut().stamp = Time { sec: 12, nanosec: 345 };
    let bytes = match &message {
        RosMessage::Image(m) => cdr(m),
        RosMessage::CameraInfo(m) => cdr(m.as_ref()),
        RosMessage::TwistStamped(m) => cdr(m),
        RosMessage::DiagnosticArray(m) => cdr(m),
    };
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    format!("{} {hex}\n", message.type_name())
}

#[test]
fn rosbags_decodes_every_message_and_encodes_it_to_the_same_bytes() {
    let Some(python) = python_with("rosbags") else { return };
    let lines: String = [
        RosMessage::Image(convert::image(&image()).unwrap()),
        RosMessage::CameraInfo(convert::camera_info(&camera_info()).unwrap().into()),
        RosMessage::TwistStamped(convert::twist(&state(13.5), "base_link").unwrap()),
        RosMessage::DiagnosticArray(convert::hazard(&hazard())),
    ]
    .into_iter()
    .map(line)
    .collect();
    let dir = std::env::temp_dir().join(format!("auriga-cdr-{}", std::process::id()));
    std::fs::write(&dir, lines).unwrap();
    let input = std::fs::File::open(&dir).unwrap();
    let output = Command::new(python).args(["-c", CHECK]).stdin(input).output().unwrap();
    std::fs::remove_file(&dir).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), EXPECTED);
}
