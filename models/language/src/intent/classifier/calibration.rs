//! Calibration of the classifier: temperature scaling (arXiv 1706.04599), expected calibration error (ECE), and the thresholds
//! for out-of-scope utterances.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The logits of an example and its label.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// The logit of each class.
    pub logits: Vec<f64>,
    /// The correct class.
    pub label: usize,
}

/// The softmax of logits at a temperature.
pub fn probabilities(logits: &[f64], temperature: f64) -> Vec<f64> {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let all: Vec<f64> = logits.iter().map(|l| ((l - top) / temperature).exp()).collect();
    let sum: f64 = all.iter().sum();
    all.into_iter().map(|e| e / sum).collect()
}

impl Scored {
    /// The probability of each class at a temperature.
    pub fn probabilities(&self, temperature: f64) -> Vec<f64> {
        probabilities(&self.logits, temperature)
    }

    /// The most likely class and its probability; the first of equal ones.
    pub fn best(&self, temperature: f64) -> (usize, f64) {
        let better = |a: (usize, f64), b: (usize, f64)| if b.1 > a.1 { b } else { a };
        self.probabilities(temperature).into_iter().enumerate().fold((0, f64::NEG_INFINITY), better)
    }
}

/// The temperature with the lowest negative log-likelihood of the labels, from 0.1 to 10; 1 without examples.
pub fn temperature(examples: &[Scored]) -> f64 {
    if examples.is_empty() {
        return 1.0;
    }
    let loss = |log: f64| -> f64 {
        examples.iter().map(|e| -e.probabilities(log.exp())[e.label].max(f64::MIN_POSITIVE).ln()).sum()
    };
    // Ternary search: the loss has one minimum.
    let (mut low, mut high) = (-std::f64::consts::LN_10, std::f64::consts::LN_10);
    for _ in 0..60 {
        let (a, b) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
        if loss(a) <= loss(b) { high = b } else { low = a }
    }
    f64::midpoint(low, high).exp()
}

const BINS: usize = 15;

/// The expected calibration error (ECE) with 15 bins, 0 to 1. `outcomes`: the confidence of each prediction, and whether it was
/// correct.
pub fn expected_calibration_error(outcomes: &[(f64, bool)]) -> f64 {
    let mut bins = [(0.0, 0.0); BINS];
    for (confidence, correct) in outcomes {
        let bin = ((confidence * BINS as f64) as usize).min(BINS - 1);
        bins[bin].0 += confidence;
        bins[bin].1 += f64::from(u8::from(*correct));
    }
    bins.iter().map(|(confidence, correct)| (confidence - correct).abs()).sum::<f64>() / outcomes.len().max(1) as f64
}

/// The mean [`expected_calibration_error`] of perfectly calibrated predictions with these confidences: with few examples it is
/// above 0 by chance.
pub fn sampling_noise(outcomes: &[(f64, bool)]) -> f64 {
    const DRAWS: u32 = 200;
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut draw = || -> Vec<_> {
        outcomes.iter().map(|(confidence, _)| (*confidence, rng.random::<f64>() < *confidence)).collect()
    };
    (0..DRAWS).map(|_| expected_calibration_error(&draw())).sum::<f64>() / f64::from(DRAWS)
}

/// The largest bias on the logit of the class `out_of_scope`, from -10 to 10 in steps of 0.1, that costs at most the share `cost`
/// of the in-scope examples which are correct without that class.
pub fn out_of_scope_bias(examples: &[Scored], out_of_scope: usize, cost: f64) -> f64 {
    let in_scope: Vec<&Scored> = examples.iter().filter(|e| e.label != out_of_scope).collect();
    // The largest bias at which a correct example stays correct.
    let margin = |e: &&Scored| {
        let others = e.logits.iter().enumerate().filter(|(i, _)| *i != e.label && *i != out_of_scope);
        let best = others.map(|(_, l)| *l).fold(f64::NEG_INFINITY, f64::max);
        (e.logits[e.label] > best).then_some(e.logits[e.label] - e.logits[out_of_scope])
    };
    let margins: Vec<f64> = in_scope.iter().filter_map(margin).collect();
    let allowed = cost * in_scope.len() as f64;
    let lost = |bias: f64| margins.iter().filter(|margin| **margin < bias).count() as f64;
    (-100..=100).rev().map(|i| f64::from(i) / 10.0).find(|bias| lost(*bias) <= allowed).unwrap_or(-10.0)
}

