//! The language node: an utterance becomes an intent and a reply.
//!
//! * **Slices.** The model runs from [`LanguageNode`]'s ticks, a few layers at a time. Between two slices the node handles
//!   its messages and checks its grants, so it leaves the processor within one slice, keeps the state of the model and
//!   continues later. In replay, where nothing is measured, time advances by the nominal length of the slices, so that a
//!   preemption comes out the same each time.
//! * **Two classes of work.** Intent is assist work: without a lease it runs at its floor. Dialogue is infotainment:
//!   without a lease it pauses. A new utterance preempts the reply in progress; if it is meant for the car, it replaces the
//!   reply, otherwise the reply goes on.
//! * **The model proposes, rules decide.** Intents are checked against the catalogue and its rules. Numbers in a reply must
//!   be values of the scene, names must be the driver's. Refusals, unknown values, telltales and questions are canned
//!   responses.
//! * **Driving comes first.** During a hazard nothing is said, at a high workload of the driver replies are short. What has
//!   to wait is said afterwards.
//! * **Tools.** What the vehicle has to do is published as `language/action`; the tool answers on `cabin/outcome`, and the
//!   driver is informed when none does.
//! * **Demand forecast.** Each intent, and the intents that are likely next, become a forecast for the arbiter. The usage
//!   history is stored encrypted, by the executable only.
//!
//! What is said in the cabin is private: no fault and no log line contains a word of it.
//!
//! # Example
//! The state machine with a scripted engine in place of the model:
//!
//! ```
//! use auriga_language::{Config, DEFAULTS, LanguageNode};
//! use auriga_language::engine::interface::{Class, Engine, EngineError, ModelInput, Progress};
//! use auriga_lm::intent::output::IntentOutput;
//! use auriga_msgs::{Any, v1};
//! use auriga_runtime::{Nanos, Replay};
//! use std::{sync::Arc, time::Duration};
//!
//! /// Recognises the same intent in every utterance.
//! struct TimeQuery;
//!
//! impl Engine for TimeQuery {
//!     fn begin_intent(&mut self, _: &ModelInput) -> Result<(), EngineError> {
//!         Ok(())
//!     }
//!     fn can_reply(&self) -> bool {
//!         false
//!     }
//!     fn begin_reply(&mut self, _: &ModelInput, _: &IntentOutput, _: usize) -> Result<(), EngineError> {
//!         Err(EngineError("there is no decoder".into()))
//!     }
//!     fn advance(&mut self, _: Class, _: usize) -> Result<Progress, EngineError> {
//!         Ok(Progress::Intent(IntentOutput::new("time_query", &[])))
//!     }
//!     fn abandon(&mut self, _: Class) {}
//! }
//!
//! # let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
//! let mut config: Config = toml::from_str(DEFAULTS)?;
//! # config.catalogue = root.join(&config.catalogue);
//! # config.workloads = root.join(&config.workloads);
//! config.state = "".into();
//! let utterance = v1::Utterance {
//!     header: Some(v1::Header::new(1_000_000_000, 7)),
//!     text: "what time is it".into(),
//!     r#final: true,
//!     ..Default::default()
//! };
//! let input = [(Nanos::from_millis(1000), Any::SpeechUtterance(Arc::new(utterance)))];
//! let mut replay = Replay::new();
//! replay.add(LanguageNode::with_model(&config, Ok(Box::new(TimeQuery)))?);
//! let mut said = String::new();
//! let sink = |message: &Any| {
//!     if let Any::LanguageTurn(turn) = message {
//!         said.push_str(&turn.text);
//!     }
//!     Ok(())
//! };
//! replay.run(input.into_iter().map(Ok), Duration::from_secs(1), |_, _| {}, sink)?;
//! assert_eq!(said, "I do not know the time.");
//! # Ok::<(), anyhow::Error>(())
//! ```
//!
//! # Modules
//! | module | what it holds |
//! | --- | --- |
//! | `node` | the state machine, [`LanguageNode`] |
//! | [`config`] | the configuration |
//! | [`engine`] | the model behind a trait, and the scheduling of its slices |
//! | [`understand`] | from an utterance to a checked intent |
//! | [`reply`] | what is said, and when |
//! | `actions` | what the vehicle does for the driver |
//! | [`habits`] | usage history, predictor and demand forecast |
#![deny(missing_docs)]

mod actions;
pub mod config;
pub mod engine;
pub mod habits;
mod node;
pub mod reply;
pub mod understand;

pub use config::{Config, DEFAULTS};
pub use habits::Effect;
pub use node::LanguageNode;
pub use understand::rules::spoken_slots;
