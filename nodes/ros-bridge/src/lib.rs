//! The ROS bridge: publishes the topics that have a ROS name in the topic table as standard ROS 2 messages over DDS. It
//! only publishes; nothing comes from ROS into the vehicle.
//!
//! The state machine converts each message ([`convert`], [`message`]); the shell sets the stamp in ROS time ([`clock`])
//! and publishes it ([`dds`]).
//!
//! ```
//! use auriga_msgs::{node::RosBridgeInput, v1};
//! use auriga_ros_bridge::{Config, RosBridgeNode, message::RosMessage};
//! use auriga_runtime::{Nanos, Node, Outbox};
//! use std::sync::Arc;
//!
//! let config = Config { domain_id: 0, allow_network: false, networks: vec![], vehicle_frame: "base_link".into() };
//! let mut node = RosBridgeNode::new(&config)?;
//! let mut out = Outbox::default();
//! let state = v1::VehicleState { speed_mps: Some(13.9), yaw_rate_radps: Some(0.0), ..Default::default() };
//! node.on_input(RosBridgeInput::VehicleState(Arc::new(state)), Nanos::ZERO, &mut out);
//! let effects = out.take_effects();
//! let RosMessage::TwistStamped(twist) = &effects[0].message else { panic!("a twist") };
//! assert_eq!((effects[0].ros.name, twist.twist.linear.x), ("/vehicle/speed", 13.9));
//! # anyhow::Ok(())
//! ```
//!
//! | module | holds |
//! | --- | --- |
//! | [`RosBridgeNode`] | the state machine |
//! | [`config`] | the configuration |
//! | [`convert`] | the conversion of each message |
//! | [`message`] | the ROS 2 messages and their encoding |
//! | [`clock`] | monotonic time to ROS time |
//! | [`dds`] | the DDS participant and its writers |

#![deny(missing_docs)]

pub mod clock;
pub mod config;
pub mod convert;
pub mod dds;
pub mod message;
mod node;

pub use config::{Config, DEFAULTS};
pub use node::{Publish, RosBridgeNode};
