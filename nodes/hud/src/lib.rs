//! The head-up display node: draws over each camera frame what the driver needs to see, and collects the state of the
//! live page.
//!
//! A camera frame is checked and loaded into the canvas; the newest scene is moved to the frame's instant
//! ([`scene`]) and drawn over it ([`drawing`]); the result is published as JPEG with the frame's stamp and trace id,
//! so that the latency from exposure to display can be measured. The display never waits: it draws what it has when a
//! frame comes. When no frames come it draws dark pictures with the warnings and the speed. Data older than its
//! timeout is not shown.
//!
//! ```
//! use auriga_hud::{Config, HudNode};
//! use auriga_msgs::{Any, node::HudInput, v1};
//! use auriga_runtime::{Nanos, Node, Outbox};
//! use std::sync::Arc;
//!
//! let mut node = HudNode::new(&Config::default())?;
//! let mut out = Outbox::default();
//! let now = Nanos::from_millis(40);
//! let image = v1::Image {
//!     header: Some(v1::Header::new(now.0, 1)),
//!     width: 64,
//!     height: 48,
//!     step: 3 * 64,
//!     encoding: "bgr8".into(),
//!     data: vec![90; 3 * 64 * 48].into(),
//!     ..Default::default()
//! };
//! node.on_input(HudInput::CameraFrontImage(Arc::new(image)), now, &mut out);
//! let messages = out.take_messages();
//! let [Any::HudFrame(frame)] = messages.as_slice() else { panic!("one picture for one frame") };
//! assert_eq!((frame.width, frame.height, frame.format.as_str()), (64, 48, "jpeg"));
//! # anyhow::Ok(())
//! ```
//!
//! | module | holds |
//! | --- | --- |
//! | [`HudNode`] | the state machine |
//! | [`config`] | the configuration |
//! | [`scene`] | the newest scene, the active hazards, and the view of them for one instant |
//! | [`drawing`] | canvas, typeface, projection, and the overlay of a view |
//! | [`dashboard`] | the state of the live page |
//! | [`page`] | the live page's server, used by the shell alone |

#![deny(missing_docs)]

pub mod config;
pub mod dashboard;
pub mod drawing;
mod node;
pub mod page;
pub mod scene;
mod text;

pub use config::{Config, DEFAULTS};
pub use dashboard::page_state::PageState;
pub use node::{Effect, HudNode};
