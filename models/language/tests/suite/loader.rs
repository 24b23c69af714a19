//! Errors of checkpoints that cannot be loaded.

use crate::common;
use auriga_lm::decoder::{
    config::{Config, Family, rope::RopeScaling},
    model::{Model, ModelError},
    weights,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::Path};
use tch::{Kind, Tensor};

fn refused(folder: &Path) -> String {
    match Model::load(folder) {
        Ok(_) => panic!("it was loaded"),
        Err(e) => e.to_string(),
    }
}

fn folder(change: impl FnOnce(&mut Config, &mut Vec<(String, Tensor)>)) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut config = common::config(Family::Qwen3);
    let mut tensors = common::tensors(&config, 1);
    change(&mut config, &mut tensors);
    common::write(dir.path(), &config, &tensors);
    dir
}

/// Puts the tensors into two shards with an index.
fn shards(dir: &Path, tensors: &[(String, Tensor)]) {
    fs::remove_file(dir.join("model.safetensors")).unwrap();
    let mut map = BTreeMap::new();
    for (i, part) in tensors.chunks(tensors.len().div_ceil(2)).enumerate() {
        let name = format!("model-{}-of-2.safetensors", i + 1);
        weights::save(part, Kind::Float, &dir.join(&name)).unwrap();
        map.extend(part.iter().map(|(tensor, _)| (tensor.clone(), name.clone())));
    }
    fs::write(dir.join("model.safetensors.index.json"), json!({ "weight_map": map }).to_string()).unwrap();
}

#[test]
fn shards_give_the_same_model_as_one_file_and_a_missing_shard_is_an_error() {
    let config = common::config(Family::Qwen3);
    let tensors = common::tensors(&config, 1);
    let dir = folder(|_, _| {});
    let tokens = Tensor::from_slice(&[3i64, 1, 4, 1, 5]).unsqueeze(0);
    let full = Model::load(dir.path()).unwrap().forward(&tokens);
    shards(dir.path(), &tensors);
    assert!(Model::load(dir.path()).unwrap().forward(&tokens).equal(&full));
    fs::remove_file(dir.path().join("model-2-of-2.safetensors")).unwrap();
    assert!(refused(dir.path()).contains("model-2-of-2.safetensors"));
    let index = json!({ "weight_map": { "a": "../../etc/passwd" } }).to_string();
    fs::write(dir.path().join("model.safetensors.index.json"), index).unwrap();
    assert!(refused(dir.path()).contains("expected the plain name of a file"));
}

#[test]
fn half_precision_is_read() {
    let dir = folder(|_, _| {});
    let tokens = Tensor::from_slice(&[3i64, 1, 4, 1, 5]).unsqueeze(0);
    let full = Model::load(dir.path()).unwrap().forward(&tokens);
    let tensors = common::tensors(&common::config(Family::Qwen3), 1);
    weights::save(&tensors, Kind::BFloat16, &dir.path().join("model.safetensors")).unwrap();
    let half = Model::load(dir.path()).unwrap().forward(&tokens);
    let off = (&full - half).abs().max().double_value(&[]) / full.abs().max().double_value(&[]);
    assert!(off > 0.0 && off < 0.05, "off by {off}");
}

#[test]
fn truncated_files_are_errors() {
    let dir = folder(|_, _| {});
    let file = dir.path().join("model.safetensors");
    let full = fs::read(&file).unwrap();
    for len in [0, 4, 8, 100, full.len() / 2, full.len() - 1] {
        fs::write(&file, &full[..len]).unwrap();
        let message = refused(dir.path());
        assert!(message.contains("damaged or truncated"), "{len}: {message}");
    }
    fs::remove_file(&file).unwrap();
    assert!(refused(dir.path()).contains("expected model.safetensors"));
}

#[test]
fn errors_of_weights_name_the_tensor() {
    let missing = folder(|_, t| t.retain(|(n, _)| n != "model.layers.1.mlp.up_proj.weight"));
    assert!(refused(missing.path()).contains("`model.layers.1.mlp.up_proj.weight` is in no file"));
    let shape = folder(|c, _| c.intermediate_size += 8);
    let message = refused(shape.path());
    assert!(message.contains("is [40, 24]: expected [48, 24] by config.json"), "{message}");
    let unknown = folder(|_, t| t.push(("model.vision.weight".into(), Tensor::from_slice(&[1f32]))));
    assert!(refused(unknown.path()).contains("`model.vision.weight` belongs to no part"));
    let nan = folder(|_, t| {
        let _ = t[3].1.get(0).fill_(f64::NAN);
    });
    assert!(refused(nan.path()).contains("values that are not finite numbers"));
    let kind = folder(|_, _| {});
    let full = fs::read(kind.path().join("model.safetensors")).unwrap();
    let text = String::from_utf8_lossy(&full[8..2000]).replace("\"F32\"", "\"I32\"");
    let mut changed = full.clone();
    changed[8..2000].copy_from_slice(&text.as_bytes()[..1992]);
    fs::write(kind.path().join("model.safetensors"), changed).unwrap();
    assert!(refused(kind.path()).contains("expected F32, F16 or BF16"));
}

