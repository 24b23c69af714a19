//! Choosing a token from logits: greedy, or by temperature and top-p with a seed.

use crate::guide::Allowed;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// 0 is greedy.
    pub temperature: f64,
    /// Of the most likely tokens, as many are kept as have this probability together.
    pub top_p: f64,
    pub seed: u64,
}

impl Sampling {
    pub const GREEDY: Self = Self { temperature: 0.0, top_p: 1.0, seed: 0 };
}

/// A token and its probability among those that were allowed (at temperature 1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Chosen {
    pub token: u32,
    pub probability: f64,
}

pub struct Sampler {
    sampling: Sampling,
    rng: ChaCha8Rng,
}

impl Sampler {
    pub fn new(sampling: Sampling) -> Self {
        Self { sampling, rng: ChaCha8Rng::seed_from_u64(sampling.seed) }
    }

    /// `logits`: finite, one for each token of the vocabulary. Allowed tokens beyond it are passed over, unless there are
    /// none but such.
    pub fn choose(&mut self, logits: &[f32], allowed: &Allowed) -> Chosen {
        let mut candidates: Vec<(u32, f64)> = match allowed {
            Allowed::Only(tokens) => {
                tokens.iter().filter_map(|&t| Some((t, f64::from(*logits.get(t as usize)?)))).collect()
            }
            _ => logits.iter().enumerate().map(|(t, l)| (t as u32, f64::from(*l))).collect(),
        };
        if candidates.is_empty() {
            let token = if let Allowed::Only(tokens) = allowed { tokens.first().copied() } else { None };
            return Chosen { token: token.unwrap_or(u32::MAX), probability: 0.0 };
        }
        let top = candidates.iter().fold(f64::NEG_INFINITY, |m, c| m.max(c.1));
        let sum: f64 = candidates.iter().map(|c| (c.1 - top).exp()).sum();
        let probability = |logit: f64| (logit - top).exp() / sum;
        if self.sampling.temperature <= 0.0 {
            // The first of equals, so that the choice does not depend on how they are ordered elsewhere.
            let best = candidates.iter().fold(candidates[0], |best, c| if c.1 > best.1 { *c } else { best });
            return Chosen { token: best.0, probability: probability(best.1) };
        }
        candidates.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let weights: Vec<f64> = candidates.iter().map(|c| ((c.1 - top) / self.sampling.temperature).exp()).collect();
        let enough = self.sampling.top_p.clamp(0.0, 1.0) * weights.iter().sum::<f64>();
        let mut kept = 0.0;
        let count = 1 + weights
            .iter()
            .take_while(|w| {
                kept += **w;
                kept < enough
            })
            .count();
        let count = count.min(weights.len());
        let mut ball = self.rng.random::<f64>() * weights[..count].iter().sum::<f64>();
        let at = weights[..count]
            .iter()
            .position(|w| {
                ball -= w;
                ball < 0.0
            })
            .unwrap_or(count - 1);
        Chosen { token: candidates[at].0, probability: probability(candidates[at].1) }
    }
}
