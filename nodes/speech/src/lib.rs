//! The speech node: what is said in the cabin becomes utterances, and the reply is spoken.
//!
//! Audio comes from a device ([`capture`], through the [`front_end`] that keeps our own voice out: [`echo`]) or a WAV file
//! ([`wav`]). [`zone`] tells the speaker's seat. [`vad`] finds the turns of the speaker; those that are for the car
//! ([`attention`], [`wake`]) get their text, on their way through [`hearing`], from a recogniser ([`recogniser`], whose
//! model folder is first looked over: [`model`]) or, when there is none, from the transcript track of a drive
//! ([`transcript`], [`track`]), marked as such. Sentences of the reply ([`reply`]) are handed to what speaks ([`speak`],
//! [`voice`]), in words ([`spoken`]).
//!
//! An utterance is stamped with the end of speech, that is the last voiced sample; that the end of a turn takes
//! `end_silence_ms` to be sure of is part of the latency told from that stamp.
//!
//! Private: what is said before the wake phrase, or without the talk button, leaves nothing behind; audio is published
//! only with consent, text is never logged, and a fault never carries text.

mod config;
pub mod input;
mod node;
pub mod output;
pub mod recognition;
pub mod transcript;
pub mod turns;

pub use config::{Config, DEFAULTS};
pub use node::{Effect, SpeechNode};
