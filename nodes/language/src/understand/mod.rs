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
//! | [`phrasing`] | how people say what they want: answers, repairs, several requests, negation |
//! | `interpret` | the model's intent in the light of how it was said |
//! | `rules` | the check of an intent against the catalogue and its rules |

pub(crate) mod dialogue_history;
pub(crate) mod driving_context;
pub(crate) mod facts;
pub(crate) mod hypotheses;
pub(crate) mod interpret;
pub mod numbers;
pub mod phrasing;
pub(crate) mod requests;
pub(crate) mod rules;
