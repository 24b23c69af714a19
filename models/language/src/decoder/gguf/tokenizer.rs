//! The tokenizer and the chat template of a GGUF file, in the forms of Hugging Face.

use super::{Gguf, GgufError, Value};
use serde_json::{Map, json};
use std::collections::HashMap;

/// Kinds of tokens.
const UNKNOWN: i64 = 2;
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;

/// How texts are split before byte-pair encoding, by `tokenizer.ggml.pre`. The expressions are those of the models' own
/// `tokenizer.json`.
const LLAMA3: &str = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const QWEN2: &str = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/// The content of a `tokenizer.json`.
///
/// # Errors
/// A tokenizer that is missing or of a kind that is not supported.
pub fn tokenizer(gguf: &Gguf) -> Result<serde_json::Value, GgufError> {
    let tokens = texts(gguf, "tokenizer.ggml.tokens")?;
    let kinds: Vec<i64> = match gguf.get("tokenizer.ggml.token_type") {
        Some(Value::List(all)) => all.iter().map(|v| if let Value::Integer(kind) = v { *kind } else { 1 }).collect(),
        _ => vec![1; tokens.len()],
    };
    let flags = |id: usize, special: bool| {
        json!({ "id": id, "content": tokens[id], "special": special, "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false })
    };
    let added: Vec<serde_json::Value> = (0..tokens.len().min(kinds.len()))
        .filter(|id| matches!(kinds[*id], UNKNOWN | CONTROL | USER_DEFINED))
        .map(|id| flags(id, kinds[id] != USER_DEFINED))
        .collect();
    // Of equal tokens the first one counts.
    let mut vocabulary: Map<String, serde_json::Value> = Map::new();
    for (id, token) in tokens.iter().enumerate() {
        vocabulary.entry(token.clone()).or_insert(json!(id));
    }
    let mut tokenizer = match gguf.text("tokenizer.ggml.model") {
        Some("gpt2") => byte_level(gguf, vocabulary)?,
        Some("llama") => sentence_piece(gguf, &tokens, vocabulary, &kinds)?,
        other => {
            let what = format!("`tokenizer.ggml.model` = {other:?} is not supported: expected \"gpt2\" or \"llama\"");
            return Err(gguf.unsupported(what));
        }
    };
    tokenizer["added_tokens"] = json!(added);
    for (key, value) in [
        ("version", json!("1.0")),
        ("truncation", json!(null)),
        ("padding", json!(null)),
        ("post_processor", json!(null)),
    ] {
        tokenizer[key] = value;
    }
    Ok(tokenizer)
}

fn texts(gguf: &Gguf, key: &str) -> Result<Vec<String>, GgufError> {
    match gguf.get(key) {
        Some(Value::List(all)) => {
            let text = |v: &Value| if let Value::Text(text) = v { Some(text.clone()) } else { None };
            all.iter()
                .map(text)
                .collect::<Option<_>>()
                .ok_or_else(|| gguf.unsupported(format!("`{key}` holds more than texts")))
        }
        _ => Err(gguf.unsupported(format!("`{key}` is missing"))),
    }
}

/// Byte-level BPE, as GPT-2 and the models after it.
fn byte_level(gguf: &Gguf, vocabulary: Map<String, serde_json::Value>) -> Result<serde_json::Value, GgufError> {
    let level = |use_regex: bool| json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex });
    let split = |regex: &str| {
        let split = json!({ "type": "Split", "pattern": { "Regex": regex }, "behavior": "Isolated", "invert": false });
        json!({ "type": "Sequence", "pretokenizers": [split, level(false)] })
    };
    let (pre_tokenizer, normalizer, ignore_merges) = match gguf.text("tokenizer.ggml.pre").unwrap_or("default") {
        "llama-bpe" | "llama-v3" | "llama3" => (split(LLAMA3), json!(null), true),
        "qwen2" => (split(QWEN2), json!({ "type": "NFC" }), false),
        "smollm" => {
            let digits = json!({ "type": "Digits", "individual_digits": true });
            (json!({ "type": "Sequence", "pretokenizers": [digits, level(true)] }), json!(null), false)
        }
        "gpt-2" | "default" => (level(true), json!(null), false),
        other => {
            let known = "llama-bpe, qwen2, smollm, gpt-2";
            return Err(
                gguf.unsupported(format!("`tokenizer.ggml.pre` = {other:?} is not supported: expected one of {known}"))
            );
        }
    };
    let merges = texts(gguf, "tokenizer.ggml.merges")?;
    let merges: Option<Vec<(&str, &str)>> = merges.iter().map(|merge| merge.split_once(' ')).collect();
    let merges = merges.ok_or_else(|| gguf.unsupported("`tokenizer.ggml.merges` holds more than pairs"))?;
    Ok(json!({
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "decoder": level(true),
        "model": model(vocabulary, json!(merges), false, ignore_merges, None),
    }))
}

