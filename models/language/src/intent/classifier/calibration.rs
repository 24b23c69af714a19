//! Confidence that can be believed: the temperature that makes it the share of those that are right (arXiv 1706.04599), how
//! far it is from that (ECE), and below which confidence it is better to say "not for me".

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The logits of one example and which of them should be the greatest.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    pub logits: Vec<f64>,
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
    pub fn probabilities(&self, temperature: f64) -> Vec<f64> {
        probabilities(&self.logits, temperature)
    }

    /// The likeliest class, and its probability; the first of equal ones.
    pub fn best(&self, temperature: f64) -> (usize, f64) {
        let better = |a: (usize, f64), b: (usize, f64)| if b.1 > a.1 { b } else { a };
        self.probabilities(temperature).into_iter().enumerate().fold((0, f64::NEG_INFINITY), better)
    }
}

/// The temperature that makes what is right likeliest, from 0.1 to 10.
pub fn temperature(examples: &[Scored]) -> f64 {
    if examples.is_empty() {
        return 1.0;
    }
    let surprise = |log: f64| -> f64 {
        examples.iter().map(|e| -e.probabilities(log.exp())[e.label].max(f64::MIN_POSITIVE).ln()).sum()
    };
    // It has one minimum: thirds are cut off from both ends.
    let (mut low, mut high) = (-std::f64::consts::LN_10, std::f64::consts::LN_10);
    for _ in 0..60 {
        let (a, b) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
        if surprise(a) <= surprise(b) { high = b } else { low = a }
    }
    f64::midpoint(low, high).exp()
}

const BINS: usize = 15;

/// The expected calibration error: in 15 bins of confidence the distance to the share that is right, weighted by how many
/// there are in each. `outcomes`: confidence, and whether it was right.
pub fn expected_error(outcomes: &[(f64, bool)]) -> f64 {
    let mut bins = [(0.0, 0.0); BINS];
    for (confidence, right) in outcomes {
        let bin = ((confidence * BINS as f64) as usize).min(BINS - 1);
        bins[bin].0 += confidence;
        bins[bin].1 += f64::from(u8::from(*right));
    }
    bins.iter().map(|(confidence, right)| (confidence - right).abs()).sum::<f64>() / outcomes.len().max(1) as f64
}

/// What [`expected_error`] comes to on average where every confidence is exactly the chance to be right: of few examples, as
/// many are right as chance has it.
pub fn error_by_chance(outcomes: &[(f64, bool)]) -> f64 {
    const DRAWS: u32 = 200;
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut draw = || -> Vec<_> {
        outcomes.iter().map(|(confidence, _)| (*confidence, rng.random::<f64>() < *confidence)).collect()
    };
    (0..DRAWS).map(|_| expected_error(&draw())).sum::<f64>() / f64::from(DRAWS)
}

/// The greatest bias on the logit of `outside`, in tenths from -10 to 10, that loses no more than `cost` of all examples of
/// known classes that are understood rightly when nothing is taken to be outside.
pub fn outside_bias(examples: &[Scored], outside: usize, cost: f64) -> f64 {
    let known: Vec<&Scored> = examples.iter().filter(|e| e.label != outside).collect();
    // By how much the right class leads all known ones, and what the bias must not exceed for it to stay first.
    let room = |e: &&Scored| {
        let others = e.logits.iter().enumerate().filter(|(i, _)| *i != e.label && *i != outside);
        let best = others.map(|(_, l)| *l).fold(f64::NEG_INFINITY, f64::max);
        (e.logits[e.label] > best).then_some(e.logits[e.label] - e.logits[outside])
    };
    let rooms: Vec<f64> = known.iter().filter_map(room).collect();
    let allowed = cost * known.len() as f64;
    let lost = |bias: f64| rooms.iter().filter(|room| **room < bias).count() as f64;
    (-100..=100).rev().map(|i| f64::from(i) / 10.0).find(|bias| lost(*bias) <= allowed).unwrap_or(-10.0)
}

/// The greatest bound on confidence, in hundredths, below which no more than `cost` of all examples of `known` classes
/// would be lost that are understood rightly.
pub fn reject_below(examples: &[Scored], temperature: f64, outside: Option<usize>, cost: f64) -> f64 {
    let known: Vec<(f64, bool)> = examples
        .iter()
        .filter(|e| Some(e.label) != outside)
        .map(|e| {
            let (class, confidence) = e.best(temperature);
            (confidence, class == e.label)
        })
        .collect();
    let lost = |bound: f64| known.iter().filter(|(c, right)| *right && *c < bound).count() as f64;
    let allowed = cost * known.len() as f64;
    (0..=99).rev().map(|i| f64::from(i) / 100.0).find(|bound| lost(*bound) <= allowed).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of 100 examples `right` are, all with the same logits of two classes.
    fn sure(logit: f64, right: usize) -> Vec<Scored> {
        (0..100).map(|i| Scored { logits: vec![logit, 0.0], label: usize::from(i >= right) }).collect()
    }

    #[test]
    fn the_temperature_makes_confidence_the_share_that_is_right() {
        // e^l / (e^l + 1) = 0.8 at l = ln 4; these logits are three times as sure.
        let examples = sure(3.0 * 4f64.ln(), 80);
        let t = temperature(&examples);
        assert!((t - 3.0).abs() < 1e-3, "{t}");
        let outcomes = |t: f64| -> Vec<_> {
            let outcome = |e: &Scored| (e.best(t).1, e.best(t).0 == e.label);
            examples.iter().map(outcome).collect()
        };
        assert!(expected_error(&outcomes(t)) < 1e-3);
        let before = expected_error(&outcomes(1.0));
        assert!((before - (64.0 / 65.0 - 0.8)).abs() < 1e-9, "{before}");
    }

    #[test]
    fn few_examples_are_off_by_chance_and_many_are_not() {
        let all = |count: usize| vec![(0.9, true); count];
        // The mean distance of a share of 75 from what is expected: 0.8 standard deviations.
        let few = error_by_chance(&all(75));
        assert!((few - 0.8 * (0.9f64 * 0.1 / 75.0).sqrt()).abs() < 0.005, "{few}");
        assert!(error_by_chance(&all(20_000)) < 0.003);
        assert_eq!(error_by_chance(&[(1.0, false), (0.0, true)]), 0.0);
    }

    #[test]
    fn the_bound_is_the_greatest_that_costs_no_more_than_allowed() {
        let mut examples = sure(2.0, 100);
        examples.extend(sure(0.5, 3).into_iter().take(3));
        // 0.5 has a confidence of 0.62, 2.0 one of 0.88.
        assert_eq!(reject_below(&examples, 1.0, None, 0.0), 0.62);
        assert_eq!(reject_below(&examples, 1.0, None, 0.05), 0.88);
        assert_eq!(reject_below(&examples, 1.0, Some(0), 0.0), 0.99);
    }

    #[test]
    fn the_bias_is_the_greatest_that_costs_no_more_than_allowed() {
        // Of ten examples the right class leads "outside", which is the last, by 0.05, 1.05 and so on.
        let lead = |i: usize| Scored { logits: vec![f64::from(i as u32) + 0.05, -3.0, 0.0], label: 0 };
        let examples: Vec<Scored> = (0..10).map(lead).collect();
        assert_eq!(outside_bias(&examples, 2, 0.0), 0.0);
        assert_eq!(outside_bias(&examples, 2, 0.2), 2.0);
    }

    #[test]
    fn nothing_to_go_by_changes_nothing() {
        assert_eq!(temperature(&[]), 1.0);
        assert_eq!(expected_error(&[]), 0.0);
    }
}
