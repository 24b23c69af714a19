//! GGUF files: formats against the package `gguf` (`fixtures/gguf/make.py`), models against the same weights in a folder.

use auriga_lm::{
    decoder::{
        config::{Config, Family, rope::RopeScaling},
        gguf::{blocks::Format, checkpoint},
        model::Model,
        weights,
    },
    dialogue::turn::Lm,
    intent::catalogue::Catalogue,
    kernels::linear::Precision,
};
use proptest::prelude::*;
use serde::Deserialize;
use std::{
    fs,
    path::{Path, PathBuf},
};
use tch::{Kind, Tensor};

const HERE: &str = env!("CARGO_MANIFEST_DIR");

#[derive(Deserialize)]
struct Case {
    kind: u32,
    bytes: String,
    weights: Vec<f32>,
}

#[test]
fn blocks_of_each_format_have_the_weights_of_the_reference() {
    let path = Path::new(HERE).join("tests/fixtures/gguf/blocks.json");
    let cases: Vec<Case> = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(cases.len(), 11);
    for case in cases {
        let byte = |at: usize| u8::from_str_radix(&case.bytes[at..at + 2], 16).unwrap();
        let bytes: Vec<u8> = (0..case.bytes.len()).step_by(2).map(byte).collect();
        let format = Format::of(case.kind).unwrap();
        let found = format.dequantize(&bytes);
        assert_eq!(found.len(), case.weights.len(), "{format}");
        for (found, expected) in found.iter().zip(&case.weights) {
            assert!((found - expected).abs() <= 1e-6 * expected.abs().max(1e-3), "{format}: {found}, {expected}");
        }
    }
}

enum Meta {
    Text(&'static str),
    Integer(u32),
    Number(f32),
    Texts(Vec<String>),
    Integers(Vec<i32>),
}

/// A tensor: name, rows and columns, number of the format, content.
type Part = (String, Vec<u64>, u32, Vec<u8>);

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

/// A file of version 3.
fn file(metadata: &[(String, Meta)], tensors: &[Part]) -> Vec<u8> {
    let mut out = b"GGUF".to_vec();
    out.extend(3u32.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        text(&mut out, key);
        match value {
            Meta::Integer(v) => [4u32, *v].iter().for_each(|w| out.extend(w.to_le_bytes())),
            Meta::Number(v) => {
                out.extend(6u32.to_le_bytes());
                out.extend(v.to_le_bytes());
            }
            Meta::Text(v) => {
                out.extend(8u32.to_le_bytes());
                text(&mut out, v);
            }
            Meta::Texts(all) => {
                [9u32, 8].iter().for_each(|w| out.extend(w.to_le_bytes()));
                out.extend((all.len() as u64).to_le_bytes());
                all.iter().for_each(|v| text(&mut out, v));
            }
            Meta::Integers(all) => {
                [9u32, 5].iter().for_each(|w| out.extend(w.to_le_bytes()));
                out.extend((all.len() as u64).to_le_bytes());
                all.iter().for_each(|v| out.extend(v.to_le_bytes()));
            }
        }
    }
    let mut offset = 0u64;
    for (name, shape, kind, bytes) in tensors {
        text(&mut out, name);
        out.extend((shape.len() as u32).to_le_bytes());
        shape.iter().rev().for_each(|size| out.extend(size.to_le_bytes()));
        out.extend(kind.to_le_bytes());
        out.extend(offset.to_le_bytes());
        offset += (bytes.len() as u64).next_multiple_of(32);
    }
    out.resize(out.len().next_multiple_of(32), 0);
    for (.., bytes) in tensors {
        out.extend(bytes);
        out.resize(out.len().next_multiple_of(32), 0);
    }
    out
}

const HIDDEN: u64 = 256;
const VOCABULARY: u64 = 96;
const HEAD: i64 = 64;

/// Content of a tensor with plausible scales, from a generator.
fn content(format: Format, elements: u64, state: &mut u64) -> Vec<u8> {
    let mut next = || {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) as u32
    };
    let mut out = Vec::new();
    for _ in 0..elements / format.block() as u64 {
        if format == Format::F32 {
            out.extend(((next() % 2000) as f32 / 10_000.0 - 0.1).to_le_bytes());
            continue;
        }
        let mut block: Vec<u8> = (0..format.block_bytes()).map(|_| next() as u8).collect();
        // About 0.002 to 0.004 as a number of 16 bits.
        let scale = (0x1800u16 + (next() % 0x400) as u16).to_le_bytes();
        let at: &[usize] = match format {
            Format::Q6K => &[208],
            Format::Q4_1 | Format::Q5_1 | Format::Q4K | Format::Q5K => &[0, 2],
            _ => &[0],
        };
        at.iter().for_each(|at| block[*at..at + 2].copy_from_slice(&scale));
        // A minimum of the smaller formats is added, so it is negative.
        if matches!(format, Format::Q4_1 | Format::Q5_1) {
            block[3] = 0xa0;
        }
        // Six-bit scales multiply: the factors are smaller.
        if format.block() == 256 {
            at.iter().for_each(|at| block[at + 1] = 0x04);
        }
        out.extend(block);
    }
    out
}