fn with(field: &str, value: Value) -> Result<Config, String> {
    with_in(Family::Llama, field, value)
}

fn with_in(family: Family, field: &str, value: Value) -> Result<Config, String> {
    let mut json = common::config(family).to_json("float32");
    json[field] = value;
    Config::parse(&json.to_string(), "config.json").map_err(|e| e.to_string())
}

#[test]
fn unsupported_fields_are_errors_that_name_them() {
    for (field, value) in [
        ("hidden_act", json!("gelu")),
        ("mlp_bias", json!(true)),
        ("sliding_window", json!(4096)),
        ("use_sliding_window", json!(true)),
        ("partial_rotary_factor", json!(0.5)),
        ("quantization_config", json!({"bits": 4})),
        ("layer_types", json!(["full_attention", "sliding_attention"])),
        ("rope_scaling", json!({"rope_type": "yarn", "factor": 2.0})),
        ("rope_scaling", json!({"rope_type": "linear"})),
        ("rope_scaling", json!({"rope_type": "longrope", "factor": 2.0})),
        ("rope_scaling", json!({"rope_type": "dynamic", "factor": 2.0})),
        ("rope_scaling", json!({"rope_type": "llama3", "factor": 2.0})),
        ("rope_scaling", json!({"rope_type": "default", "mscale": 2.0})),
        ("model_type", json!("gemma")),
        ("num_attention_heads", json!(0)),
        ("num_key_value_heads", json!(3)),
        ("hidden_size", json!(-4)),
        ("head_dim", json!(7)),
        ("vocab_size", json!("many")),
        ("rms_norm_eps", json!(0)),
        ("eos_token_id", json!([1, "two"])),
        ("tie_word_embeddings", json!("yes")),
        ("logit_scale", json!(0.06)),
        ("rope_interleaved", json!(true)),
        ("num_local_experts", json!(8)),
        ("final_logit_softcapping", json!(30.0)),
        ("mlp_only_layers", json!([1])),
    ] {
        let message = with(field, value.clone()).unwrap_err();
        let name = if field == "rope_scaling" { "rope" } else { field };
        assert!(message.contains(name), "{field} = {value}: {message}");
    }
    for (family, field, value) in [
        (Family::Mistral, "attention_bias", json!(true)),
        (Family::Mistral, "layer_types", json!(["full_attention", "sliding_attention", "full_attention"])),
        (Family::Qwen2, "layer_types", json!(["sliding_attention", "sliding_attention", "sliding_attention"])),
        (Family::SmolLm3, "no_rope_layers", json!([1, 0])),
        (Family::SmolLm3, "no_rope_layers", json!([1, 2, 0])),
        (Family::Qwen3, "layer_types", json!(["chunked_attention", "full_attention", "full_attention"])),
    ] {
        let message = with_in(family, field, value.clone()).unwrap_err();
        assert!(message.contains(field), "{field} = {value}: {message}");
    }
    assert!(with("vocab_size", Value::Null).unwrap_err().contains("`vocab_size` is missing"));
}

#[test]
fn other_fields_of_published_files_are_reported_and_not_refused() {
    let mut json = common::config(Family::Llama).to_json("float32");
    // Of SmolLM2, of files that Unsloth wrote, and of older ones.
    for (field, value) in [
        ("is_llama_config", json!(true)),
        ("transformers.js_config", json!({ "kv_cache_dtype": { "fp16": "float16" } })),
        ("unsloth_fixed", json!(true)),
        ("unsloth_version", json!("2024.9")),
        ("_attn_implementation_autoset", json!(true)),
        ("max_sequence_length", json!(2048)),
        ("_flash_attn_2_enabled", json!(true)),
    ] {
        json[field] = value;
    }
    let neutral = [
        ("rope_interleaved", json!(false)),
        ("pretraining_tp", json!(2)),
        ("hidden_act", json!("swish")),
        ("mlp_only_layers", json!([])),
        ("logit_scale", Value::Null),
        ("anything", Value::Null),
        ("rope_scaling", Value::Null),
    ];
    let scaling = json["rope_scaling"].take();
    for (field, value) in neutral {
        json[field] = value;
    }
    json["rope_parameters"] = scaling;
    json["rope_parameters"]["attention_factor"] = Value::Null;
    let config = Config::parse(&json.to_string(), "config.json").unwrap();
    assert_eq!(config.notes.len(), 7, "{:?}", config.notes);
    assert!(config.notes.contains(&"`unsloth_version` = \"2024.9\" is not known and not used".to_owned()));
    assert_eq!(Config { notes: Vec::new(), ..config.clone() }, {
        let kinds = (0..3).map(|i| config.attention_of(i)).collect();
        Config { attention: kinds, ..common::config(Family::Llama) }
    });
}

