//! The speech node: what is said in the cabin becomes utterances (`speech/utterance`), and the reply is spoken.
//!
//! | module | contents |
//! | --- | --- |
//! | [`SpeechNode`] | the state machine, which never opens a device or a file |
//! | [`Config`] | the configuration; `config.toml` documents every key |
//! | [`input`] | sound devices, WAV files, the front end (resampling, echo cancellation, noise suppression), level, seat |
//! | [`turns`] | voice activity, endpointing, talk button, whether a turn is addressed to the system |
//! | [`recognition`] | model check, recogniser (Vosk), vocabulary, wake phrase |
//! | [`transcript`] | a drive's transcript track in place of a recogniser, and the utterance messages |
//! | [`output`] | the reply's sentences, text normalization, speech synthesis, playback |
//!
//! An utterance is stamped with the end of speech: the time after the last voiced sample. Latencies are measured from
//! there, so they include the `end_silence_ms` that it takes to be sure of the end.
//!
//! Privacy: what is said without the wake phrase or the talk button leaves nothing behind; audio is published only with
//! consent; text is never logged, and a fault never contains it.
//!
//! ```
//! use auriga_msgs::{node::SpeechInput, v1};
//! use auriga_runtime::{Nanos, Node, Outbox};
//! use auriga_speech::{Config, SpeechNode, recognition};
//!
//! let config = Config { model: "".into(), ..Config::default() };
//! let mut node = SpeechNode::new(&config, recognition::open(&config))?;
//! let mut out = Outbox::default();
//! let silence = v1::AudioChunk {
//!     header: Some(v1::Header::new(0, 0)),
//!     sample_rate_hz: 16_000,
//!     channels: 1,
//!     pcm_s16le: vec![0; 2 * 16_000].into(),
//! };
//! node.on_input(SpeechInput::DeviceAudio(silence.into()), Nanos::from_millis(1000), &mut out);
//! let topics: Vec<&str> = out.take_messages().iter().map(|m| auriga_msgs::TOPICS[m.topic() as usize].name).collect();
//! assert!(topics.contains(&"speech/level"), "{topics:?}");
//! # anyhow::Ok(())
//! ```

#![deny(missing_docs)]

mod config;
pub mod input;
mod node;
pub mod output;
pub mod recognition;
pub mod transcript;
pub mod turns;

pub use config::{Config, DEFAULTS};
pub use node::SpeechNode;
pub use output::effect::Effect;