fn metadata(architecture: &'static str) -> Vec<(String, Meta)> {
    let key = |name: &str| format!("{architecture}.{name}");
    vec![
        ("general.architecture".into(), Meta::Text(architecture)),
        (key("embedding_length"), Meta::Integer(HIDDEN as u32)),
        (key("feed_forward_length"), Meta::Integer(HIDDEN as u32)),
        (key("block_count"), Meta::Integer(2)),
        (key("context_length"), Meta::Integer(512)),
        (key("attention.head_count"), Meta::Integer(4)),
        (key("attention.head_count_kv"), Meta::Integer(2)),
        (key("attention.layer_norm_rms_epsilon"), Meta::Number(1e-5)),
        (key("rope.freq_base"), Meta::Number(10_000.0)),
        ("tokenizer.ggml.eos_token_id".into(), Meta::Integer(2)),
    ]
}

/// A model in this format; norms in 32 bits, and the same weights by the names of Hugging Face.
fn model(architecture: &'static str, format: Format, kind: u32) -> (Vec<Part>, Vec<(String, Tensor)>) {
    let mut state = 17;
    let (mut parts, mut tensors) = (Vec::new(), Vec::new());
    let mut add = |name: String, own: String, shape: Vec<u64>, turned: bool| {
        let (format, kind) = if shape.len() == 1 { (Format::F32, 0) } else { (format, kind) };
        let bytes = content(format, shape.iter().product(), &mut state);
        let sizes: Vec<i64> = shape.iter().map(|s| *s as i64).collect();
        let mut weight = Tensor::from_slice(&format.dequantize(&bytes)).view(&sizes[..]);
        if turned {
            // [heads, pairs, halves] in the file.
            weight = weight.view([-1, HEAD / 2, 2, HIDDEN as i64]).transpose(1, 2).reshape(&sizes[..]);
        }
        parts.push((name, shape, kind, bytes));
        tensors.push((own, weight));
    };
    let is_llama = architecture == "llama";
    add("token_embd.weight".into(), "model.embed_tokens.weight".into(), vec![VOCABULARY, HIDDEN], false);
    add("output_norm.weight".into(), "model.norm.weight".into(), vec![HIDDEN], false);
    add("output.weight".into(), "lm_head.weight".into(), vec![VOCABULARY, HIDDEN], false);
    for layer in 0..2 {
        for (name, own, rows) in [
            ("attn_norm", "input_layernorm", None),
            ("ffn_norm", "post_attention_layernorm", None),
            ("attn_q", "self_attn.q_proj", Some(HIDDEN)),
            ("attn_k", "self_attn.k_proj", Some(HIDDEN / 2)),
            ("attn_v", "self_attn.v_proj", Some(HIDDEN / 2)),
            ("attn_output", "self_attn.o_proj", Some(HIDDEN)),
            ("ffn_gate", "mlp.gate_proj", Some(HIDDEN)),
            ("ffn_up", "mlp.up_proj", Some(HIDDEN)),
            ("ffn_down", "mlp.down_proj", Some(HIDDEN)),
        ] {
            let shape = rows.map_or(vec![HIDDEN], |rows| vec![rows, HIDDEN]);
            let (name, own) = (format!("blk.{layer}.{name}.weight"), format!("model.layers.{layer}.{own}.weight"));
            let turned = is_llama && (own.contains("q_proj") || own.contains("k_proj"));
            add(name, own, shape, turned);
        }
        if architecture == "qwen2" {
            for (which, rows) in [("q", HIDDEN), ("k", HIDDEN / 2), ("v", HIDDEN / 2)] {
                let own = format!("model.layers.{layer}.self_attn.{which}_proj.bias");
                add(format!("blk.{layer}.attn_{which}.bias"), own, vec![rows], false);
            }
        }
    }
    (parts, tensors)
}

fn write(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.gguf");
    fs::write(&path, bytes).unwrap();
    (dir, path)
}

fn logits(model: &Model) -> Tensor {
    let tokens = Tensor::from_slice(&[3i64, 1, 4, 1, 5, 9, 2, 6]).unsqueeze(0);
    tch::no_grad(|| model.logits(&model.forward(&tokens)))
}

/// How far logits are off, of their own size (root mean square).
fn off(found: &Tensor, expected: &Tensor) -> f64 {
    let power = |t: &Tensor| t.square().mean(Kind::Float).double_value(&[]).sqrt();
    power(&(found - expected)) / power(expected)
}

