//! How people say what they want: rules of English around the model, which sees single words rather than their structure.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `words` | words, contractions, verbs of requests |
//! | [`answer`] | yes, no, or neither |
//! | [`repair`] | "no wait", "I mean", "never mind" |
//! | [`clauses`] | several requests in one utterance |
//! | [`polarity`] | what is not wanted; complaints |
//! | [`names`] | names and places in full |
//! | [`cancel`] | which action "cancel" ends |

pub mod answer;
pub mod cancel;
pub mod clauses;
pub mod names;
pub mod polarity;
pub mod repair;
mod words;
