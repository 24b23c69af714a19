//! A turn of the dialogue: from an utterance to its intent and reply, with the text formats and tokens that this needs.

mod chat;
pub mod codec;
pub mod error;
pub mod fill;
pub mod stop;
pub mod template;
pub(crate) mod token_bytes;
pub mod tokenizer;
pub mod turn;