#[test]
fn a_missing_field_has_the_default_of_its_family_and_null_stands_for_none() {
    let of = |family: Family, change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
        let mut json = common::config(family).to_json("float32");
        change(json.as_object_mut().unwrap());
        Config::parse(&json.to_string(), "config.json").unwrap()
    };
    let mistral = of(Family::Mistral, &|c| drop(c.remove("sliding_window")));
    assert_eq!(mistral.window(), Some(4096));
    assert_eq!(of(Family::Mistral, &|c| drop(c.insert("sliding_window".into(), Value::Null))).window(), None);
    let qwen = |given: Option<Value>| {
        of(Family::Qwen2, &|c| {
            c.extend([("use_sliding_window".into(), json!(true)), ("max_window_layers".into(), json!(1))]);
            c.extend(given.clone().map(|value| ("sliding_window".into(), value)));
        })
    };
    let windows = |config: &Config| (0..3).map(|i| config.attention_of(i).window).collect::<Vec<_>>();
    assert_eq!(windows(&qwen(None)), [None, Some(4096), Some(4096)]);
    assert_eq!(windows(&qwen(Some(Value::Null))), [None, None, None]);
    assert_eq!(windows(&qwen(Some(json!(7)))), [None, Some(7), Some(7)]);
    let positions = |family| of(family, &|c| drop(c.remove("max_position_embeddings"))).max_positions;
    assert_eq!(
        [positions(Family::Llama), positions(Family::Mistral), positions(Family::Qwen3)],
        [2048, 131_072, 32_768]
    );
    let heads = |family, value: Option<Value>| {
        let config = of(family, &|c| {
            c.remove("num_key_value_heads");
            c.insert("num_attention_heads".into(), json!(8));
            c.extend(value.clone().map(|value| ("num_key_value_heads".into(), value)));
        });
        config.kv_heads
    };
    assert_eq!([heads(Family::Llama, None), heads(Family::SmolLm3, None)], [8, 4]);
    assert_eq!(heads(Family::SmolLm3, Some(Value::Null)), 8);
    assert_eq!(of(Family::Qwen3, &|c| drop(c.remove("head_dim"))).head_dim, 128);
}

#[test]
fn fields_written_by_transformers_are_read() {
    for family in [Family::Llama, Family::Mistral, Family::Qwen2, Family::Qwen3, Family::SmolLm3] {
        let config = with_in(family, "rope_parameters", Value::Null).unwrap();
        let kinds = (0..3).map(|i| common::config(family).attention_of(i)).collect();
        assert_eq!(config, Config { attention: kinds, ..common::config(family) });
    }
    let mut json = common::config(Family::Qwen2).to_json("float32");
    json["rope_parameters"] = json!({ "rope_type": "default", "rope_theta": 1e6 });
    json["use_sliding_window"] = json!(false);
    json["sliding_window"] = json!(32768);
    json["eos_token_id"] = json!(5);
    let config = Config::parse(&json.to_string(), "config.json").unwrap();
    assert_eq!((config.rope_theta, config.rope_scaling), (1e6, RopeScaling::None));
    assert_eq!((config.qkv_bias, config.output_bias, config.eos), (true, false, vec![5]));
}

proptest! {
    #[test]
    fn any_text_is_a_config_or_an_error(text in "\\PC{0,60}") {
        let _ = Config::parse(&text, "config.json");
    }

    #[test]
    fn any_value_in_any_field_is_a_config_or_an_error(
        field in "(model_type|hidden_size|head_dim|num_attention_heads|num_key_value_heads|rope_scaling|rope_theta|layer_types|eos_token_id|vocab_size|[a-z_]{1,9})",
        number in any::<i64>(),
        which in 0..4,
    ) {
        let value = match which { 0 => json!(number), 1 => json!(number as f64 / 7.0), 2 => json!([number]), _ => json!({ "rope_type": "llama3", "factor": number }) };
        if let Ok(config) = with(&field, value) {
            prop_assert!(config.heads % config.kv_heads == 0 && config.head_dim % 2 == 0);
        }
    }

    #[test]
    fn any_bytes_are_weights_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200), len in any::<u16>()) {
        let dir = folder(|_, _| {});
        let head = u64::from(len).to_le_bytes();
        fs::write(dir.path().join("model.safetensors"), [&head[..], &bytes].concat()).unwrap();
        prop_assert!(matches!(Model::load(dir.path()), Err(ModelError::Weights(_))));
    }
}
