//! Choosing a token, against the processors of Transformers (`fixtures/make.py`).

use auriga_lm::{
    guide::Allowed,
    sample::{Sampler, Sampling},
};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    temperature: f64,
    top_p: f64,
    min_p: f64,
    repetition_penalty: f64,
    logits: Vec<f32>,
    text: Vec<u32>,
    probabilities: Vec<f64>,
}

fn cases() -> Vec<(Sampling, Case)> {
    let cases: Vec<Case> = serde_json::from_str(include_str!("fixtures/sampling.json")).unwrap();
    let sampling = |c: &Case| Sampling {
        temperature: c.temperature,
        top_p: c.top_p,
        min_p: c.min_p,
        repetition_penalty: c.repetition_penalty,
        seed: 5,
    };
    cases.into_iter().map(|c| (sampling(&c), c)).collect()
}

#[test]
fn what_may_be_drawn_is_as_in_transformers() {
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
fn tokens_are_drawn_as_often_as_they_are_likely() {
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
fn a_seed_repeats_what_was_drawn_and_another_does_not() {
    let (sampling, case) = &cases()[0];
    let draw = |seed| {
        let mut sampler = Sampler::new(Sampling { seed, ..*sampling });
        (0..50).map(|_| sampler.choose(&case.logits, &Allowed::Any, &[]).token).collect::<Vec<_>>()
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
}

proptest! {
    #[test]
    fn a_token_that_is_not_allowed_is_never_chosen(
        logits in prop::collection::vec(-9.0f32..9.0, 1..40),
        mut tokens in prop::collection::vec(0..60u32, 1..8),
        temperature in prop::sample::select(vec![0.0, 0.5, 2.0]),
        (top_p, min_p, penalty) in (0.0..1.0, 0.0..1.0, 0.5..2.0),
    ) {
        tokens.sort();
        let sampling = Sampling { temperature, top_p, min_p, repetition_penalty: penalty, seed: 1 };
        let chosen = Sampler::new(sampling).choose(&logits, &Allowed::Only(tokens.clone()), &tokens);
        prop_assert!(tokens.contains(&chosen.token));
        prop_assert!((0.0..=1.0).contains(&chosen.probability));
        let in_vocabulary = tokens.iter().any(|t| (*t as usize) < logits.len());
        prop_assert_eq!(in_vocabulary, (chosen.token as usize) < logits.len());
    }
}
