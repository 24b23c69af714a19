//! The arbiter grants CPU, GPU and memory to every workload: many times a second, and at once on a hazard.
//!
//! Before anything starts, [`table::admission`] shows by response-time analysis that the safety workloads of the table meet
//! their deadlines and the chains their budgets; a table for which that cannot be shown is refused. The other workloads
//! share what is left: [`plan`] computes for each mode the service levels of the largest utility, ahead and in slices,
//! whenever the forecast of demand changes. A hazard only switches from one plan to another. Grants are leases: if the
//! arbiter dies, each workload falls to its floor within one lease.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `node` | [`ArbiterNode`], the state machine |
//! | [`config`] | the configuration, documented in `config.toml` |
//! | [`table`] | the workload table `launch/workloads.toml`, its checks, and admission |
//! | `modes` | which mode the vehicle is in: hazards, driving, overload |
//! | [`plan`] | one plan for each mode: an exact knapsack, weighted by the forecast |
//! | [`actuate`] | cgroups and real-time priorities: the shell's part |
//! | `explain` | a grants message in words |
//!
//! ```
//! use auriga_arbiter::{ArbiterNode, Config, explain};
//! use auriga_msgs::{Any, node::ArbiterInput, v1};
//! use auriga_runtime::{Nanos, Node, Outbox};
//!
//! let workloads = concat!(env!("CARGO_MANIFEST_DIR"), "/../../launch/workloads.toml").into();
//! let mut node = ArbiterNode::new(&Config { workloads, ..Config::default() })?;
//! let mut out = Outbox::default();
//! let hazard = v1::Hazard {
//!     kind: v1::HazardKind::ForwardCollision.into(),
//!     severity: v1::Severity::Critical.into(),
//!     active: true,
//!     ..Default::default()
//! };
//! node.on_input(ArbiterInput::FusionHazard(hazard.into()), Nanos::from_millis(1), &mut out);
//! let messages = out.take_messages();
//! let [Any::ArbiterGrants(grants)] = messages.as_slice() else { panic!("{messages:?}") };
//! assert_eq!(grants.mode(), v1::Mode::Hazard);
//! println!("{}", explain(grants));
//! # Ok::<(), anyhow::Error>(())
//! ```

#![deny(missing_docs)]

pub mod actuate;
pub mod config;
mod explain;
mod modes;
mod node;
pub mod plan;
pub mod table;

pub use config::{Config, DEFAULTS};
pub use explain::explain;
pub use node::ArbiterNode;
