//! What a run of the nodes did, from its messages, compared with the ground truth.

mod cabin;
mod names;
mod observations;
mod road;
mod run;
mod verdict;

pub use cabin::{IntentRecord, OUT_OF_SCOPE, Reply, UtteranceRecord};
pub use names::mode_name;
pub use observations::{FaultRecord, GrantPlan, Observations, Restart, TruthSample};
pub use road::{HazardSpan, LaneSample, LeadSample};
pub use run::{DriveRun, Exchange, Known, Reaction, hazard_for_event};
pub(crate) use verdict::describe_spans;
pub use verdict::{
    Absence, BudgetResult, ChainResult, CoreFloor, FLOOR_FILE, Floor, Gap, Input, Inputs, Judged, Span, Stall,
    Standing, TopicResult, Verdict, is_safety_chain, is_safety_node,
};
