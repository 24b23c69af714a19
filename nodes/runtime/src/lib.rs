//! What every node stands on: the [`Node`] trait, and the two shells that run one, live over Zenoh ([`Shell`]) and in
//! deterministic replay ([`Replay`]).
//!
//! The way of a message, live: a device thread or Zenoh's callback puts it into the node's mailbox and
//! does nothing else; the node's own thread takes it out, decodes it, runs the state machine and publishes what that
//! put into its [`Outbox`] ([`transport`]). Tokio's threads only move bytes, so heavy work in a node never holds up
//! another node's messages.

pub mod chains;
mod checks;
pub mod config;
mod live;
mod node;
mod replay;
mod time;

pub use checks::{camera, image, plausibility};
pub use live::{Backoff, DeviceSink, Shell, init_tracing, transport};
pub use node::{Node, Outbox, faults, lease::Lease};
pub use replay::{Replay, ReplayControl, ReplayStats, Timed, merge};
pub use time::Nanos;