fn model(
    vocabulary: Map<String, serde_json::Value>,
    merges: serde_json::Value,
    byte_fallback: bool,
    ignore_merges: bool,
    unknown: Option<&str>,
) -> serde_json::Value {
    json!({
        "type": "BPE", "dropout": null, "unk_token": unknown, "continuing_subword_prefix": null,
        "end_of_word_suffix": null, "fuse_unk": byte_fallback, "byte_fallback": byte_fallback,
        "ignore_merges": ignore_merges, "vocab": vocabulary, "merges": merges,
    })
}

/// SentencePiece: its scores give the order of the merges, as Transformers converts it.
fn sentence_piece(
    gguf: &Gguf,
    tokens: &[String],
    vocabulary: Map<String, serde_json::Value>,
    kinds: &[i64],
) -> Result<serde_json::Value, GgufError> {
    let scores: Vec<f64> = match gguf.get("tokenizer.ggml.scores") {
        Some(Value::List(all)) if all.len() == tokens.len() => {
            all.iter().map(|v| if let Value::Number(score) = v { *score } else { 0.0 }).collect()
        }
        _ => return Err(gguf.unsupported("`tokenizer.ggml.scores` is missing or of another length than the tokens")),
    };
    let ids: HashMap<&str, usize> = tokens.iter().enumerate().rev().map(|(id, token)| (token.as_str(), id)).collect();
    let is_text = |id: usize| !matches!(kinds.get(id), Some(&UNKNOWN | &CONTROL | &6));
    let mut merges: Vec<(f64, usize, usize)> = Vec::new();
    for (id, token) in tokens.iter().enumerate().filter(|(id, _)| is_text(*id)) {
        let parts = token.char_indices().skip(1).filter_map(|(at, _)| {
            let (left, right) = token.split_at(at);
            Some((scores[id], *ids.get(left)?, *ids.get(right)?))
        });
        let mut parts: Vec<_> = parts.collect();
        parts.sort_by_key(|(_, left, right)| (*left, *right));
        merges.extend(parts);
    }
    merges.sort_by(|a, b| b.0.total_cmp(&a.0));
    let merges: Vec<(&str, &str)> = merges.iter().map(|(_, a, b)| (tokens[*a].as_str(), tokens[*b].as_str())).collect();
    let unknown = kinds.iter().position(|kind| *kind == UNKNOWN).and_then(|id| tokens.get(id)).map(String::as_str);
    let replace = json!({ "type": "Replace", "pattern": { "String": " " }, "content": "▁" });
    let has_prefix = !matches!(gguf.get("tokenizer.ggml.add_space_prefix"), Some(Value::Flag(false)));
    let normalizers =
        if has_prefix { json!([{ "type": "Prepend", "prepend": "▁" }, replace]) } else { json!([replace]) };
    let mut decoders = vec![
        json!({ "type": "Replace", "pattern": { "String": "▁" }, "content": " " }),
        json!({ "type": "ByteFallback" }),
        json!({ "type": "Fuse" }),
    ];
    if has_prefix {
        decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    Ok(json!({
        "normalizer": { "type": "Sequence", "normalizers": normalizers },
        "pre_tokenizer": null,
        "decoder": { "type": "Sequence", "decoders": decoders },
        "model": model(vocabulary, json!(merges), true, false, unknown),
    }))
}

/// The chat template, and the fields of a `tokenizer_config.json`. `None` if the file has no template.
pub fn template(gguf: &Gguf) -> Option<(String, Map<String, serde_json::Value>)> {
    let source = gguf.text("tokenizer.chat_template")?.to_owned();
    let Some(Value::List(tokens)) = gguf.get("tokenizer.ggml.tokens") else { return None };
    let mut config = Map::new();
    for (name, key) in [("bos_token", "bos"), ("eos_token", "eos"), ("unk_token", "unknown"), ("pad_token", "padding")]
    {
        if let Some(Value::Integer(id)) = gguf.get(&format!("tokenizer.ggml.{key}_token_id"))
            && let Some(Value::Text(token)) = usize::try_from(*id).ok().and_then(|id| tokens.get(id))
        {
            config.insert(name.into(), json!(token));
        }
    }
    Some((source, config))
}
