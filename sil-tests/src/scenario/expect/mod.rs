//! Expectations of a scenario, and their results.

mod cabin;
mod check;
mod compute;
mod expectations;
mod road;

pub use cabin::{IntentExpected, OutOfScope, ReplyExpected, ResumeExpected};
pub use check::Check;
pub use compute::{FaultExpected, GrantExpected, ModeExpected, NoFault, RestartExpected};
pub use expectations::Expectations;
pub use road::{HazardExpected, NoHazard, OffsetExpected, RateExpected, offset_errors};
