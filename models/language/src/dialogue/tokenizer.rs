//! The decoder's tokenizer: a Hugging Face `tokenizer.json`, loaded or trained here (byte-level BPE).

use crate::intent::prompt::SPECIAL_TOKENS;
use llguidance::toktrie::{TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv};
use std::{path::Path, sync::Arc};
use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, TokenizerBuilder,
    models::bpe::{BPE, BpeTrainerBuilder},
    pre_tokenizers::{byte_level::ByteLevel, digits::Digits, sequence::Sequence},
    step_decode_stream,
};

/// An error of a tokenizer.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// The file cannot be loaded.
    #[error("cannot load the tokenizer {path}: {what}")]
    Load {
        /// The file.
        path: String,
        /// The cause.
        what: String,
    },
    /// The file cannot be written.
    #[error("cannot save the tokenizer {path}: {what}")]
    Save {
        /// The file.
        path: String,
        /// The cause.
        what: String,
    },
    /// Training failed.
    #[error("cannot train a tokenizer: {what}")]
    Train {
        /// The cause.
        what: String,
    },
    /// A text cannot be encoded.
    #[error("cannot encode a text of {bytes} bytes: {what}")]
    Encode {
        /// Length of the text in bytes.
        bytes: usize,
        /// The cause.
        what: String,
    },
    /// Tokens cannot be decoded.
    #[error("cannot decode tokens: {what}")]
    Decode {
        /// The cause.
        what: String,
    },
    /// A special token of the prompt format is missing.
    #[error("the tokenizer has no special token {token}: the model was not trained by `auriga-lm train`")]
    Special {
        /// The token.
        token: &'static str,
    },
    /// The tokens cannot be mapped to bytes, which constrained decoding needs.
    #[error("the tokens cannot be mapped to bytes: {what}; expected a byte-level tokenizer, or one with byte fallback")]
    Bytes {
        /// The cause.
        what: String,
    },
}

/// A tokenizer. Special tokens in a text are encoded as plain text, so that an utterance cannot end a turn.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
}

/// State of decoding a stream of tokens into complete characters.
#[derive(Debug, Clone, Default)]
pub struct TextStream {
    ids: Vec<u32>,
    prefix: String,
    prefix_index: usize,
}

impl Tokenizer {
    /// Loads a `tokenizer.json`.
    ///
    /// # Errors
    /// [`TokenizerError::Load`].
    pub fn load(path: &Path) -> Result<Self, TokenizerError> {
        let inner = tokenizers::Tokenizer::from_file(path)
            .map_err(|e| TokenizerError::Load { path: path.display().to_string(), what: e.to_string() })?;
        Ok(Self::wrap(inner))
    }

    fn wrap(mut inner: tokenizers::Tokenizer) -> Self {
        inner.set_encode_special_tokens(true);
        Self { inner }
    }

    /// Trains a byte-level BPE with `vocabulary` tokens. Each digit is a token, so that numbers are copied digit by digit; the
    /// special tokens have the ids from 0.
    ///
    /// # Errors
    /// [`TokenizerError::Train`].
    pub fn train(texts: &[String], vocabulary: usize) -> Result<Self, TokenizerError> {
        let fail = |e: tokenizers::Error| TokenizerError::Train { what: e.to_string() };
        let special: Vec<AddedToken> = SPECIAL_TOKENS.iter().map(|t| AddedToken::from(*t, true)).collect();
        let mut trainer = BpeTrainerBuilder::new()
            .vocab_size(vocabulary)
            .min_frequency(2)
            .show_progress(false)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .special_tokens(special)
            .build();
        let split: Vec<PreTokenizerWrapper> = vec![Digits::new(true).into(), ByteLevel::new(false, false, true).into()];
        let mut raw =
            TokenizerBuilder::<BPE, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>::new(
            )
            .with_model(BPE::default())
            .with_normalizer(None)
            .with_pre_tokenizer(Some(Sequence::new(split).into()))
            .with_post_processor(None)
            .with_decoder(Some(ByteLevel::default().into()))
            .build()
            .map_err(fail)?;
        raw.train(&mut trainer, texts.iter()).map_err(fail)?;
        // Via the file format, so that a trained and a loaded tokenizer are identical.
        let json = raw.to_string(false).map_err(fail)?;
        Ok(Self::wrap(tokenizers::Tokenizer::from_bytes(json).map_err(fail)?))
    }

