//! The encoder's tokenizer (WordPiece), which keeps the position of each word.

use crate::dialogue::tokenizer::TokenizerError;
use std::path::Path;

/// A WordPiece tokenizer.
pub struct WordPieces {
    inner: tokenizers::Tokenizer,
    begin: i64,
    end: i64,
    unknown: i64,
}

/// A tokenized text with its start and end token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pieces {
    /// Token ids.
    pub tokens: Vec<i64>,
    /// Index in `tokens` of the first piece of each word.
    pub words: Vec<i64>,
    /// Number of words at the end that did not fit.
    pub truncated_words: usize,
}

impl WordPieces {
    /// Loads a `tokenizer.json`.
    ///
    /// # Errors
    /// A file that cannot be read, or that lacks a special token of BERT.
    pub fn load(path: &Path) -> Result<Self, TokenizerError> {
        let fail = |what: String| TokenizerError::Load { path: path.display().to_string(), what };
        let mut inner = tokenizers::Tokenizer::from_file(path).map_err(|e| fail(e.to_string()))?;
        // Texts are truncated in encode(), and batches have texts of the same length.
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|e| fail(e.to_string()))?;
        inner.set_encode_special_tokens(true);
        let special = |token: &str| {
            let id = inner.token_to_id(token).map(i64::from);
            id.ok_or_else(|| fail(format!("it has no token {token}: expected the tokenizer of a BERT")))
        };
        let (begin, end, unknown) = (special("[CLS]")?, special("[SEP]")?, special("[UNK]")?);
        Ok(Self { inner, begin, end, unknown })
    }

    /// The largest id plus one.
    pub fn vocabulary(&self) -> i64 {
        self.inner.get_vocab(true).into_values().max().map_or(0, |id| i64::from(id) + 1)
    }

    /// Tokenizes the words of a normalized utterance into at most `room` tokens, start and end token included. Words that do
    /// not fit completely are left out.
    ///
    /// # Errors
    /// [`TokenizerError::Encode`].
    pub fn encode(&self, words: &[&str], room: usize) -> Result<Pieces, TokenizerError> {
        let mut pieces = Pieces { tokens: vec![self.begin], words: Vec::new(), truncated_words: 0 };
        for word in words {
            let encoding = self
                .inner
                .encode_fast(*word, false)
                .map_err(|e| TokenizerError::Encode { bytes: word.len(), what: e.to_string() })?;
            let mut ids: Vec<i64> = encoding.get_ids().iter().map(|id| i64::from(*id)).collect();
            if ids.is_empty() {
                ids.push(self.unknown);
            }
            if pieces.truncated_words > 0 || pieces.tokens.len() + ids.len() + 1 > room {
                pieces.truncated_words += 1;
                continue;
            }
            pieces.words.push(pieces.tokens.len() as i64);
            pieces.tokens.extend(ids);
        }
        pieces.tokens.push(self.end);
        Ok(pieces)
    }
}
