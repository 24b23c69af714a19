//! Tiny models with random weights.
#![allow(dead_code, reason = "each test file uses a part")]

use auriga_lm::decoder::{
    config::{Config, Family, LayerAttention, rope::RopeScaling},
    model::Model,
    weights,
};
use std::{
    fs,
    path::Path,
    sync::{Mutex, PoisonError},
};
use tch::{Device, Kind, Tensor};

pub fn config(family: Family) -> Config {
    Config {
        family,
        vocab_size: 97,
        hidden_size: 24,
        intermediate_size: 40,
        layers: 3,
        heads: 4,
        kv_heads: 2,
        head_dim: if family == Family::Qwen3 { 10 } else { 6 },
        max_positions: 256,
        rms_norm_eps: 1e-5,
        rope_theta: 5000.0,
        rope_scaling: match family {
            Family::Llama => RopeScaling::Llama3 {
                factor: 4.0,
                low_freq_factor: 1.0,
                high_freq_factor: 4.0,
                original_positions: 64.0,
            },
            _ => RopeScaling::None,
        },
        attention: match family {
            Family::Mistral => vec![LayerAttention { window: Some(20), rope: true }; 3],
            Family::SmolLm3 => (0..3).map(|i| LayerAttention { window: None, rope: i != 1 }).collect(),
            _ => Vec::new(),
        },
        tied: family == Family::Qwen3,
        qkv_bias: family == Family::Qwen2,
        output_bias: false,
        eos: vec![0],
        quantised: None,
        notes: Vec::new(),
    }
}

/// libtorch has one random generator for all threads, and tests run in parallel.
pub static RANDOM: Mutex<()> = Mutex::new(());

pub fn tensors(c: &Config, seed: i64) -> Vec<(String, Tensor)> {
    let _alone = RANDOM.lock().unwrap_or_else(PoisonError::into_inner);
    tch::manual_seed(seed);
    let mut all = Vec::new();
    let mut add = |name: String, shape: &[i64]| {
        let value = Tensor::randn(shape, (Kind::Float, Device::Cpu)) * 0.3;
        all.push((name.clone(), if name.contains("norm") { value + 1.0 } else { value }));
    };
    let (q, kv) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
    add("model.embed_tokens.weight".into(), &[c.vocab_size, c.hidden_size]);
    for i in 0..c.layers {
        let name = |part: &str| format!("model.layers.{i}.{part}");
        for (which, rows) in [("q", q), ("k", kv), ("v", kv)] {
            add(name(&format!("self_attn.{which}_proj.weight")), &[rows, c.hidden_size]);
            if c.qkv_bias {
                add(name(&format!("self_attn.{which}_proj.bias")), &[rows]);
            }
        }
        add(name("self_attn.o_proj.weight"), &[c.hidden_size, q]);
        if c.family == Family::Qwen3 {
            add(name("self_attn.q_norm.weight"), &[c.head_dim]);
            add(name("self_attn.k_norm.weight"), &[c.head_dim]);
        }
        add(name("input_layernorm.weight"), &[c.hidden_size]);
        add(name("post_attention_layernorm.weight"), &[c.hidden_size]);
        add(name("mlp.gate_proj.weight"), &[c.intermediate_size, c.hidden_size]);
        add(name("mlp.up_proj.weight"), &[c.intermediate_size, c.hidden_size]);
        add(name("mlp.down_proj.weight"), &[c.hidden_size, c.intermediate_size]);
    }
    add("model.norm.weight".into(), &[c.hidden_size]);
    if !c.tied {
        add("lm_head.weight".into(), &[c.vocab_size, c.hidden_size]);
    }
    all
}

/// A folder in Hugging Face layout.
pub fn write(folder: &Path, config: &Config, tensors: &[(String, Tensor)]) {
    fs::write(folder.join("config.json"), config.to_json("float32").to_string()).unwrap();
    weights::save(tensors, Kind::Float, &folder.join("model.safetensors")).unwrap();
}

pub fn model(family: Family) -> Model {
    let folder = tempfile::tempdir().unwrap();
    let config = config(family);
    write(folder.path(), &config, &tensors(&config, 7));
    Model::load(folder.path()).unwrap()
}
