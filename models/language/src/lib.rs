//! The language model of the car: inference in slices, an intent that always parses, a reply that streams, and the training of
//! the small models in `checkpoint/` and `intents-minilm/`. It knows nothing of nodes, messages or clocks.
//!
//! # Example
//!
//! ```standalone_crate
//! use auriga_lm::{
//!     decoder::{sample::Sampling, session::Budget},
//!     dialogue::turn::{Lm, TurnState},
//!     intent::{catalogue::Catalogue, scene::SceneFacts},
//! };
//! use std::path::Path;
//!
//! tch::set_num_threads(1);
//! let here = Path::new(env!("CARGO_MANIFEST_DIR"));
//! let lm = Lm::load(&here.join("checkpoint"), Catalogue::load(here.join("intents.toml"))?)?;
//! let scene = SceneFacts { range_km: Some(212.0), ..SceneFacts::default() };
//! let mut turn = lm.turn(&scene, "how far can I still go?", Sampling::GREEDY)?;
//! loop {
//!     // After two layers the caller can check whether it should yield the processor.
//!     match turn.step(&lm, Budget::layers(2))?.state {
//!         TurnState::Paused => {}
//!         TurnState::Understood(intent) => assert_eq!(intent.name, "range_query"),
//!         TurnState::Finished(_) => break,
//!     }
//! }
//! assert_eq!(turn.take_text(), "You can go about 212 kilometres.");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Modules
//!
//! | module | contents |
//! | --- | --- |
//! | [`decoder`] | configuration, weights, layers, key-value cache, sampling, sessions |
//! | [`encoder`] | an encoder of the BERT family and its tokenizer |
//! | [`kernels`] | matrix products in each weight format |
//! | [`intent`] | catalogue, scene, prompt format, constrained decoding, classifier |
//! | [`dialogue`] | turns, tokenizer, chat templates, placeholders in replies |
//! | [`training`] | corpus, pretraining, fine-tuning, LoRA adapters, evaluation |
//! | [`cli`] | the commands of `auriga-lm` |
//!
//! # From an utterance to a reply (decoder)
//!
//! ```text
//! SceneFacts, utterance ──prompt──► text ──codec──► tokens ──session──► chunk of at most CHUNK tokens
//!                                                                         │ model: embed
//!                                  cache (keys, values) ◄──────────────►  │ layer 0 … layer n   ◄ a slice may end
//!                                                                         │ model: logits         after any of these
//!         constraint (allowed tokens) ───────────────────► sample ◄───────┘
//!                                                            │
//!                            next chunk ◄── token ───────────┤
//!                                                            └──codec──► IntentOutput, then text of the reply
//! ```
//!
//! 1. [`intent::prompt`] defines the text format of scene, utterance, intent and reply; [`dialogue::codec`] encodes it as
//!    tokens, with special tokens that no utterance can imitate.
//! 2. [`decoder::session`] cuts the tokens into chunks and runs each through [`decoder::model`] layer by layer, with the
//!    [`decoder::cache`]. After any layer a session can be paused, resumed, forked or dropped.
//! 3. A constraint ([`intent::constrained`]) restricts the tokens of the intent, so that it always parses and its text slots hold
//!    words of the utterance; [`decoder::sample`] chooses one. Tokens that the constraint determines are taken without
//!    running the model.
//! 4. [`dialogue::turn`] returns the intent first ([`dialogue::turn::TurnState::Understood`]), then the reply in complete
//!    characters. [`dialogue::fill`] fills its placeholders with values of the scene: a spoken number is always a measured one.
//!
//! A checkpoint that was not trained on this format is prompted in its own chat template ([`dialogue::template`]) and answers
//! with a tool call in JSON ([`intent::tool_call`]).
//!
//! # From an utterance to an intent (classifier)
//!
//! If set-up has fetched its base, an encoder classifies intent and slots in one pass, faster and more accurately than the decoder
//! generates them ([`intent::classifier`] has an example):
//!
//! ```text
//! utterance ──text──► word pieces ─┐                                       ┌─► intent, temperature, out of scope
//! Context ──context──► scene token ┴─► encoder: layer 0 … layer n ──heads──┼─► tags of words (BIO)
//!                                      ▲ a slice may end after any         └─► values of choices
//!                                                                               │ decode
//!                                                                          IntentOutput of the catalogue
//! ```
//!
//! [`training::finetune`] trains it, in full or by LoRA adapters ([`training::lora`]);
//! [`intent::classifier::calibration`] calibrates its confidence.
//!
//! # Invariants
//!
//! - No clock is read and no thread is started here (benchmarks and progress of training apart): a
//!   [`decoder::session::Budget`] counts layers, so the same budget does the same work everywhere.
//! - How work is sliced has no influence on the result, bit for bit, with one thread of libtorch (`tch::set_num_threads(1)`).
//! - Every defect of a checkpoint is an error: see [`decoder::config`] and [`decoder::weights`].

#![deny(missing_docs)]

pub mod cli;
pub mod decoder;
pub mod dialogue;
pub mod encoder;
pub mod intent;
pub mod kernels;
pub mod training;