const QUANTIZED: [(Format, u32); 9] = [
    (Format::F32, 0),
    (Format::Q4_0, 2),
    (Format::Q4_1, 3),
    (Format::Q5_0, 6),
    (Format::Q5_1, 7),
    (Format::Q8_0, 8),
    (Format::Q4K, 12),
    (Format::Q5K, 13),
    (Format::Q6K, 14),
];

#[test]
fn a_model_computes_with_the_weights_of_its_file() {
    tch::set_num_threads(1);
    for architecture in ["llama", "qwen2"] {
        for (format, kind) in QUANTIZED {
            let (parts, tensors) = model(architecture, format, kind);
            let (_dir, path) = write(&file(&metadata(architecture), &parts));
            let folder = tempfile::tempdir().unwrap();
            let (config, _) = checkpoint::load(&path, Precision::F32).unwrap();
            fs::write(folder.path().join("config.json"), config.to_json("float32").to_string()).unwrap();
            weights::save(&tensors, Kind::Float, &folder.path().join("model.safetensors")).unwrap();
            let expected = logits(&Model::load(folder.path()).unwrap());
            let exact = off(&logits(&Model::load(&path).unwrap()), &expected);
            assert!(exact < 1e-5, "{architecture}, {format}: {exact}");
            for (precision, bound) in [(Precision::Bf16, 0.03), (Precision::Int8, 0.05)] {
                let found = off(&logits(&Model::load_as(&path, precision).unwrap()), &expected);
                assert!(found < bound, "{architecture}, {format} in {precision}: {found}");
            }
            // Groups of 32 with codes of 4 bits are taken as they are; other formats are quantized once more.
            let bound = if matches!(format, Format::Q4_0 | Format::Q4_1 | Format::Q4K) { 0.03 } else { 0.3 };
            let four = off(&logits(&Model::load_as(&path, Precision::Int4).unwrap()), &expected);
            assert!(four < bound, "{architecture}, {format} in int4: {four}");
        }
    }
}

#[test]
fn configurations_come_from_the_metadata() {
    let (parts, _) = model("qwen2", Format::F32, 0);
    let (_dir, path) = write(&file(&metadata("qwen2"), &parts));
    let (config, _) = checkpoint::load(&path, Precision::F32).unwrap();
    let expected = (Family::Qwen2, 96, 256, 2, 64, 512, true, false);
    let Config { family, vocab_size, hidden_size, layers, head_dim, max_positions, qkv_bias, tied, .. } = config;
    assert_eq!((family, vocab_size, hidden_size, layers, head_dim, max_positions, qkv_bias, tied), expected);
    assert_eq!((config.eos, config.rope_scaling), (vec![2], RopeScaling::None));
    // The divisors of Llama 3 are recognised.
    let scaling =
        RopeScaling::Llama3 { factor: 32.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original_positions: 8192.0 };
    let plain = RopeScaling::None.frequencies(10_000.0, HEAD);
    let divisors: Vec<u8> =
        scaling.frequencies(10_000.0, HEAD).iter().zip(plain).flat_map(|(s, p)| (p / s).to_le_bytes()).collect();
    let (mut parts, _) = model("llama", Format::F32, 0);
    parts.push(("rope_freqs.weight".into(), vec![32], 0, divisors));
    let (_dir, path) = write(&file(&metadata("llama"), &parts));
    assert_eq!(checkpoint::load(&path, Precision::F32).unwrap().0.rope_scaling, scaling);
}

fn refused(metadata: &[(String, Meta)], parts: &[Part]) -> String {
    let (_dir, path) = write(&file(metadata, parts));
    Model::load(&path).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn what_cannot_be_read_is_refused_by_name() {
    let (parts, _) = model("llama", Format::F32, 0);
    assert!(refused(&metadata("gemma3"), &parts).contains("`general.architecture` = \"gemma3\" is not supported"));
    let with = |key: &str, value| {
        let mut all = metadata("llama");
        all.push((key.into(), value));
        refused(&all, &parts)
    };
    assert!(with("llama.expert_count", Meta::Integer(8)).contains("`llama.expert_count` = 8 is not supported"));
    assert!(with("llama.logit_scale", Meta::Number(0.5)).contains("`llama.logit_scale`"));
    let mut other = parts.clone();
    other[4].2 = 10;
    let message = refused(&metadata("llama"), &other);
    assert!(
        message.contains("is Q2_K, which is not supported: expected one of F32") && message.contains("blk.0"),
        "{message}"
    );
    let mut more = parts.clone();
    more.push(("blk.0.ffn_gate_inp.weight".into(), vec![8, HIDDEN], 0, vec![0; 8 * 1024]));
    assert!(refused(&metadata("llama"), &more).contains("`blk.0.ffn_gate_inp.weight` belongs to no part"));
    assert!(refused(&metadata("llama"), &parts[..5]).contains("is in no file"));
    let mut less = metadata("llama");
    less.retain(|(key, _)| key != "llama.context_length");
    assert!(refused(&less, &parts).contains("`llama.context_length` is missing"));
    let divisors = (0..32).flat_map(|_| 3.0f32.to_le_bytes()).collect();
    let mut scaled = parts.clone();
    scaled.push(("rope_freqs.weight".into(), vec![32], 0, divisors));
    assert!(refused(&metadata("llama"), &scaled).contains("other divisors than Llama 3"));
    let whole = file(&metadata("llama"), &parts);
    for length in [0, 3, 24, 200, whole.len() / 2, whole.len() - 40] {
        let (_dir, path) = write(&whole[..length]);
        let message = Model::load(&path).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains("damaged or no GGUF file"), "{length}: {message}");
    }
}

