//! Words ↔ word pieces: the `tokenizer.json` of an encoder.

use crate::dialogue::tokenizer::TokenizerError;
use std::path::Path;

/// The tokenizer of an encoder; it knows of each word where its pieces begin.
pub struct WordPieces {
    inner: tokenizers::Tokenizer,
    begin: i64,
    end: i64,
    unknown: i64,
}

/// A text in word pieces, between the tokens that begin and end it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pieces {
    pub tokens: Vec<i64>,
    /// Where the first piece of each word stands in `tokens`.
    pub words: Vec<i64>,
    /// Words that there was no room for.
    pub left_out: usize,
}

impl WordPieces {
    pub fn load(path: &Path) -> Result<Self, TokenizerError> {
        let fail = |what: String| TokenizerError::Load { path: path.display().to_string(), what };
        let mut inner = tokenizers::Tokenizer::from_file(path).map_err(|e| fail(e.to_string()))?;
        // Texts are cut here, with a note, and batches are made of texts of one length.
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

    /// One more than the largest id.
    pub fn vocabulary(&self) -> i64 {
        self.inner.get_vocab(true).into_values().max().map_or(0, |id| i64::from(id) + 1)
    }

    /// Words of a clean utterance; at most `room` tokens with beginning and end. Whole words only.
    pub fn encode(&self, words: &[&str], room: usize) -> Result<Pieces, TokenizerError> {
        let mut pieces = Pieces { tokens: vec![self.begin], words: Vec::new(), left_out: 0 };
        for word in words {
            let encoding = self
                .inner
                .encode_fast(*word, false)
                .map_err(|e| TokenizerError::Encode { bytes: word.len(), what: e.to_string() })?;
            let mut ids: Vec<i64> = encoding.get_ids().iter().map(|id| i64::from(*id)).collect();
            if ids.is_empty() {
                ids.push(self.unknown);
            }
            if pieces.left_out > 0 || pieces.tokens.len() + ids.len() + 1 > room {
                pieces.left_out += 1;
                continue;
            }
            pieces.words.push(pieces.tokens.len() as i64);
            pieces.tokens.extend(ids);
        }
        pieces.tokens.push(self.end);
        Ok(pieces)
    }
}
