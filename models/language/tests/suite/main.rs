//! The integration tests, in one executable: each more would be linked with all dependencies once more.

mod chat;
mod checkpoint;
mod classifier;
mod common;
mod corpus;
mod encoder;
mod finetune;
mod gguf;
mod intents_minilm;
mod loader;
mod parity;
mod pretrain;
mod quantize;
mod sampling;
mod sentencepiece;
mod slices;
mod tiny;
mod turns;
