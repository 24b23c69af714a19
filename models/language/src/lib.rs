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
//! 1. [`prompt`](intent::prompt) writes what is known of the scene and what was said as one text; [`codec`](dialogue::codec) makes tokens of it, with special
//!    tokens that nothing said can imitate.
//! 2. [`session`](decoder::session) cuts the tokens into runs and takes each through [`model`](decoder::model) layer by layer. [`cache`](decoder::cache) keeps what later
//!    tokens need. After any layer the session can be left and taken up again, or forked, or dropped.
//! 3. After the last layer of the last run come the logits. [`guide`](intent::constrained) says which tokens are allowed (the intent always
//!    parses, and its text slots hold words that were said), [`sample`](decoder::sample) chooses one and tells its probability. Tokens that
//!    are certain are taken without asking the model, and go into the next run together.
//! 4. [`turn`](dialogue::turn) puts it together: the intent first ([`turn::TurnState::Understood`](dialogue::turn::TurnState::Understood)), then the reply in whole characters,
//!    with the values of the scene put in by [`fill`](dialogue::fill): no number is spoken that was not measured.
//!
//! A checkpoint that has not learnt this format is spoken to in its own chat template ([`template`](dialogue::template)) and answers with a JSON
//! call, to which [`tool`](intent::tool_call) holds it instead of [`guide`](intent::constrained)'s paths.
//!
//! [`catalogue`](intent::catalogue) (`intents.toml`) says which intents there are; [`corpus`](training::corpus) and [`grammar`](training::corpus::grammar) (`grammar.toml`) make exchanges
//! for [`train`](training::pretrain); [`evaluate`](training::evaluate) and [`bench`](cli::bench) measure.
//!
//! # The way of an intent by the encoder
//!
//! Where set-up could fetch its base, an encoder reads intent and slots in one pass, faster and surer than the decoder writes
//! them ([`joint_session`](intent::classifier) begins with an example):
//!
//! ```text
//! utterance ──encoder_text──► word pieces ─┐                                    ┌─► intent, temperature, out of scope
//! Context ──joint_context──► the scene's ──┴─► encoder: layer 0 … layer n ──joint──► tags of words (BIO)
//!                            token             ▲ a slice ends after any of these  └─► values of choices
//!                                                                                       │ joint_read
//!                                                                               IntentOutput that keeps to the catalogue
//! ```
//!
//! [`finetune`](training::finetune) trains it, and the decoder, in full or by corrections of low rank ([`lora`](training::lora), [`lora_budget`](training::lora::adalora)); [`calibrate`](intent::classifier::calibration)
//! makes its confidence one that can be believed.
//!
//! # Example
//!
//! ```no_run,standalone_crate
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
//! - No clock is read and no thread started here (benches and the progress of trainings apart): a [`session::Budget`](decoder::session::Budget) counts
//!   layers, so the same budget does the same work everywhere.
//! - How work is sliced has no influence on its outcome, bit for bit, with one thread of libtorch
//!   (`tch::set_num_threads(1)`).
//! - Nothing that is wrong with a checkpoint is passed over: see [`config`](decoder::config) and [`weights`](decoder::weights).

pub mod cli;
pub mod decoder;
pub mod dialogue;
pub mod encoder;
pub mod intent;
pub mod kernels;
pub mod training;
