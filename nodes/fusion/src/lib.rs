//! The fusion node makes one scene of lanes, the vehicle's state, radar objects and utterances, and raises hazards.
//!
//! A hazard is published in the same call that takes its evidence in, with the evidence's stamp and trace: a forward
//! collision (radar objects in the own lane, by time to collision), a lane departure without indicator, a sensor that fell
//! silent. A scene is made for the time of each camera frame, with the vehicle's state interpolated to it; for that it waits
//! a bounded time for CAN. Without camera, scenes continue from CAN alone.
//!
//! The order of arrival does not matter within the history kept: messages are placed by the time of their content, and known
//! ones are dropped. Implausible values are ignored and reported as faults.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `node` | [`FusionNode`], the state machine |
//! | [`config`] | the configuration, documented in `config.toml` |
//! | `input` | validation and time alignment of what comes in |
//! | `tracks` | radar objects over time, and which of them is the lead |
//! | `hazards` | forward collision, lane departure, sensor loss, and the registry of active hazards |
//! | `scene` | when a scene is made, what is in it, and the driving load |
//!
//! ```
//! use auriga_fusion::{Config, FusionNode};
//! use auriga_msgs::{Any, node::FusionInput, v1};
//! use auriga_runtime::{Nanos, Node, Outbox};
//!
//! let mut node = FusionNode::new(Config::default())?;
//! let mut out = Outbox::default();
//! let now = Nanos::from_millis(1000);
//! let lanes = v1::Lanes { header: Some(v1::Header::new(now.0, 1)), ..Default::default() };
//! node.on_input(FusionInput::PerceptionLanes(lanes.into()), now, &mut out);
//! let messages = out.take_messages();
//! let [Any::FusionScene(scene)] = messages.as_slice() else { panic!("{messages:?}") };
//! assert_eq!((scene.camera_age_ns, scene.can_age_ns), (Some(0), None));
//! # Ok::<(), auriga_runtime::config::ConfigError>(())
//! ```

#![deny(missing_docs)]

pub mod config;
mod hazards;
mod input;
mod node;
mod scene;
mod tracks;

pub use config::{Config, DEFAULTS};
pub use node::FusionNode;
