//! The CAN node: decodes the frames of the vehicle's bus to the vehicle state.
//!
//! 1. [`socket`] reads frames from SocketCAN with the kernel's timestamp, or [`log`] from a recording. Frames that are
//!    ready together are one batch on `device/can`.
//! 2. [`CanNode`] counts each frame, looks up its message in the database ([`dbc`]), and drops duplicates and frames
//!    older than the last of their message. A frame of another length than the message's has the signals within it.
//! 3. The [`mapping`] (`vss.toml`) lists the signals to read. Each is decoded with two shifts, converted to the unit of
//!    its target (a field of the vehicle state or a VSS path), and kept with its time.
//! 4. For each batch one `vehicle/state` is published, stamped with the newest frame, and then `can/frames` with the
//!    batch as it came, for the recorder. Replay of a recording feeds `can/frames` back in at step 2.
//!
//! A value older than its `timeout_ms` is removed from the state, its VSS path is published once without a value, and a
//! fault names the message that did not come. The next frame sets the value again. On a silent bus nothing is published:
//! the topic table's timeout of `vehicle/state` detects that.
//!
//! ```
//! use auriga_can::{CanNode, dbc::Database, mapping::Mapping};
//! use auriga_msgs::{Any, node::CanInput, v1};
//! use auriga_runtime::{Nanos, Node, Outbox};
//! use std::sync::Arc;
//!
//! let dbc = "BO_ 416 SPEED: 8 ESC\n SG_ VEHICLE_SPEED : 7|16@0+ (0.01,0) [0|300] \"km/h\" HUD\n";
//! let database = Database::parse(dbc, "example.dbc")?;
//! let vss = "[[signal]]\nfrom = \"SPEED.VEHICLE_SPEED\"\nto = [\"speed_mps\", \"Vehicle.Speed\"]\n";
//! let mapping = Mapping::parse(vss, "example.toml", &database)?;
//! let (mut node, mut out) = (CanNode::with(database, mapping), Outbox::default());
//! // 0x2328 = 9000: 90 km/h.
//! let frame = v1::CanFrame { id: 416, data: vec![0x23, 0x28, 0, 0, 0, 0, 0, 0].into(), ..Default::default() };
//! let batch = Arc::new(v1::CanFrames { frames: vec![frame], ..Default::default() });
//! node.on_input(CanInput::DeviceCan(batch), Nanos::ZERO, &mut out);
//! let messages = out.take_messages();
//! let [Any::VehicleState(state), Any::CanFrames(_)] = messages.as_slice() else { panic!("a state and the frames") };
//! assert_eq!(state.speed_mps, Some(25.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | holds |
//! | --- | --- |
//! | [`CanNode`] | the state machine |
//! | [`config`] | the configuration |
//! | [`input`] | SocketCAN, recordings, and the device thread |
//! | [`dbc`] | CAN databases: parsing, decoding, encoding |
//! | [`mapping`] | signals to fields and VSS paths, with units |
//! | `state` | the newest value of each signal, the reordering filter, buses and sources |
//! | [`vehicle`] | tools for a new vehicle: a proposed mapping, what a recording carries, what is missing |
//! | `text` | encodings, similar names |

#![deny(missing_docs)]

pub mod config;
pub mod dbc;
pub mod input;
pub mod mapping;
mod node;
mod state;
mod text;
pub mod vehicle;

pub use config::{Config, DEFAULTS};
pub use input::{log, socket, source};
pub use node::{CanNode, Counts};
