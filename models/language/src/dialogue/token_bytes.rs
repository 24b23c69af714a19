//! The bytes that each token of a `tokenizer.json` stands for, and the same tokenizer for a text that continues another.
//!
//! Two notations are in use. Byte-level BPE (GPT-2 and after) writes each byte as a printable character. SentencePiece writes a
//! space as ▁, bytes that are no characters of the vocabulary as `<0x0A>`, and puts a space before the first word of a text:
//! by a normalizer (`Prepend`) or by a pre-tokenizer (`Metaspace`).

use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The tokens of a vocabulary as bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TokenBytes {
    /// By id; empty where there is no token.
    tokens: Vec<Token>,
    /// A text begins with a space that is none of its own.
    pub leading_space: bool,
}

/// A token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Token {
    pub bytes: Vec<u8>,
    /// It is not part of a text.
    pub is_special: bool,
    /// It stands for one byte of a character, by its number.
    pub is_byte: bool,
}

enum Notation {
    /// A printable character for each byte.
    ByteLevel(BTreeMap<char, u8>),
    /// This character for a space; `bytes`: with tokens for bytes.
    Spaces { space: String, bytes: bool },
}

impl TokenBytes {
    /// From the content of a `tokenizer.json`; the error says what its decoder is.
    pub fn new(json: &Value) -> Result<Self, String> {
        let notation = Notation::new(json)?;
        let mut all = Self { tokens: Vec::new(), leading_space: strips_space(&json["decoder"]) };
        for (id, text) in vocabulary(&json["model"]["vocab"]) {
            all.set(id, notation.token(text));
        }
        for added in json["added_tokens"].as_array().into_iter().flatten() {
            if let (Some(id), Some(text)) = (added["id"].as_u64(), added["content"].as_str()) {
                let is_special = added["special"].as_bool().unwrap_or(false);
                all.set(id, Token { bytes: text.into(), is_special, is_byte: false });
            }
        }
        Ok(all)
    }

    fn set(&mut self, id: u64, token: Token) {
        // Ids beyond any vocabulary are refused where the tokenizer is compared with its model.
        let Some(id) = usize::try_from(id).ok().filter(|id| *id < 1 << 24) else { return };
        if self.tokens.len() <= id {
            self.tokens.resize(id + 1, Token::default());
        }
        self.tokens[id] = token;
    }

    /// All tokens, by id.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// What a token adds to a text: nothing if it is special or does not exist.
    pub fn text_of(&self, id: u32) -> &[u8] {
        self.tokens.get(id as usize).filter(|token| !token.is_special).map_or(&[], |token| &token.bytes)
    }
}

impl Notation {
    fn new(json: &Value) -> Result<Self, String> {
        let decoders = steps(&json["decoder"], "decoders");
        let is = |step: &Value, kind: &str| step["type"].as_str() == Some(kind);
        let has = |kind: &str| decoders.iter().any(|d| is(d, kind));
        if has("ByteLevel")
            || (decoders.is_empty()
                && steps(&json["pre_tokenizer"], "pretokenizers").iter().any(|p| is(p, "ByteLevel")))
        {
            return Ok(Self::ByteLevel(byte_level_alphabet()));
        }
        let replaced = |d: &&Value| is(d, "Replace") && d["content"].as_str() == Some(" ");
        let space = decoders.iter().find_map(|d| match () {
            () if replaced(d) => d["pattern"]["String"].as_str(),
            () if is(d, "Metaspace") => Some(d["replacement"].as_str().unwrap_or("▁")),
            () => None,
        });
        match (space, has("ByteFallback")) {
            (None, false) => {
                let kinds: Vec<&str> = decoders.iter().filter_map(|d| d["type"].as_str()).collect();
                Err(format!("its decoder is {:?}", kinds.join(", ")))
            }
            (space, bytes) => Ok(Self::Spaces { space: space.unwrap_or(" ").into(), bytes }),
        }
    }

    fn token(&self, text: &str) -> Token {
        match self {
            Self::ByteLevel(alphabet) => {
                // As the decoder does: a token with any other character is plain text.
                let bytes: Option<Vec<u8>> = text.chars().map(|c| alphabet.get(&c).copied()).collect();
                Token { bytes: bytes.unwrap_or_else(|| text.into()), ..Token::default() }
            }
            Self::Spaces { space, bytes } => match byte(text).filter(|_| *bytes) {
                Some(byte) => Token { bytes: vec![byte], is_byte: true, is_special: false },
                None => Token { bytes: text.replace(space.as_str(), " ").into(), ..Token::default() },
            },
        }
    }
}

/// The byte of `<0x0A>`.
fn byte(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    let hex = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    if hex { u8::from_str_radix(digits, 16).ok() } else { None }
}

/// The characters of byte-level BPE with their bytes: printable bytes are themselves, the others follow from U+0100 on.
fn byte_level_alphabet() -> BTreeMap<char, u8> {
    let mut others = 0x100..;
    let mut map = BTreeMap::new();
    for byte in 0..=255u8 {
        let printable = matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
        let code = if printable { Some(u32::from(byte)) } else { others.next() };
        map.extend(code.and_then(char::from_u32).map(|c| (c, byte)));
    }
    map
}

/// The steps of a normalizer, pre-tokenizer or decoder, which is one or a sequence of them.
fn steps<'a>(value: &'a Value, list: &str) -> Vec<&'a Value> {
    match value[list].as_array() {
        Some(all) => all.iter().flat_map(|step| steps(step, list)).collect(),
        None if value.is_null() => Vec::new(),
        None => vec![value],
    }
}

