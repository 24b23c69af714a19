//! Conversion of the messages to ROS 2.

use crate::message::{
    CameraInfo, DiagnosticArray, DiagnosticStatus, Header, Image, KeyValue, Twist, TwistStamped, Vector3, level,
};
use auriga_msgs::v1::{self, Severity};

/// Why a message cannot be converted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConvertError {
    /// The encoding has no ROS name here.
    #[error("image encoding is {0:?}, expected \"bgr8\" or \"mono8\"")]
    Encoding(String),
    /// The data do not have the stated size.
    #[error("{height} rows of {step} bytes for {width} pixels cannot be {found} bytes; a ROS subscriber would crash")]
    Pixels {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
        /// Bytes in a row.
        step: u32,
        /// Bytes in the message.
        found: usize,
    },
    /// The camera matrix is not 3x3.
    #[error("the camera matrix has {0} elements, expected 9")]
    Matrix(usize),
}

/// A header; the stamp is set when the message is published, see [`crate::clock`].
fn header(frame_id: &str) -> Header {
    Header { frame_id: frame_id.into(), ..Default::default() }
}

/// An image. The pixels are shared, not copied.
///
/// # Errors
/// When the encoding is not supported or the data do not have the stated size.
pub fn image(image: &v1::Image) -> Result<Image, ConvertError> {
    let v1::Image { width, height, step, .. } = *image;
    let channels = match image.encoding.as_str() {
        "bgr8" => 3,
        "mono8" => 1,
        other => return Err(ConvertError::Encoding(other.into())),
    };
    let row_fits = u64::from(width) * channels <= u64::from(step);
    if !row_fits || u64::from(step) * u64::from(height) != image.data.len() as u64 {
        return Err(ConvertError::Pixels { width, height, step, found: image.data.len() });
    }
    Ok(Image {
        header: header(&image.frame_id),
        height,
        width,
        encoding: image.encoding.clone(),
        is_bigendian: 0,
        step,
        data: image.data.clone(),
    })
}

/// The info of a single camera: no rectifying rotation, and the projection is the camera matrix.
///
/// # Errors
/// When the camera matrix is not 3x3.
pub fn camera_info(info: &v1::CameraInfo) -> Result<CameraInfo, ConvertError> {
    let k: [f64; 9] = info.k.as_slice().try_into().map_err(|_| ConvertError::Matrix(info.k.len()))?;
    let [fx, skew, cx, _, fy, cy, _, _, _] = k;
    Ok(CameraInfo {
        header: header(&info.frame_id),
        height: info.height,
        width: info.width,
        distortion_model: "plumb_bob".into(),
        d: info.d.clone(),
        k,
        r: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p: [fx, skew, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
        ..Default::default()
    })
}

/// Speed and yaw rate in the vehicle's frame (REP 103: x ahead, z up, turning left is positive). `None` when one of them
/// is unknown: the ROS message cannot express that.
pub fn twist(state: &v1::VehicleState, frame: &str) -> Option<TwistStamped> {
    let linear = Vector3 { x: state.speed_mps?, ..Default::default() };
    let angular = Vector3 { z: state.yaw_rate_radps?, ..Default::default() };
    Some(TwistStamped { header: header(frame), twist: Twist { linear, angular } })
}

/// A hazard as a diagnostic status; one that has ended has the level OK.
pub fn hazard(hazard: &v1::Hazard) -> DiagnosticArray {
    let mut values = vec![value("id", hazard.id), value("active", hazard.active)];
    values.extend(hazard.time_to_collision_s.map(|t| value("time_to_collision_s", t)));
    values.extend(hazard.distance_m.map(|d| value("distance_m", d)));
    status(DiagnosticStatus {
        level: if hazard.active { level_of(hazard.severity()) } else { level::OK },
        name: format!("auriga/hazard/{}", hazard.kind().name()),
        message: hazard.text.clone(),
        hardware_id: String::new(),
        values,
    })
}

/// A fault as a diagnostic status; one that is cleared has the level OK.
pub fn fault(fault: &v1::Fault) -> DiagnosticArray {
    status(DiagnosticStatus {
        level: if fault.is_active() { level_of(fault.severity()) } else { level::OK },
        name: format!("auriga/{}/{}", fault.node, fault.code),
        message: fault.text.clone(),
        hardware_id: fault.subject.clone(),
        values: vec![value("count", fault.count)],
    })
}

fn status(status: DiagnosticStatus) -> DiagnosticArray {
    DiagnosticArray { header: header(""), status: vec![status] }
}

fn value(key: &str, value: impl ToString) -> KeyValue {
    KeyValue { key: key.into(), value: value.to_string() }
}

fn level_of(severity: Severity) -> u8 {
    match severity {
        Severity::Unspecified | Severity::Info => level::OK,
        Severity::Warning => level::WARN,
        Severity::Critical => level::ERROR,
    }
}