/// The largest confidence threshold, in steps of 0.01, that rejects at most the share `cost` of the in-scope examples although they
/// are correct.
pub fn reject_below(examples: &[Scored], temperature: f64, out_of_scope: Option<usize>, cost: f64) -> f64 {
    let in_scope: Vec<(f64, bool)> = examples
        .iter()
        .filter(|e| Some(e.label) != out_of_scope)
        .map(|e| {
            let (class, confidence) = e.best(temperature);
            (confidence, class == e.label)
        })
        .collect();
    let lost = |bound: f64| in_scope.iter().filter(|(c, correct)| *correct && *c < bound).count() as f64;
    let allowed = cost * in_scope.len() as f64;
    (0..=99).rev().map(|i| f64::from(i) / 100.0).find(|bound| lost(*bound) <= allowed).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 examples of two classes with the same logits, of which `correct` are predicted correctly.
    fn examples_with(logit: f64, correct: usize) -> Vec<Scored> {
        (0..100).map(|i| Scored { logits: vec![logit, 0.0], label: usize::from(i >= correct) }).collect()
    }

    #[test]
    fn temperature_scaling_calibrates_confidences() {
        // e^l / (e^l + 1) = 0.8 at l = ln 4; these logits are three times as large.
        let examples = examples_with(3.0 * 4f64.ln(), 80);
        let t = temperature(&examples);
        assert!((t - 3.0).abs() < 1e-3, "{t}");
        let outcomes = |t: f64| -> Vec<_> {
            let outcome = |e: &Scored| (e.best(t).1, e.best(t).0 == e.label);
            examples.iter().map(outcome).collect()
        };
        assert!(expected_calibration_error(&outcomes(t)) < 1e-3);
        let before = expected_calibration_error(&outcomes(1.0));
        assert!((before - (64.0 / 65.0 - 0.8)).abs() < 1e-9, "{before}");
    }

    #[test]
    fn calibration_noise_falls_with_the_number_of_examples() {
        let all = |count: usize| vec![(0.9, true); count];
        // The mean absolute deviation is 0.8 standard deviations.
        let few = sampling_noise(&all(75));
        assert!((few - 0.8 * (0.9f64 * 0.1 / 75.0).sqrt()).abs() < 0.005, "{few}");
        assert!(sampling_noise(&all(20_000)) < 0.003);
        assert_eq!(sampling_noise(&[(1.0, false), (0.0, true)]), 0.0);
    }

    #[test]
    fn threshold_is_the_largest_within_the_allowed_cost() {
        let mut examples = examples_with(2.0, 100);
        examples.extend(examples_with(0.5, 3).into_iter().take(3));
        // 0.5 has a confidence of 0.62, 2.0 one of 0.88.
        assert_eq!(reject_below(&examples, 1.0, None, 0.0), 0.62);
        assert_eq!(reject_below(&examples, 1.0, None, 0.05), 0.88);
        assert_eq!(reject_below(&examples, 1.0, Some(0), 0.0), 0.99);
    }

    #[test]
    fn bias_is_the_largest_within_the_allowed_cost() {
        // Ten examples whose margins over the last class, out of scope, are 0.05, 1.05 and so on.
        let lead = |i: usize| Scored { logits: vec![f64::from(i as u32) + 0.05, -3.0, 0.0], label: 0 };
        let examples: Vec<Scored> = (0..10).map(lead).collect();
        assert_eq!(out_of_scope_bias(&examples, 2, 0.0), 0.0);
        assert_eq!(out_of_scope_bias(&examples, 2, 0.2), 2.0);
    }

    #[test]
    fn without_examples_nothing_is_calibrated() {
        assert_eq!(temperature(&[]), 1.0);
        assert_eq!(expected_calibration_error(&[]), 0.0);
    }
}