/// The metadata of a byte-level tokenizer with a template.
fn chat_metadata() -> Vec<(String, Meta)> {
    let mut all = metadata("llama");
    // The printable characters of byte-level BPE: 94 of ASCII; a space and a line break; three special tokens.
    let bytes = ('!'..='~').map(|c| c.to_string()).chain(["Ġ".into(), "Ċ".into()]);
    let tokens: Vec<String> = ["<pad>", "<|im_start|>", "<|im_end|>"]
        .map(String::from)
        .into_iter()
        .chain(bytes)
        .chain(["an".into()])
        .collect();
    let kinds = (0..tokens.len()).map(|id| if id < 3 { 3 } else { 1 }).collect();
    let template = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n";
    all.retain(|(key, _)| key != "llama.context_length");
    all.extend([
        ("llama.context_length".to_owned(), Meta::Integer(1 << 14)),
        ("tokenizer.ggml.model".into(), Meta::Text("gpt2")),
        ("tokenizer.ggml.pre".into(), Meta::Text("smollm")),
        ("tokenizer.ggml.tokens".into(), Meta::Texts(tokens)),
        ("tokenizer.ggml.token_type".into(), Meta::Integers(kinds)),
        ("tokenizer.ggml.merges".into(), Meta::Texts(vec!["a n".into()])),
        ("tokenizer.chat_template".into(), Meta::Text(template)),
    ]);
    all
}

#[test]
fn a_file_answers_with_its_own_tokenizer_and_template() {
    let (mut parts, _) = model("llama", Format::Q8_0, 8);
    // 100 tokens.
    for part in parts.iter_mut().filter(|p| p.1[0] == VOCABULARY && p.1.len() == 2) {
        part.1[0] = 112;
        part.3 = content(Format::Q8_0, 112 * HIDDEN, &mut 5);
    }
    let (dir, path) = write(&file(&chat_metadata(), &parts));
    let catalogue = || Catalogue::load(Path::new(HERE).join("intents.toml")).unwrap();
    // By the file, or by the folder that holds nothing else.
    for checkpoint in [path.as_path(), dir.path()] {
        let lm = Lm::load(checkpoint, catalogue()).unwrap();
        let mut turn = lm.turn(&Default::default(), "call anna now", lm.sampling()).unwrap();
        let intent = turn.understand(&lm).unwrap();
        assert!(lm.catalogue().check(&intent).is_ok(), "{intent}");
    }
    let without = |key: &str| {
        let metadata: Vec<(String, Meta)> = chat_metadata().into_iter().filter(|(k, _)| k != key).collect();
        let (_dir, path) = write(&file(&metadata, &parts));
        Lm::load(&path, catalogue()).map(|_| ()).unwrap_err().to_string()
    };
    assert!(without("tokenizer.chat_template").contains("has no chat template"));
    assert!(without("tokenizer.ggml.merges").contains("`tokenizer.ggml.merges` is missing"));
    let mut other = chat_metadata();
    other.iter_mut().filter(|(k, _)| k == "tokenizer.ggml.pre").for_each(|(_, v)| *v = Meta::Text("tekken"));
    let (_dir, path) = write(&file(&other, &parts));
    let message = Lm::load(&path, catalogue()).map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("`tokenizer.ggml.pre` = \"tekken\" is not supported"), "{message}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_damaged_file_is_a_model_or_an_error(at in 0usize..3000, value in any::<u8>()) {
        let (parts, _) = model("llama", Format::Q4_0, 2);
        let mut bytes = file(&metadata("llama"), &parts[..4]);
        let at = at % bytes.len();
        bytes[at] = value;
        let (_dir, path) = write(&bytes);
        prop_assert!(Model::load(&path).is_err(), "it lacks layers");
    }
}
