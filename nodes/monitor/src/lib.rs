//! The monitor node: says which drive this is, how it is going and when it is over.
//!
//! * `drive/info`: name, vehicle, duration and time of day of the drive, once a second.
//! * `drive/truth`: the ground truth of a generated drive, beside it, for whoever compares; no node reads it.
//! * `drive/report`: latencies of every chain of the topic table and lost messages, once a second and at the end.
//!
//! When the drive is over the node ends itself ([`Effect::End`]), and with it a launch that ends with it.
//!
//! ```
//! use auriga_monitor::{Config, DEFAULTS, MonitorNode};
//! use auriga_msgs::TopicId;
//! use auriga_runtime::{Nanos, Node, Outbox, config};
//!
//! // As in a car: no drive is played, so the node runs on.
//! let config: Config = config::shipped(DEFAULTS);
//! let mut node = MonitorNode::new(&config, None)?;
//! let mut out = Outbox::default();
//! node.on_tick(Nanos::from_millis(1000), &mut out);
//! let topics: Vec<TopicId> = out.take_messages().iter().map(|m| m.topic()).collect();
//! assert_eq!(topics, [TopicId::DriveInfo, TopicId::DriveReport]);
//! # Ok::<(), anyhow::Error>(())
//! ```
//!
//! | module | holds |
//! | --- | --- |
//! | [`drive`] | a drive on disk: `drive.yaml` and the files it names |
//! | `node` | the state machine |
//! | `losses` | lost messages, as every node counts them |
//! | `config` | the configuration |

#![deny(missing_docs)]

mod config;
pub mod drive;
mod losses;
mod node;

pub use config::{Config, DEFAULTS};
pub use node::{Effect, MonitorNode};
