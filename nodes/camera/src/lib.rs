//! The camera node: frames from V4L2, a stream, a file or GStreamer, checked, rectified by the vehicle's calibration
//! and published with the time of their exposure.
//!
//! A frame that is late or out of order is dropped and counted, never queued: a queue here would age everything that is
//! computed from the camera.
//!
//! ```
//! use auriga_camera::{CameraNode, calibration::Calibration};
//! use auriga_msgs::{Any, node::CameraInput, v1};
//! use auriga_runtime::{Nanos, Node, Outbox};
//! use std::time::Duration;
//!
//! # let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../");
//! let calibration = Calibration::load(format!("{root}calibration/auriga-demo/camera.toml"))?;
//! let (width, height) = (calibration.width, calibration.height);
//! let mut node = CameraNode::new(calibration, Duration::from_millis(200))?;
//!
//! // A grey frame that was exposed at 1.00 s reaches the node at 1.02 s.
//! let data = vec![128; 3 * (width * height) as usize].into();
//! let header = Some(v1::Header::new(1_000_000_000, 0));
//! let frame = v1::Image { header, width, height, step: 3 * width, encoding: "bgr8".into(), data, ..Default::default() };
//! let mut out = Outbox::default();
//! node.on_input(CameraInput::DeviceCameraFront(frame.into()), Nanos::from_millis(1020), &mut out);
//!
//! // The geometry goes out before the first image of its size.
//! let messages = out.take_messages();
//! let [Any::CameraFrontInfo(_), Any::CameraFrontImage(image)] = &messages[..] else { panic!("{messages:?}") };
//! assert!(image.rectified && image.header.unwrap().stamp_ns == 1_000_000_000);
//! # Ok::<(), anyhow::Error>(())
//! ```
//!
//! | module | holds |
//! | --- | --- |
//! | [`source`] | where frames come from, and the thread that reads them |
//! | [`calibration`] | a vehicle's `camera.toml`, or ROS's YAML |
//! | [`picture`] | what a picture is worth: black, covered, frozen, blurred, damaged |
//! | [`rectify`] | removal of lens distortion |
//! | `node` | the state machine |
//! | `config` | the configuration |

#![deny(missing_docs)]

pub mod calibration;
mod config;
mod node;
pub mod picture;
pub mod rectify;
pub mod source;

pub use config::{Config, DEFAULTS};
pub use node::CameraNode;
