//! From an utterance to an intent.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `requests` | utterances that wait for the model |
//! | `hypotheses` | the choice between alternative transcripts |
//! | `driving_context` | the state of the drive: scene, mode, time, last hazard |
//! | `facts` | the checked values of the scene |
//! | [`numbers`] | numbers in spoken English, with their units |
//! | `dialogue_history` | the last turns, and references to them ("there", "warmer", "yes") |
//! | `rules` | the check of an intent against the catalogue and its rules |

pub(crate) mod dialogue_history;
pub(crate) mod driving_context;
pub(crate) mod facts;
pub(crate) mod hypotheses;
pub mod numbers;
pub(crate) mod requests;
pub(crate) mod rules;
