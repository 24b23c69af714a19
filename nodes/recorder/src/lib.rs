//! The recorder: writes every topic of the table to an MCAP file, as far as the arbiter's grant and the privacy of a topic
//! allow.
//!
//! The state machine decides what is recorded. A thread of the shell ([`recording`]) writes it to the file; the queue
//! between the two ([`queue`]) drops images before messages, and holds the images of the times in which the grant allows
//! none, which are the hazards, until it allows them again.
//!
//! ```
//! use auriga_msgs::{Any, v1};
//! use auriga_recorder::mcap_file::{Reader, Writer};
//!
//! let path = std::env::temp_dir().join(format!("auriga-example-{}.mcap", std::process::id()));
//! let mut writer = Writer::create(&path)?;
//! writer.write(&Any::VehicleState(v1::VehicleState { speed_mps: Some(13.9), ..Default::default() }.into()))?;
//! writer.finish()?;
//! for message in Reader::open(&path)? {
//!     let (time, any) = message?;
//!     println!("{time:?} {}", any.topic().spec().name);
//! }
//! std::fs::remove_file(&path)?;
//! # anyhow::Ok(())
//! ```
//!
//! | module | holds |
//! | --- | --- |
//! | [`RecorderNode`] | the state machine |
//! | [`config`] | the configuration |
//! | [`mcap_file`] | reading and writing recordings |
//! | [`queue`] | the queue between the node and the writing thread |
//! | [`recording`] | the writing thread |

#![deny(missing_docs)]

pub mod config;
mod held;
pub mod mcap_file;
mod node;
pub mod queue;
pub mod recording;

pub use config::{Config, DEFAULTS};
pub use node::{Effect, RecorderNode};