    /// Writes a `tokenizer.json`.
    ///
    /// # Errors
    /// [`TokenizerError::Save`].
    pub fn save(&self, path: &Path) -> Result<(), TokenizerError> {
        self.inner
            .save(path, true)
            .map_err(|e| TokenizerError::Save { path: path.display().to_string(), what: e.to_string() })
    }

    /// Encodes a text.
    ///
    /// # Errors
    /// [`TokenizerError::Encode`].
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        match self.inner.encode_fast(text, false) {
            Ok(encoding) => Ok(encoding.get_ids().to_vec()),
            Err(e) => Err(TokenizerError::Encode { bytes: text.len(), what: e.to_string() }),
        }
    }

    /// Decodes tokens, without special tokens.
    ///
    /// # Errors
    /// [`TokenizerError::Decode`].
    pub fn decode(&self, tokens: &[u32]) -> Result<String, TokenizerError> {
        self.inner.decode(tokens, true).map_err(|e| TokenizerError::Decode { what: e.to_string() })
    }

    /// The text that a token adds; empty while a character is incomplete.
    ///
    /// # Errors
    /// [`TokenizerError::Decode`].
    pub fn decode_next(&self, token: u32, stream: &mut TextStream) -> Result<String, TokenizerError> {
        let TextStream { ids, prefix, prefix_index } = stream;
        step_decode_stream(&self.inner, vec![token], true, ids, prefix, prefix_index)
            .map(Option::unwrap_or_default)
            .map_err(|e| TokenizerError::Decode { what: e.to_string() })
    }

    /// Encodes special tokens in a text as such; for chat templates, whose inputs are normalized before.
    pub fn with_special_tokens(mut self) -> Self {
        self.inner.set_encode_special_tokens(false);
        self
    }

    /// The id of a token, if it exists.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Whether it has all the special tokens of [`crate::intent::prompt`].
    pub fn has_prompt_tokens(&self) -> bool {
        SPECIAL_TOKENS.iter().all(|t| self.id(t).is_some())
    }

    /// The tokens as bytes, for constrained decoding. `size`: the model's vocabulary; `ends`: end tokens within it.
    pub(crate) fn environment(self: &Arc<Self>, size: usize, ends: &[u32]) -> Result<TokEnv, TokenizerError> {
        let fail = |what: String| TokenizerError::Bytes { what };
        let json = self.inner.to_string(false).map_err(|e| fail(e.to_string()))?;
        let json: serde_json::Value = serde_json::from_str(&json).map_err(|e| fail(e.to_string()))?;
        // A token in the notation of a byte must be one.
        let byte = |t: &str| t.len() == 6 && t.ends_with('>') && u8::from_str_radix(&t[3..5], 16).is_ok();
        let wrong = |t: &&String| t.starts_with("<0x") && !(t.is_ascii() && byte(t));
        let vocabulary = self.inner.get_vocab(false);
        if let Some(token) = vocabulary.keys().find(wrong) {
            return Err(fail(format!("the token {token:?} is not a byte")));
        }
        let mut tokens = llguidance::token_bytes_from_tokenizer_json(&json).map_err(|e| fail(format!("{e:#}")))?;
        // Rows of the output matrix without a token; these are never allowed.
        let unused = |id: usize| [&[TokTrie::SPECIAL_TOKEN_MARKER], format!("<[{id}]>").as_bytes()].concat();
        tokens.extend((tokens.len()..size).map(unused));
        let end = ends.first().copied().ok_or_else(|| fail("no token ends a text".into()))?;
        let trie = TokTrie::from(&TokRxInfo::new(tokens.len() as u32, end), &tokens).with_eos_tokens(ends);
        Ok(Arc::new(Environment { tokenizer: self.clone(), trie }))
    }

    /// The id of a special token.
    ///
    /// # Errors
    /// [`TokenizerError::Special`] if it is missing.
    pub fn special(&self, token: &'static str) -> Result<u32, TokenizerError> {
        self.inner.token_to_id(token).ok_or(TokenizerError::Special { token })
    }

    /// The largest id plus one.
    pub fn vocabulary(&self) -> usize {
        self.inner.get_vocab(true).into_values().max().map_or(0, |id| id as usize + 1)
    }
}

struct Environment {
    tokenizer: Arc<Tokenizer>,
    trie: TokTrie,
}

impl TokenizerEnv for Environment {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        self.trie.tokenize_with_greedy_fallback(bytes, |text| self.tokenizer.encode(text).unwrap_or_default())
    }
}
