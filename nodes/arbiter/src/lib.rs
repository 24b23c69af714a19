//! The arbiter: what every workload may use, decided many times a second and at once on a hazard.
//!
//! * [`table::admission`] shows, before anything starts, that the safety workloads meet their deadlines and the chains their
//!   budgets whatever the rest does; a table for which it cannot be shown is refused.
//! * [`plan`] finds for each mode the levels that are worth most ([`plan::knapsack`]), ahead and in slices, whenever the
//!   [`plan::forecast`] changes. [`modes`] says which mode it is. A hazard only switches from one plan to another.
//! * Grants are leases, renewed until the arbiter dies. [`explain`] tells people what one says and why.
//! * [`actuate`] is the shell's part: groups and priorities of the kernel, for processes that do not obey.
//!
//! Invariant: [`ArbiterNode`] never plans while it handles an input.

pub mod actuate;
pub mod config;
mod explain;
pub mod modes;
mod node;
pub mod plan;
pub mod table;

pub use config::{Config, DEFAULTS};
pub use explain::explain;
pub use node::ArbiterNode;
