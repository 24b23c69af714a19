//! The language model of the car: inference in slices, a constrained intent, a reply that comes as it is made, and the
//! training of the small model that stands in `checkpoint/`. It knows nothing of nodes, messages or clocks.
//!
//! # The way of a token
//!
//! ```text
//! SceneFacts, utterance ──prompt──► text ──codec──► tokens ──session──► run of at most CHUNK tokens
//!                                                                         │ model: embed
//!                                  cache (keys, values) ◄──────────────►  │ layer 0 … layer n   ◄ a slice ends after any
//!                                                                         │ model: logits       ◄ of these
//!         guide (which tokens are allowed) ──────────────► sample ◄───────┘
//!                                                            │
//!                              next run ◄── token ───────────┤
//!                                                            └──codec──► IntentOutput, then text of the reply
//! ```
//!
//! 1. [`prompt`] writes what is known of the scene and what was said as one text; [`codec`] makes tokens of it, with special
//!    tokens that nothing said can imitate.
//! 2. [`session`] cuts the tokens into runs and takes each through [`model`] layer by layer. [`cache`] keeps what later
//!    tokens need. After any layer the session can be left and taken up again, or forked, or dropped.
//! 3. After the last layer of the last run come the logits. [`guide`] says which tokens are allowed (the intent always
//!    parses, and its text slots hold words that were said), [`sample`] chooses one and tells its probability. Tokens that
//!    are certain are taken without asking the model, and go into the next run together.
//! 4. [`turn`] puts it together: the intent first ([`turn::TurnState::Understood`]), then the reply in whole characters,
//!    with the values of the scene put in by [`fill`]: no number is spoken that was not measured.
//!
//! A checkpoint that has not learnt this format is spoken to in its own chat template ([`template`]) and answers with a JSON
//! call, to which [`tool`] holds it instead of [`guide`]'s paths.
//!
//! [`catalogue`] (`intents.toml`) says which intents there are; [`corpus`] and [`grammar`] (`grammar.toml`) make exchanges
//! for [`train`]; [`evaluate`] and [`bench`] measure.
//!
//! # The way of an intent by the encoder
//!
//! Where set-up could fetch its base, an encoder reads intent and slots in one pass, faster and surer than the decoder writes
//! them ([`joint_session`] begins with an example):
//!
//! ```text
//! utterance ──encoder_text──► word pieces ─┐                                    ┌─► intent, temperature, out of scope
//! Context ──joint_context──► the scene's ──┴─► encoder: layer 0 … layer n ──joint──► tags of words (BIO)
//!                            token             ▲ a slice ends after any of these  └─► values of choices
//!                                                                                       │ joint_read
//!                                                                               IntentOutput that keeps to the catalogue
//! ```
//!
//! [`finetune`] trains it, and the decoder, in full or by corrections of low rank ([`lora`], [`lora_budget`]); [`calibrate`]
//! makes its confidence one that can be believed.
//!
//! # Example
//!
//! ```no_run,standalone_crate
//! use auriga_lm::{catalogue::Catalogue, prompt::SceneFacts, sample::Sampling, session::Budget, turn::{Lm, TurnState}};
//! use std::path::Path;
//!
//! tch::set_num_threads(1);
//! let here = Path::new(env!("CARGO_MANIFEST_DIR"));
//! let lm = Lm::load(&here.join("checkpoint"), Catalogue::load(here.join("intents.toml"))?)?;
//! let scene = SceneFacts { range_km: Some(212.0), ..SceneFacts::default() };
//! let mut turn = lm.turn(&scene, "how far can I still go?", Sampling::GREEDY)?;
//! loop {
//!     // Two layers, then the caller may look whether it should leave the processor.
//!     match turn.step(&lm, Budget::layers(2))?.state {
//!         TurnState::Paused => {}
//!         TurnState::Understood => println!("{}", turn.intent().unwrap()),
//!         TurnState::Finished(_) => break,
//!     }
//! }
//! assert_eq!(turn.intent().unwrap().name, "range_query");
//! assert_eq!(turn.take_text(), "You can go about 212 kilometres.");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Invariants
//!
//! - No clock is read and no thread started here (benches and the progress of trainings apart): a [`session::Budget`] counts
//!   layers, so the same budget does the same work everywhere.
//! - How work is sliced has no influence on its outcome, bit for bit, with one thread of libtorch
//!   (`tch::set_num_threads(1)`).
//! - Nothing that is wrong with a checkpoint is passed over: see [`config`] and [`weights`].

pub mod bench;
mod bench_large;
pub mod cache;
pub mod calibrate;
pub mod catalogue;
mod chat;
pub mod codec;
pub mod commands;
pub mod config;
pub mod corpus;
pub mod corpus_scene;
pub mod device;
pub mod encoder;
pub mod encoder_bench;
pub mod encoder_config;
pub mod encoder_text;
pub mod evaluate;
pub mod fill;
pub mod finetune;
pub mod finetune_data;
pub mod finetune_decoder;
pub mod finetune_encoder;
mod generation;
pub mod grammar;
pub mod guide;
pub mod joint;
pub mod joint_context;
pub mod joint_read;
pub mod joint_session;
pub mod linear;
pub mod lora;
pub mod lora_budget;
pub mod model;
mod norm;
pub mod numbers;
pub mod optim;
pub mod plots;
pub mod prompt;
pub mod quantize;
mod raw;
pub mod rope;
mod rounded;
pub mod sample;
pub mod session;
pub mod stop;
mod team;
pub mod template;
pub mod tiled;
pub mod tokenizer;
pub mod tool;
pub mod train;
pub mod turn;
pub mod weights;
