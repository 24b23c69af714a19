//! What a run of the nodes was like, from its messages, and beside it the ground truth.

mod budget;
mod cabin;
mod names;
mod observed;
mod road;
mod run;

pub use budget::{Verdict, is_safety_chain, is_safety_node};
pub use cabin::{IntentSeen, OUT_OF_SCOPE, Turn, UtteranceHeard};
pub use names::{kind_name, mode_name};
pub use observed::{FaultSeen, Observed, Plan, Restart, TruthSeen};
pub use road::{HazardSpan, LaneSeen, LeadSeen};
pub use run::{Exchange, Reaction, View, hazard_of};
