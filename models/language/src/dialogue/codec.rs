//! The prompt format in tokens. Training and decoding put a turn together from the same parts, so that a sequence the
//! decoder is held to is one the model has learnt.

use crate::{
    dialogue::tokenizer::{TextStream, Tokenizer, TokenizerError},
    intent::{output::IntentOutput, prompt, scene::SceneFacts},
};
use std::sync::Arc;

/// A tokenizer and the ids of its special tokens.
pub struct Codec {
    tokenizer: Arc<Tokenizer>,
    pub end: u32,
    pub scene: u32,
    pub user: u32,
    pub intent: u32,
    pub reply: u32,
}

impl Codec {
    pub fn new(tokenizer: impl Into<Arc<Tokenizer>>) -> Result<Self, TokenizerError> {
        let tokenizer = tokenizer.into();
        Ok(Self {
            end: tokenizer.special(prompt::END)?,
            scene: tokenizer.special(prompt::SCENE)?,
            user: tokenizer.special(prompt::USER)?,
            intent: tokenizer.special(prompt::INTENT)?,
            reply: tokenizer.special(prompt::REPLY)?,
            tokenizer,
        })
    }

    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        self.tokenizer.encode(text)
    }

    pub fn decode_next(&self, token: u32, stream: &mut TextStream) -> Result<String, TokenizerError> {
        self.tokenizer.decode_next(token, stream)
    }

    /// `<|scene|>…`: what does not depend on the utterance, and can be run before it comes.
    pub fn scene_part(&self, scene: &SceneFacts) -> Result<Vec<u32>, TokenizerError> {
        Ok([vec![self.scene], self.encode(&scene.preamble())?].concat())
    }

    /// `<|user|>…<|intent|>`. `utterance`: clean ([`prompt::clean_utterance`]).
    pub fn user_part(&self, utterance: &str) -> Result<Vec<u32>, TokenizerError> {
        Ok([vec![self.user], self.encode(utterance)?, vec![self.intent]].concat())
    }

    /// `name slot=value;…<|reply|>`.
    pub fn intent_part(&self, output: &IntentOutput) -> Result<Vec<u32>, TokenizerError> {
        let mut tokens = self.encode(&output.name)?;
        for (i, (name, value)) in output.slots.iter().enumerate() {
            tokens.extend(self.slot_start(name, i == 0)?);
            tokens.extend(self.slot_value(value)?);
        }
        tokens.push(self.reply);
        Ok(tokens)
    }

    /// `…<|end|>`.
    pub fn reply_part(&self, reply: &str) -> Result<Vec<u32>, TokenizerError> {
        Ok([self.encode(reply)?, vec![self.end]].concat())
    }

    /// ` slot=` after a name, `slot=` after a value.
    pub(crate) fn slot_start(&self, name: &str, first: bool) -> Result<Vec<u32>, TokenizerError> {
        let gap = if first { " " } else { "" };
        Ok([self.encode(&format!("{gap}{name}"))?, self.encode("=")?].concat())
    }

    /// `value;`.
    pub(crate) fn slot_value(&self, value: &str) -> Result<Vec<u32>, TokenizerError> {
        Ok([self.encode(value)?, self.encode(";")?].concat())
    }
}
