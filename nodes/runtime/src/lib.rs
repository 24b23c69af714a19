//! What every node stands on: the [`Node`] trait, and the two shells that run one, live over Zenoh ([`Shell`]) and in
//! deterministic replay ([`Replay`]).
//!
//! The way of a message, live: a device thread or Zenoh's callback puts it into the node's mailbox ([`mailbox`]) and
//! does nothing else; the node's own thread takes it out, decodes it, runs the state machine and publishes what that
//! put into its [`Outbox`] ([`transport`]). Tokio's threads only move bytes, so heavy work in a node never holds up
//! another node's messages.

mod backoff;
pub mod camera;
pub mod chains;
pub mod config;
pub mod image;
mod lease;
mod mailbox;
mod node;
mod replay;
mod shell;
mod time;
pub mod transport;

pub use backoff::Backoff;
pub use lease::Lease;
pub use node::{Node, Outbox};
pub use replay::{Replay, ReplayControl, ReplayStats, Timed, merge};
pub use shell::{DeviceSink, Shell, init_tracing};
pub use time::Nanos;