/// Whether a decoder removes a space at the beginning.
fn strips_space(decoder: &Value) -> bool {
    let strips = |step: &&Value| match step["type"].as_str() {
        Some("Strip") => step["content"].as_str() == Some(" ") && step["start"].as_u64() >= Some(1),
        Some("Metaspace") => step["prepend_scheme"].as_str() != Some("never"),
        _ => false,
    };
    steps(decoder, "decoders").iter().any(strips)
}

/// The tokens of a model with their ids: an object, or a list with scores (Unigram).
fn vocabulary(vocab: &Value) -> Vec<(u64, &str)> {
    match vocab {
        Value::Object(all) => all.iter().filter_map(|(text, id)| Some((id.as_u64()?, text.as_str()))).collect(),
        Value::Array(all) => (0..).zip(all).filter_map(|(id, entry)| Some((id, entry[0].as_str()?))).collect(),
        _ => Vec::new(),
    }
}

/// The tokenizer for a text that continues another: it puts no space before its first word. `None` if it is the same.
pub(crate) fn continuation(json: &Value) -> Option<Value> {
    let mut changed = json.clone();
    let normalizer = without_prepend(&json["normalizer"]);
    let pre_tokenizer = without_prefix_space(&json["pre_tokenizer"]);
    if normalizer == json["normalizer"] && pre_tokenizer == json["pre_tokenizer"] {
        return None;
    }
    (changed["normalizer"], changed["pre_tokenizer"]) = (normalizer, pre_tokenizer);
    Some(changed)
}

fn without_prepend(normalizer: &Value) -> Value {
    let mut normalizer = normalizer.clone();
    if let Some(all) = normalizer["normalizers"].as_array() {
        let kept = all.iter().map(without_prepend).filter(|n| !n.is_null());
        normalizer["normalizers"] = kept.collect();
    } else if normalizer["type"].as_str() == Some("Prepend") {
        return Value::Null;
    }
    normalizer
}

fn without_prefix_space(pre_tokenizer: &Value) -> Value {
    let mut changed = pre_tokenizer.clone();
    if let Some(all) = pre_tokenizer["pretokenizers"].as_array() {
        changed["pretokenizers"] = all.iter().map(without_prefix_space).collect();
        return changed;
    }
    match pre_tokenizer["type"].as_str() {
        Some("Metaspace") => changed["prepend_scheme"] = json!("never"),
        Some("ByteLevel") => changed["add_prefix_space"] = json!(false),
        _ => {}
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &Value) -> Vec<Vec<u8>> {
        TokenBytes::new(json).unwrap().tokens().iter().map(|t| t.bytes.clone()).collect()
    }

    #[test]
    fn byte_level_characters_are_those_of_tokenizers() {
        let known = tokenizers::pre_tokenizers::byte_level::ByteLevel::alphabet();
        let map = byte_level_alphabet();
        assert_eq!(map.keys().copied().collect::<std::collections::HashSet<_>>(), known.into_iter().collect());
        assert_eq!(map.values().collect::<std::collections::BTreeSet<_>>().len(), 256);
    }

    #[test]
    fn tokens_of_each_notation_become_bytes() {
        let level =
            json!({ "decoder": { "type": "ByteLevel" }, "model": { "vocab": { "Ġa": 0, "Ã¤": 1, "Ċ": 2, "日": 3 } } });
        assert_eq!(of(&level), [b" a".to_vec(), "ä".into(), b"\n".to_vec(), "日".into()]);
        let decoders =
            json!([{ "type": "Replace", "pattern": { "String": "▁" }, "content": " " }, { "type": "ByteFallback" }]);
        let spaces = json!({
            "decoder": { "type": "Sequence", "decoders": decoders },
            "model": { "vocab": { "▁a▁": 0, "<0x0A>": 1, "<0xZZ>": 2, "<0xä>": 3 } },
            "added_tokens": [{ "id": 4, "content": "<s>", "special": true }, { "id": 6, "content": "<tool>", "special": false }],
        });
        let found = TokenBytes::new(&spaces).unwrap();
        let text: Vec<&[u8]> = (0..8).map(|id| found.text_of(id)).collect();
        assert_eq!(text, [b" a ", &b"\n"[..], b"<0xZZ>", "<0xä>".as_bytes(), b"", b"", b"<tool>", b""]);
        let scores = json!({ "decoder": { "type": "Metaspace" }, "model": { "vocab": [["▁b", -1.0], ["c", -2.0]] } });
        assert_eq!(of(&scores), [b" b".to_vec(), b"c".to_vec()]);
        assert!(TokenBytes::new(&scores).unwrap().leading_space);
        let words = json!({ "decoder": { "type": "WordPiece" }, "model": { "vocab": {} } });
        assert_eq!(TokenBytes::new(&words).unwrap_err(), "its decoder is \"WordPiece\"");
    }

    #[test]
    fn a_continued_text_gets_no_space_before_it() {
        let replace = json!({ "type": "Replace", "pattern": { "String": " " }, "content": "▁" });
        let prepend = json!({ "type": "Prepend", "prepend": "▁" });
        let json =
            json!({ "normalizer": { "type": "Sequence", "normalizers": [prepend, replace] }, "pre_tokenizer": null });
        assert_eq!(continuation(&json).unwrap()["normalizer"]["normalizers"], json!([replace]));
        let json = json!({ "normalizer": prepend, "pre_tokenizer": null });
        assert_eq!(continuation(&json).unwrap()["normalizer"], Value::Null);
        let metaspace = json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false });
        let json = json!({ "normalizer": null, "pre_tokenizer": { "type": "Sequence", "pretokenizers": [metaspace] } });
        assert_eq!(continuation(&json).unwrap()["pre_tokenizer"]["pretokenizers"][0]["prepend_scheme"], "never");
        let level = json!({ "type": "ByteLevel", "add_prefix_space": false });
        assert_eq!(continuation(&json!({ "normalizer": null, "pre_tokenizer": level })), None);
    }
}
