//! What can go wrong in a turn.

use crate::{
    decoder::{model::ModelError, session::SessionError},
    dialogue::{template::TemplateError, tokenizer::TokenizerError},
    intent::tool_call::ToolError,
};

#[derive(Debug, thiserror::Error)]
pub enum LmError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(
        "{path}: tokenizer.json has token ids up to {largest}, the model a vocabulary of {vocabulary}: they do not belong together"
    )]
    Vocabulary { path: String, largest: usize, vocabulary: i64 },
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error(transparent)]
    Tool(#[from] ToolError),
    #[error(
        "{path}: no token ends a text (found {found:?}): expected `eos_token_id` in config.json or generation_config.json, \
         or `eos_token` in tokenizer_config.json, within the vocabulary"
    )]
    NoEnd { path: String, found: Vec<u32> },
    #[error(
        "{path}: the calls and a turn take {needed} tokens, the model reads {max_positions} (`max_position_embeddings`); \
         take a model with a longer context"
    )]
    Context { path: String, needed: usize, max_positions: usize },
    #[error("an utterance without words")]
    NoWords,
}
