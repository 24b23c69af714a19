//! Whether a run held the safety budgets: late answers, messages that never came, what the machine itself took, and what
//! the recording cannot show.

mod absence;
mod budget;
mod decide;
mod floor;
mod inputs;
mod spans;

pub(super) use absence::Arrivals;
pub use absence::{Absence, Gap};
pub use budget::{BudgetResult, is_safety_chain, is_safety_node};
pub use decide::{ChainResult, Judged, Standing, TopicResult, Verdict};
pub use floor::{CoreFloor, FLOOR_FILE, Floor, Stall};
pub use inputs::{Input, Inputs};
pub use spans::Span;
pub(crate) use spans::describe as describe_spans;
