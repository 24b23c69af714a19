//! The perception node: the lines of the own lane from camera frames, in metres.
//!
//! Each frame is warped to a bird's-eye view with the camera's geometry ([`ground`]). Narrow bright or yellow ridges in
//! each row are candidate marks ([`marking`]). All marks vote for the common shape of the lines ([`vote`]); a robust
//! least-squares fit gives both lines, with the support of each by the marks ([`model`]). The lane is tracked from frame
//! to frame, and the confidence of a line decays while it is not seen ([`lanes`]). A line without support is absent.
//!
//! ```
//! use auriga_msgs::{Any, node::PerceptionInput, v1};
//! use auriga_perception::{Config, PerceptionNode};
//! use auriga_runtime::{
//!     Nanos, Node, Outbox,
//!     camera::{Mounting, Pinhole},
//! };
//! use std::sync::Arc;
//!
//! let mut node = PerceptionNode::new(&Config::default())?;
//! let mut out = Outbox::default();
//! let camera = Pinhole::new(640, 360, 580.0, Mounting { height_m: 1.3, pitch_rad: 0.02, ..Mounting::default() });
//! let info = Arc::new(camera.info("camera_front", v1::Header::default()));
//! node.on_input(PerceptionInput::CameraFrontInfo(info), Nanos::ZERO, &mut out);
//! let image = v1::Image {
//!     header: Some(v1::Header::new(1, 7)),
//!     width: 640,
//!     height: 360,
//!     step: 3 * 640,
//!     encoding: "bgr8".into(),
//!     data: vec![90; 3 * 640 * 360].into(),
//!     ..Default::default()
//! };
//! node.on_input(PerceptionInput::CameraFrontImage(Arc::new(image)), Nanos(1), &mut out);
//! let messages = out.take_messages();
//! let [Any::PerceptionLanes(lanes)] = messages.as_slice() else { panic!("lanes for each frame") };
//! assert!(lanes.left.is_none() && lanes.right.is_none(), "there is no line in a grey image");
//! # anyhow::Ok(())
//! ```
//!
//! | module | holds |
//! | --- | --- |
//! | [`PerceptionNode`] | the state machine |
//! | [`config`] | the configuration |
//! | [`ground`] | the road plane: homography and bird's-eye view |
//! | [`marking`] | candidate marks of paint |
//! | [`vote`] | the initial shape of the lane |
//! | [`model`] | the lane model, its fit, and the support of a line |
//! | [`lanes`] | tracking over frames |

#![deny(missing_docs)]

pub mod config;
pub mod ground;
pub mod lanes;
pub mod marking;
pub mod model;
mod node;
pub mod vote;

pub use config::{Config, DEFAULTS};
pub use node::PerceptionNode;
