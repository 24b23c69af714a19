//! Scenarios: what is driven, what goes wrong, and what must be seen. A YAML file each; `sil-tests/scenarios/README.md`
//! shows every field.
//!
//! [`load`] reads them, [`run`] plays each once (in replay, or live through all processes: [`LiveRunner`]) and holds
//! what was seen ([`crate::analysis`]) against what is expected ([`expect`]).

pub mod enums;
pub mod expect;
mod file;
mod live;
mod outcome;
mod run;

pub use expect::{Check, Expectations};
pub use file::{DriveSpec, Loaded, Mode, Scenario, ScenarioError, load, parse};
pub use live::{LiveKill, LivePlan, LiveRunner};
pub use outcome::Outcome;
pub use run::{RunOptions, run};
