//! Errors of loading a decoder and of running a turn.

use crate::{
    decoder::{
        model::ModelError,
        session::{Finish, SessionError},
    },
    dialogue::{template::TemplateError, tokenizer::TokenizerError},
    intent::tool_call::ToolError,
};

/// An error of loading a decoder or of running a turn.
#[derive(Debug, thiserror::Error)]
pub enum LmError {
    /// The model cannot be loaded.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The tokenizer cannot be loaded or used.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The session cannot go on.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// Tokenizer and model do not belong together.
    #[error(
        "{path}: tokenizer.json has token ids up to {largest}, the model a vocabulary of {vocabulary}: they do not belong together"
    )]
    Vocabulary {
        /// The checkpoint.
        path: String,
        /// The largest token id of the tokenizer.
        largest: usize,
        /// Vocabulary size of the model.
        vocabulary: i64,
    },
    /// The chat template is missing or cannot be rendered.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The grammar of tool calls cannot be compiled.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// No token of the vocabulary ends a text.
    #[error(
        "{path}: no token ends a text (found {found:?}): expected `eos_token_id` in config.json or generation_config.json, \
         or `eos_token` in tokenizer_config.json, within the vocabulary"
    )]
    NoEndToken {
        /// The checkpoint.
        path: String,
        /// The end tokens that its files name.
        found: Vec<u32>,
    },
    /// The model's context is too short for the list of intents and one turn.
    #[error(
        "{path}: the list of intents and a turn take {needed} tokens, but the context of the model has {max_positions} \
         (`max_position_embeddings`); use a model with a longer context"
    )]
    Context {
        /// The checkpoint.
        path: String,
        /// Tokens of the prompt and a turn.
        needed: usize,
        /// Length of the model's context in tokens.
        max_positions: usize,
    },
    /// The utterance has no words.
    #[error("the utterance has no words")]
    NoWords,
    /// Generation ended before the intent was complete, for example because the context was full.
    #[error("generation ended ({finish:?}) before the intent was complete")]
    IncompleteIntent {
        /// Why generation ended.
        finish: Finish,
    },
}
