//! The decoder's tokenizer: a Hugging Face `tokenizer.json`, loaded or trained here (byte-level BPE).

use crate::{
    dialogue::token_bytes::{self, TokenBytes},
    intent::prompt::SPECIAL_TOKENS,
};
use llguidance::toktrie::{TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv};
use std::{collections::BTreeSet, path::Path, sync::Arc};
use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, TokenizerBuilder,
    models::bpe::{BPE, BpeTrainerBuilder},
    pre_tokenizers::{byte_level::ByteLevel, digits::Digits, sequence::Sequence},
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

/// A tokenizer. Special tokens in a text are encoded as plain text, so that an utterance cannot end a turn. As in
/// Transformers, the truncation and the padding of the file do not apply: a prompt is neither cut nor filled.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// For a text that continues another, where that differs: without a space before the first word.
    continuation: Option<tokenizers::Tokenizer>,
    /// The tokens as bytes, or why they have none.
    bytes: Result<TokenBytes, String>,
}

/// State of decoding a stream of tokens into complete characters.
#[derive(Debug, Clone, Default)]
pub struct TextStream {
    /// The beginning of a character.
    pending: Vec<u8>,
    has_begun: bool,
}

/// A longer token is never chosen in constrained decoding; no intent needs one.
const MAX_TOKEN_BYTES: usize = 512;

impl Tokenizer {
    /// Loads a `tokenizer.json`.
    ///
    /// # Errors
    /// [`TokenizerError::Load`].
    pub fn load(path: &Path) -> Result<Self, TokenizerError> {
        let inner = tokenizers::Tokenizer::from_file(path)
            .map_err(|e| TokenizerError::Load { path: path.display().to_string(), what: e.to_string() })?;
        Self::wrap(inner).map_err(|e| TokenizerError::Load { path: path.display().to_string(), what: e.to_string() })
    }

    /// From the content of a `tokenizer.json`; `path` is named in error messages.
    ///
    /// # Errors
    /// [`TokenizerError::Load`].
    pub fn from_json(json: &serde_json::Value, path: &str) -> Result<Self, TokenizerError> {
        let inner = tokenizers::Tokenizer::from_bytes(json.to_string()).and_then(Self::wrap);
        inner.map_err(|e| TokenizerError::Load { path: path.into(), what: e.to_string() })
    }

    fn wrap(mut inner: tokenizers::Tokenizer) -> Result<Self, tokenizers::Error> {
        inner.with_padding(None);
        inner.with_truncation(None)?;
        let json: serde_json::Value = serde_json::from_str(&inner.to_string(false)?)?;
        let continuation = match token_bytes::continuation(&json) {
            Some(changed) => Some(tokenizers::Tokenizer::from_bytes(changed.to_string())?),
            None => None,
        };
        Ok(Self { inner, continuation, bytes: TokenBytes::new(&json) }.encoding_special_tokens(true))
    }

    fn encoding_special_tokens(mut self, as_text: bool) -> Self {
        for tokenizer in [Some(&mut self.inner), self.continuation.as_mut()].into_iter().flatten() {
            tokenizer.set_encode_special_tokens(as_text);
        }
        self
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
        Self::wrap(tokenizers::Tokenizer::from_bytes(json).map_err(fail)?).map_err(fail)
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
        encode(&self.inner, text)
    }

    /// Encodes a text that continues another: SentencePiece puts no space before its first word.
    ///
    /// # Errors
    /// [`TokenizerError::Encode`].
    pub fn encode_continuation(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        encode(self.continuation.as_ref().unwrap_or(&self.inner), text)
    }

    /// Decodes tokens, without special tokens.
    ///
    /// # Errors
    /// [`TokenizerError::Decode`].
    pub fn decode(&self, tokens: &[u32]) -> Result<String, TokenizerError> {
        self.inner.decode(tokens, true).map_err(|e| TokenizerError::Decode { what: e.to_string() })
    }

