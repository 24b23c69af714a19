//! Text ↔ tokens: a Hugging Face `tokenizer.json`, loaded or trained here (byte-level BPE).

use crate::intent::prompt::SPECIAL_TOKENS;
use llguidance::toktrie::{TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv};
use std::{path::Path, sync::Arc};
use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, TokenizerBuilder,
    models::bpe::{BPE, BpeTrainerBuilder},
    pre_tokenizers::{byte_level::ByteLevel, digits::Digits, sequence::Sequence},
    step_decode_stream,
};

#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    #[error("cannot load the tokenizer {path}: {what}")]
    Load { path: String, what: String },
    #[error("cannot save the tokenizer {path}: {what}")]
    Save { path: String, what: String },
    #[error("cannot train a tokenizer: {what}")]
    Train { what: String },
    #[error("cannot encode a text of {bytes} bytes: {what}")]
    Encode { bytes: usize, what: String },
    #[error("cannot decode tokens: {what}")]
    Decode { what: String },
    #[error("the tokenizer has no special token {token}: it is not one of a model trained by `auriga-lm train`")]
    Special { token: &'static str },
    #[error(
        "the bytes of the tokens cannot be had: {what}; expected a byte-level tokenizer, or one with byte fallback"
    )]
    Bytes { what: String },
}

/// A tokenizer that reads special tokens in a text as plain text: what is said in the car cannot end a turn.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
}

/// Decodes a stream of tokens piece by piece, never in the middle of a character.
#[derive(Debug, Clone, Default)]
pub struct TextStream {
    ids: Vec<u32>,
    prefix: String,
    prefix_index: usize,
}

impl Tokenizer {
    pub fn load(path: &Path) -> Result<Self, TokenizerError> {
        let inner = tokenizers::Tokenizer::from_file(path)
            .map_err(|e| TokenizerError::Load { path: path.display().to_string(), what: e.to_string() })?;
        Ok(Self::wrap(inner))
    }

    fn wrap(mut inner: tokenizers::Tokenizer) -> Self {
        inner.set_encode_special_tokens(true);
        Self { inner }
    }

    /// A byte-level BPE of `vocabulary` tokens. Digits stand alone, so that a number is copied digit by digit; the special
    /// tokens have the ids from 0.
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
        // Through its file format, so that a trained tokenizer and a loaded one are the same.
        let json = raw.to_string(false).map_err(fail)?;
        Ok(Self::wrap(tokenizers::Tokenizer::from_bytes(json).map_err(fail)?))
    }

    pub fn save(&self, path: &Path) -> Result<(), TokenizerError> {
        self.inner
            .save(path, true)
            .map_err(|e| TokenizerError::Save { path: path.display().to_string(), what: e.to_string() })
    }

    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        match self.inner.encode_fast(text, false) {
            Ok(encoding) => Ok(encoding.get_ids().to_vec()),
            Err(e) => Err(TokenizerError::Encode { bytes: text.len(), what: e.to_string() }),
        }
    }

    pub fn decode(&self, tokens: &[u32]) -> Result<String, TokenizerError> {
        self.inner.decode(tokens, true).map_err(|e| TokenizerError::Decode { what: e.to_string() })
    }

    /// The new text that a token completes; empty while a character is not whole.
    pub fn decode_next(&self, token: u32, stream: &mut TextStream) -> Result<String, TokenizerError> {
        let TextStream { ids, prefix, prefix_index } = stream;
        step_decode_stream(&self.inner, vec![token], true, ids, prefix, prefix_index)
            .map(Option::unwrap_or_default)
            .map_err(|e| TokenizerError::Decode { what: e.to_string() })
    }

    /// Special tokens in a text are read as such: what comes from a chat template, whose parts are cleaned before.
    pub fn with_special_tokens(mut self) -> Self {
        self.inner.set_encode_special_tokens(false);
        self
    }

    /// The id of a token that is written like this.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Whether it has all the special tokens of [`crate::intent::prompt`].
    pub fn is_own(&self) -> bool {
        SPECIAL_TOKENS.iter().all(|t| self.id(t).is_some())
    }

    /// Its tokens as bytes, for a constraint on what is said. `size`: of the model's vocabulary; `ends`: tokens that end a
    /// text, within it.
    pub(crate) fn environment(self: &Arc<Self>, size: usize, ends: &[u32]) -> Result<TokEnv, TokenizerError> {
        let fail = |what: String| TokenizerError::Bytes { what };
        let json = self.inner.to_string(false).map_err(|e| fail(e.to_string()))?;
        let json: serde_json::Value = serde_json::from_str(&json).map_err(|e| fail(e.to_string()))?;
        // What would be read as a byte must be one.
        let byte = |t: &str| t.len() == 6 && t.ends_with('>') && u8::from_str_radix(&t[3..5], 16).is_ok();
        let wrong = |t: &&String| t.starts_with("<0x") && !(t.is_ascii() && byte(t));
        let vocabulary = self.inner.get_vocab(false);
        if let Some(token) = vocabulary.keys().find(wrong) {
            return Err(fail(format!("the token {token:?} is no byte")));
        }
        let mut tokens = llguidance::token_bytes_from_tokenizer_json(&json).map_err(|e| fail(format!("{e:#}")))?;
        // Models have rows for tokens that do not exist; these are never allowed.
        let unused = |id: usize| [&[TokTrie::SPECIAL_TOKEN_MARKER], format!("<[{id}]>").as_bytes()].concat();
        tokens.extend((tokens.len()..size).map(unused));
        let end = ends.first().copied().ok_or_else(|| fail("no token ends a text".into()))?;
        let trie = TokTrie::from(&TokRxInfo::new(tokens.len() as u32, end), &tokens).with_eos_tokens(ends);
        Ok(Arc::new(Environment { tokenizer: self.clone(), trie }))
    }

    pub fn special(&self, token: &'static str) -> Result<u32, TokenizerError> {
        self.inner.token_to_id(token).ok_or(TokenizerError::Special { token })
    }

    /// One more than the largest id.
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
