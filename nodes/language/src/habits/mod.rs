//! What this driver tends to ask for, and what the vehicle computer will need for it.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`usage_history`] | the entries of the usage history: which request, when and where |
//! | [`store`] | the usage history on disk, encrypted |
//! | [`predictor`] | the probability of the next request |
//! | `demand` | the workloads that the last and the next requests need |
//! | `forecast` | when a new forecast is published, and with what |
//! | `wall_clock` | the local time, from the drive's message |

pub(crate) mod demand;
pub(crate) mod forecast;
pub mod predictor;
pub mod store;
pub mod usage_history;
pub(crate) mod wall_clock;

/// What the node asks of its executable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Append this entry to the usage history on disk.
    Store(usage_history::UsageEntry),
}
