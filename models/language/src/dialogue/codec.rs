//! The prompt format in tokens. Training and constrained decoding build a turn from the same parts, so that the decoder is
//! constrained to the sequences that the model was trained on.

use crate::{
    dialogue::tokenizer::{TextStream, Tokenizer, TokenizerError},
    intent::{output::IntentOutput, prompt, scene::SceneFacts},
};
use std::sync::Arc;

/// A tokenizer and the ids of the special tokens of the prompt format.
pub struct Codec {
    tokenizer: Arc<Tokenizer>,
    /// Id of [`prompt::END`].
    pub end: u32,
    /// Id of [`prompt::SCENE`].
    pub scene: u32,
    /// Id of [`prompt::USER`].
    pub user: u32,
    /// Id of [`prompt::INTENT`].
    pub intent: u32,
    /// Id of [`prompt::REPLY`].
    pub reply: u32,
}

impl Codec {
    /// From a tokenizer with the special tokens.
    ///
    /// # Errors
    /// [`TokenizerError::Special`] if one is missing.
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

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Encodes a text.
    ///
    /// # Errors
    /// [`TokenizerError::Encode`].
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        self.tokenizer.encode(text)
    }

    /// The text that a token adds ([`Tokenizer::decode_next`]).
    ///
    /// # Errors
    /// [`TokenizerError::Decode`].
    pub fn decode_next(&self, token: u32, stream: &mut TextStream) -> Result<String, TokenizerError> {
        self.tokenizer.decode_next(token, stream)
    }

    /// `<|scene|>…`: the part that does not depend on the utterance and can be processed before it is known.
    ///
    /// # Errors
    /// [`TokenizerError::Encode`].
    pub fn scene_part(&self, scene: &SceneFacts) -> Result<Vec<u32>, TokenizerError> {
        Ok([vec![self.scene], self.encode(&scene.preamble())?].concat())
    }

    /// `<|user|>…<|intent|>`. `utterance`: normalized ([`prompt::clean_utterance`]).
    ///
    /// # Errors
    /// [`TokenizerError::Encode`].
    pub fn user_part(&self, utterance: &str) -> Result<Vec<u32>, TokenizerError> {
        Ok([vec![self.user], self.encode(utterance)?, vec![self.intent]].concat())
    }

    /// `name slot=value;…<|reply|>`.
    ///
    /// # Errors
    /// [`TokenizerError::Encode`].
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
    ///
    /// # Errors
    /// [`TokenizerError::Encode`].
    pub fn reply_part(&self, reply: &str) -> Result<Vec<u32>, TokenizerError> {
        Ok([self.encode(reply)?, vec![self.end]].concat())
    }

    /// ` slot=` after a name, `slot=` after a value.
    pub(crate) fn slot_start(&self, name: &str, first: bool) -> Result<Vec<u32>, TokenizerError> {
        let separator = if first { " " } else { "" };
        Ok([self.encode(&format!("{separator}{name}"))?, self.encode("=")?].concat())
    }

    /// `value;`.
    pub(crate) fn slot_value(&self, value: &str) -> Result<Vec<u32>, TokenizerError> {
        Ok([self.encode(value)?, self.encode(";")?].concat())
    }
}