    /// The text that a token adds; empty while a character is incomplete. Bytes that are no character become �.
    ///
    /// # Errors
    /// [`TokenizerError::Bytes`] if the tokens have no bytes.
    pub fn decode_next(&self, token: u32, stream: &mut TextStream) -> Result<String, TokenizerError> {
        let bytes = self.bytes()?;
        stream.pending.extend_from_slice(bytes.text_of(token));
        let text = stream.complete();
        if text.is_empty() || std::mem::replace(&mut stream.has_begun, true) || !bytes.leading_space {
            return Ok(text);
        }
        Ok(text.strip_prefix(' ').map(String::from).unwrap_or(text))
    }

    fn bytes(&self) -> Result<&TokenBytes, TokenizerError> {
        self.bytes.as_ref().map_err(|what| TokenizerError::Bytes { what: what.clone() })
    }

    /// Encodes special tokens in a text as such; for chat templates, whose inputs are normalized before.
    pub fn with_special_tokens(self) -> Self {
        self.encoding_special_tokens(false)
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
        // Special tokens, and rows of the output matrix without a token, are never allowed.
        let never = |name: &[u8]| [&[TokTrie::SPECIAL_TOKEN_MARKER], name].concat();
        let unused = |id: usize| never(format!("<[{id}]>").as_bytes());
        let all = self.bytes()?.tokens();
        let texts: BTreeSet<&[u8]> = all.iter().filter(|t| !t.is_byte && !t.is_special).map(|t| &t.bytes[..]).collect();
        let mut tokens: Vec<Vec<u8>> = Vec::new();
        for (id, token) in all.iter().enumerate() {
            // A byte that is a token of the text as well is only ever encoded as that.
            let is_redundant = token.is_byte && texts.contains(&token.bytes[..]);
            tokens.push(match token.bytes.len() {
                _ if is_redundant => unused(id),
                1..=MAX_TOKEN_BYTES if token.is_special => never(&token.bytes),
                1..=MAX_TOKEN_BYTES => token.bytes.clone(),
                _ => unused(id),
            });
        }
        tokens.extend((tokens.len()..size).map(unused));
        let no_end = || TokenizerError::Bytes { what: "no token ends a text".into() };
        let end = ends.first().copied().ok_or_else(no_end)?;
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

    /// The tokens of a text that continues another. Whatever the tokenizer makes of it, their bytes are these bytes.
    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        let is_exact = |tokens: &Vec<u32>| {
            let found = tokens.iter().flat_map(|token| self.trie.token(*token));
            tokens.iter().all(|t| (*t as usize) < self.trie.vocab_size()) && found.eq(bytes)
        };
        let encoded = std::str::from_utf8(bytes).ok().and_then(|text| self.tokenizer.encode_continuation(text).ok());
        encoded.filter(is_exact).unwrap_or_else(|| self.trie.greedy_tokenize(bytes))
    }
}

fn encode(tokenizer: &tokenizers::Tokenizer, text: &str) -> Result<Vec<u32>, TokenizerError> {
    match tokenizer.encode_fast(text, false) {
        Ok(encoding) => Ok(encoding.get_ids().to_vec()),
        Err(e) => Err(TokenizerError::Encode { bytes: text.len(), what: e.to_string() }),
    }
}

impl TextStream {
    /// Takes the complete characters.
    fn complete(&mut self) -> String {
        let mut text = String::new();
        loop {
            let (valid, rest) = match std::str::from_utf8(&self.pending) {
                Ok(valid) => (valid, None),
                Err(e) => {
                    let valid = std::str::from_utf8(&self.pending[..e.valid_up_to()]).unwrap_or_default();
                    (valid, Some(e.error_len()))
                }
            };
            text.push_str(valid);
            let end = valid.len();
            match rest {
                Some(Some(wrong)) => {
                    text.push(char::REPLACEMENT_CHARACTER);
                    self.pending.drain(..end + wrong);
                }
                // Complete, or the rest is the beginning of a character.
                None | Some(None) => {
                    self.pending.drain(..end);
                    return text;
                }
            }
        }
    }
}
