//! Sampling, compared with the logits processors of Transformers (`fixtures/make.py`).

use auriga_lm::decoder::{
    constraint::Allowed,
    sample::{Sampler, Sampling, SamplingOverrides},
};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Case {
    temperature: f64,
    top_k: usize,
    top_p: f64,
    min_p: f64,
    repetition_penalty: f64,
    logits: Vec<f32>,
    text: Vec<u32>,
    probabilities: Vec<f64>,
}

fn cases() -> Vec<(Sampling, Case)> {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../fixtures/sampling.json")).unwrap();
    let sampling = |c: &Case| Sampling {
        temperature: c.temperature,
        top_k: c.top_k,
        top_p: c.top_p,
        min_p: c.min_p,
        repetition_penalty: c.repetition_penalty,
        seed: 5,
    };
    cases.into_iter().map(|c| (sampling(&c), c)).collect()
}

#[test]
fn the_distribution_equals_transformers() {
    for (sampling, case) in cases() {
        let mut found = vec![0.0; case.logits.len()];
        for (token, probability) in Sampler::new(sampling).distribution(&case.logits, &case.text) {
            found[token as usize] = probability;
        }
        for (token, (found, expected)) in found.iter().zip(&case.probabilities).enumerate() {
            assert!((found - expected).abs() < 1e-5, "{sampling:?}, token {token}: {found}, expected {expected}");
        }
    }
}

#[test]
fn tokens_are_sampled_by_their_probability() {
    const DRAWS: usize = 20_000;
    for (sampling, case) in cases() {
        let mut sampler = Sampler::new(sampling);
        let mut counts = vec![0usize; case.logits.len()];
        for _ in 0..DRAWS {
            counts[sampler.choose(&case.logits, &Allowed::Any, &case.text).token as usize] += 1;
        }
        for (count, expected) in counts.iter().zip(&case.probabilities) {
            // Five standard deviations of a count.
            let bound = 5.0 * (expected * (1.0 - expected) / DRAWS as f64).sqrt() + 1e-9;
            assert!((*count as f64 / DRAWS as f64 - expected).abs() <= bound, "{sampling:?}: {count}, {expected}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_tokens() {
    let (sampling, case) = &cases()[0];
    let draw = |seed| {
        let mut sampler = Sampler::new(Sampling { seed, ..*sampling });
        (0..50).map(|_| sampler.choose(&case.logits, &Allowed::Any, &[]).token).collect::<Vec<_>>()
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
}

fn suggested(file: &Value) -> Result<Sampling, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("generation_config.json");
    std::fs::write(&path, file.to_string()).unwrap();
    Sampling::suggested(&path).map_err(|e| e.to_string())
}

/// As Qwen2.5-0.5B-Instruct is published.
fn published() -> Value {
    json!({
        "bos_token_id": 151643, "pad_token_id": 151643, "do_sample": true, "eos_token_id": [151645, 151643],
        "repetition_penalty": 1.1, "temperature": 0.7, "top_p": 0.8, "top_k": 20, "transformers_version": "4.37.0",
    })
}

#[test]
fn overrides_replace_the_suggested_sampling() {
    let of_file = suggested(&published()).unwrap();
    let expected = Sampling { temperature: 0.7, top_k: 20, top_p: 0.8, min_p: 0.0, repetition_penalty: 1.1, seed: 0 };
    assert_eq!(of_file, expected);
    let overrides =
        SamplingOverrides { temperature: Some(0.0), min_p: Some(0.1), seed: 4, ..SamplingOverrides::default() };
    assert_eq!(overrides.apply_to(of_file), Sampling { temperature: 0.0, min_p: 0.1, seed: 4, ..expected });
    // The defaults of Transformers: greedy, and where it samples the 50 likeliest.
    assert_eq!(suggested(&json!({ "temperature": 0.6, "_from_model_config": true })).unwrap(), Sampling::GREEDY);
    let plain = Sampling { temperature: 1.0, top_k: 50, ..Sampling::GREEDY };
    assert_eq!(suggested(&json!({ "do_sample": true, "num_beams": 1, "stop_strings": null })).unwrap(), plain);
    assert_eq!(Sampling::suggested("no/such/generation_config.json".as_ref()).unwrap(), Sampling::GREEDY);
}

#[test]
fn neutral_and_unknown_generation_fields_are_not_refused() {
    let mut file = published();
    for (field, value) in [
        ("suppress_tokens", json!([])),
        ("bad_words_ids", json!([])),
        ("forced_eos_token_id", Value::Null),
        ("trust_remote_code", json!(true)),
        ("anything", Value::Null),
        ("num_beams", json!(1)),
    ] {
        file[field] = value;
    }
    assert_eq!(suggested(&file), suggested(&published()));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("generation_config.json");
    file["chat_format"] = json!("chatml");
    std::fs::write(&path, file.to_string()).unwrap();
    let (_, notes) = Sampling::suggested_with_notes(&path).unwrap();
    assert_eq!(notes, ["`chat_format` = \"chatml\" is not known and not used"]);
}

#[test]
fn unsupported_generation_fields_are_errors_that_name_them() {
    for (field, value) in [
        ("num_beams", json!(4)),
        ("typical_p", json!(0.9)),
        ("no_repeat_ngram_size", json!(3)),
        ("suppress_tokens", json!([1, 2])),
        ("stop_strings", json!(["User:"])),
        ("min_new_tokens", json!(5)),
        ("guidance_scale", json!(1.5)),
        ("penalty_alpha", json!(0.6)),
        ("mirostat", json!(2)),
        ("do_sample", json!("yes")),
        ("temperature", json!(-1)),
        ("top_k", json!(-1)),
        ("top_p", json!(1.5)),
        ("min_p", json!("low")),
        ("repetition_penalty", json!(0)),
    ] {
        let mut file = published();
        file[field] = value.clone();
        let message = suggested(&file).unwrap_err();
        assert!(message.contains("generation_config.json: ") && message.contains(&format!("`{field}`")), "{message}");
    }
}

proptest! {
    #[test]
    fn a_token_that_is_not_allowed_is_never_sampled(
        logits in prop::collection::vec(-9.0f32..9.0, 1..40),
        mut tokens in prop::collection::vec(0..60u32, 1..8),
        temperature in prop::sample::select(vec![0.0, 0.5, 2.0]),
        (top_k, top_p, min_p, penalty) in (0..9usize, 0.0..1.0, 0.0..1.0, 0.5..2.0),
    ) {
        tokens.sort();
        let sampling = Sampling { temperature, top_k, top_p, min_p, repetition_penalty: penalty, seed: 1 };
        let chosen = Sampler::new(sampling).choose(&logits, &Allowed::Only(tokens.clone()), &tokens);
        prop_assert!(tokens.contains(&chosen.token));
        prop_assert!((0.0..=1.0).contains(&chosen.probability));
        let in_vocabulary = tokens.iter().any(|t| (*t as usize) < logits.len());
        prop_assert_eq!(in_vocabulary, (chosen.token as usize) < logits.len());
    }
}
