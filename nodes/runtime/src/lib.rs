//! What every node is built on: the [`Node`] trait, and two shells that run a node: live over Zenoh ([`Shell`]), and in
//! deterministic replay ([`Replay`]).
//!
//! # A complete node
//!
//! A node is a state machine. It reads no clock, starts no thread and opens nothing: inputs and time come in, messages go
//! into the [`Outbox`]. What it reads and may publish is in the topic table (`msgs/topics.toml`); anything else does not
//! compile.
//!
//! ```
//! use auriga_msgs::{Any, TopicId, node, topic, v1};
//! use auriga_runtime::{Nanos, Node, Outbox, Replay, plausibility};
//! use std::time::Duration;
//!
//! /// Warns at 50 m/s and more. It runs in the place of the node `fusion`.
//! #[derive(Default)]
//! struct SpeedWarning {
//!     active: bool,
//! }
//!
//! impl Node for SpeedWarning {
//!     type Name = node::Fusion;
//!     type Effect = ();
//!
//!     fn on_input(&mut self, input: node::FusionInput, now: Nanos, out: &mut Outbox<Self>) {
//!         let node::FusionInput::VehicleState(state) = input else { return };
//!         let speed = match plausibility::within(state.speed_mps, plausibility::SPEED_MPS) {
//!             Ok(speed) => speed.unwrap_or(0.0),
//!             Err(value) => {
//!                 let text = format!("{value} m/s is no car's speed; check the DBC");
//!                 return out.fault(now, v1::Severity::Warning, "implausible-value", "speed_mps", text);
//!             }
//!         };
//!         if (speed >= 50.0) != self.active {
//!             self.active = !self.active;
//!             // The header is the evidence's: its stamp and its trace id go on.
//!             out.publish::<topic::FusionHazard>(v1::Hazard { header: state.header, active: self.active, ..Default::default() });
//!         }
//!     }
//!
//!     fn on_tick(&mut self, _now: Nanos, _out: &mut Outbox<Self>) {}
//! }
//!
//! // In replay: the log's messages and times in, all messages out, the same bytes each time.
//! let state = |ms: u64, speed| {
//!     let header = Some(v1::Header::new(ms * 1_000_000, v1::Header::trace(TopicId::VehicleState, ms)));
//!     let state = v1::VehicleState { header, speed_mps: Some(speed), ..Default::default() };
//!     Ok((Nanos::from_millis(ms), Any::VehicleState(state.into())))
//! };
//! let log = [state(0, 30.0), state(10, 51.0), state(20, 49.0)];
//! let mut replay = Replay::new();
//! replay.add(SpeedWarning::default());
//! let mut hazards = Vec::new();
//! let sink = |any: &Any| {
//!     if let Any::FusionHazard(hazard) = any {
//!         hazards.push((hazard.header.unwrap().stamp_ns / 1_000_000, hazard.active));
//!     }
//!     Ok(())
//! };
//! replay.run(log.into_iter(), Duration::ZERO, |_, _| {}, sink)?;
//! assert_eq!(hazards, [(10, true), (20, false)]);
//! # Ok::<(), anyhow::Error>(())
//! ```
//!
//! Its executable is a `main` of a few lines; command line, configuration, logging, Zenoh, usage and faults are the
//! shell's:
//!
//! ```no_run
//! # use auriga_msgs::node; use auriga_runtime::{Nanos, Node, Outbox};
//! # struct SpeedWarning;
//! # impl Node for SpeedWarning {
//! #     type Name = node::Fusion; type Effect = ();
//! #     fn on_input(&mut self, _: node::FusionInput, _: Nanos, _: &mut Outbox<Self>) {}
//! #     fn on_tick(&mut self, _: Nanos, _: &mut Outbox<Self>) {}
//! # }
//! use auriga_runtime::{Shell, config::NoConfig};
//!
//! fn main() -> anyhow::Result<()> {
//!     let shell = Shell::<NoConfig>::start("speed-warning: warns at 50 m/s", "")?;
//!     shell.run(SpeedWarning, |_devices| Ok(()), |_effect| {})
//! }
//! ```
//!
//! # From the wire to the state machine
//!
//! Zenoh's callbacks and the node's device threads put messages into the node's mailbox and do nothing else. The node's
//! own thread takes them out, decodes them, runs the state machine and publishes what that put into its outbox. So heavy
//! work in a node never holds up the threads that move bytes.
//!
//! Before a message reaches the state machine, live or in replay, its times are judged by the receiver's clock: one that
//! is stamped or published more than [`plausibility::STAMP_AHEAD`] ahead is refused, and so is a grant whose lease would
//! last longer than [`MAX_LEASE`]; both are faults (`stamp-ahead`, `lease-too-long`). A jump of its sequence number counts
//! as a loss or as a restart only when the next message continues it ([`sequence`]). So one wrong message neither silences
//! a topic nor counts as lost messages.
//!
//! | module | holds |
//! | --- | --- |
//! | `node` | [`Node`], [`Outbox`], [`Lease`], the life of a fault ([`faults`]), messages too old to act on |
//! | `live` | [`Shell`], mailbox, health, [`transport`], [`supervision`], [`DeviceSink`], [`Backoff`] |
//! | `replay` | [`Replay`] |
//! | [`config`] | configuration files, command line, allowed ranges, renamed keys |
//! | `checks` | [`plausibility`], [`sequence`], [`camera`], [`image`], [`suggestion`]: checks of input that several nodes make |
//! | [`chains`] | latencies of the table's chains, gaps in sequence numbers |
//! | [`processes`] | which processes a supervisor has started |
//! | `time` | [`Nanos`] |

#![deny(missing_docs)]

pub mod chains;
mod checks;
pub mod config;
mod live;
mod node;
pub mod processes;
mod replay;
mod time;

pub use checks::{camera, image, plausibility, sequence, suggestion};
pub use live::{Backoff, DeviceSink, Shell, init_tracing, supervision, transport};
pub use node::{
    Node, Outbox, faults,
    lease::{Lease, MAX_LEASE},
};
pub use replay::{Replay, ReplayControl, ReplayStats, Timed, merge};
pub use time::Nanos;
