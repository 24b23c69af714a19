//! The standard ROS 2 messages that the bridge publishes. The fields have the names, meanings and order of the `.msg`
//! files; the order is that of the CDR encoding.
#![allow(missing_docs, reason = "the fields are documented in the .msg files named at each type")]

use bytes::Bytes;
use serde::{Serialize, Serializer};

/// `builtin_interfaces/msg/Time`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Time {
    pub sec: i32,
    pub nanosec: u32,
}

impl Time {
    /// From nanoseconds; a time that cannot be represented (after 2038) becomes the last or first that can.
    pub fn from_nanos(nanos: i128) -> Time {
        const SECOND: i128 = 1_000_000_000;
        match i32::try_from(nanos.div_euclid(SECOND)) {
            Ok(sec) => Time { sec, nanosec: nanos.rem_euclid(SECOND) as u32 },
            Err(_) if nanos < 0 => Time { sec: i32::MIN, nanosec: 0 },
            Err(_) => Time { sec: i32::MAX, nanosec: 999_999_999 },
        }
    }
}

/// `std_msgs/msg/Header`
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Header {
    pub stamp: Time,
    pub frame_id: String,
}

/// `sensor_msgs/msg/Image`
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Image {
    pub header: Header,
    pub height: u32,
    pub width: u32,
    pub encoding: String,
    pub is_bigendian: u8,
    pub step: u32,
    #[serde(serialize_with = "octets")]
    pub data: Bytes,
}

/// One copy instead of a call for each byte; the CDR encoding is the same.
fn octets<S: Serializer>(data: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(data)
}

/// `sensor_msgs/msg/RegionOfInterest`
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct RegionOfInterest {
    pub x_offset: u32,
    pub y_offset: u32,
    pub height: u32,
    pub width: u32,
    pub do_rectify: bool,
}

/// `sensor_msgs/msg/CameraInfo`
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct CameraInfo {
    pub header: Header,
    pub height: u32,
    pub width: u32,
    pub distortion_model: String,
    pub d: Vec<f64>,
    pub k: [f64; 9],
    pub r: [f64; 9],
    pub p: [f64; 12],
    pub binning_x: u32,
    pub binning_y: u32,
    pub roi: RegionOfInterest,
}

/// `geometry_msgs/msg/Vector3`
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Vector3 {
    pub x: f64,
    pub y: f64,
    pub z: f64,
}

/// `geometry_msgs/msg/Twist`
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Twist {
    pub linear: Vector3,
    pub angular: Vector3,
}

/// `geometry_msgs/msg/TwistStamped`
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct TwistStamped {
    pub header: Header,
    pub twist: Twist,
}

/// `diagnostic_msgs/msg/KeyValue`
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct KeyValue {
    pub key: String,
    pub value: String,
}

/// Levels of [`DiagnosticStatus`].
pub mod level {
    pub const OK: u8 = 0;
    pub const WARN: u8 = 1;
    pub const ERROR: u8 = 2;
}

/// `diagnostic_msgs/msg/DiagnosticStatus`
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct DiagnosticStatus {
    pub level: u8,
    pub name: String,
    pub message: String,
    pub hardware_id: String,
    pub values: Vec<KeyValue>,
}

/// `diagnostic_msgs/msg/DiagnosticArray`
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct DiagnosticArray {
    pub header: Header,
    pub status: Vec<DiagnosticStatus>,
}

/// Any of these messages.
#[derive(Debug, Clone, PartialEq)]
pub enum RosMessage {
    Image(Image),
    CameraInfo(Box<CameraInfo>),
    TwistStamped(TwistStamped),
    DiagnosticArray(DiagnosticArray),
}

impl RosMessage {
    /// The ROS name of its type.
    pub fn type_name(&self) -> &'static str {
        match self {
            RosMessage::Image(_) => "sensor_msgs/msg/Image",
            RosMessage::CameraInfo(_) => "sensor_msgs/msg/CameraInfo",
            RosMessage::TwistStamped(_) => "geometry_msgs/msg/TwistStamped",
            RosMessage::DiagnosticArray(_) => "diagnostic_msgs/msg/DiagnosticArray",
        }
    }

    /// Its header.
    pub fn header_mut(&mut self) -> &mut Header {
        match self {
            RosMessage::Image(m) => &mut m.header,
            RosMessage::CameraInfo(m) => &mut m.header,
            RosMessage::TwistStamped(m) => &mut m.header,
            RosMessage::DiagnosticArray(m) => &mut m.header,
        }
    }
}
