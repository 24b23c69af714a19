//! What a run of the nodes did, from its messages, compared with the ground truth.

mod budget;
mod cabin;
mod names;
mod observations;
mod road;
mod run;

pub use budget::{BudgetResult, is_safety_chain, is_safety_node};
pub use cabin::{IntentRecord, OUT_OF_SCOPE, Reply, UtteranceRecord};
pub use names::mode_name;
pub use observations::{FaultRecord, GrantPlan, Observations, Restart, TruthSample};
pub use road::{HazardSpan, LaneSample, LeadSample};
pub use run::{DriveRun, Exchange, Reaction, hazard_for_event};
