//! The ROS bridge: the topics of the table that have a ROS name, as standard ROS 2 messages over DDS.

pub mod clock;
pub mod convert;
pub mod dds;
pub mod message;
mod node;

pub use node::{Config, DEFAULTS, Publish, RosBridgeNode};
