//! Sampling of tokens from logits: greedy, or random with a seed.

use crate::decoder::constraint::Allowed;
use clap::Args;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{collections::BTreeSet, fmt};

/// Parameters of sampling.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// 0 is greedy decoding.
    pub temperature: f64,
    /// The number of most likely tokens that are kept; 0 keeps all.
    pub top_k: usize,
    /// The most likely tokens are kept whose probabilities sum up to this (nucleus sampling), 0 to 1.
    pub top_p: f64,
    /// Tokens are dropped whose probability is below this fraction of the most likely one's, 0 to 1.
    pub min_p: f64,
    /// Divides the logits of tokens that are in the sequence already, or multiplies them if they are negative; 1 has no
    /// effect. arXiv 1909.05858.
    pub repetition_penalty: f64,
    /// Seed of the random numbers.
    pub seed: u64,
}

impl Sampling {
    /// Greedy decoding.
    pub const GREEDY: Self =
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0, seed: 0 };
}

impl fmt::Display for Sampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { temperature, top_k, top_p, min_p, repetition_penalty, .. } = self;
        if *temperature > 0.0 {
            write!(f, "temperature {temperature}, top-k {top_k}, top-p {top_p}, min-p {min_p}")?;
        } else {
            write!(f, "greedy")?;
        }
        write!(f, ", repetition penalty {repetition_penalty}")
    }
}

/// Sampling parameters that override those of a checkpoint ([`Sampling::suggested`]).
#[derive(Debug, Clone, Default, Args)]
pub struct SamplingOverrides {
    /// Temperature; 0 is greedy [default of this and the next four options: generation_config.json of the checkpoint]
    #[arg(long)]
    pub temperature: Option<f64>,
    /// Sample from this many of the most likely tokens; 0 is all
    #[arg(long)]
    pub top_k: Option<usize>,
    /// Sample from the most likely tokens whose probabilities sum up to this
    #[arg(long)]
    pub top_p: Option<f64>,
    /// Sample from tokens with at least this fraction of the most likely one's probability
    #[arg(long)]
    pub min_p: Option<f64>,
    /// Divide the logits of tokens that are in the sequence already; 1 has no effect
    #[arg(long)]
    pub repetition_penalty: Option<f64>,
    /// Seed of the random numbers
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

impl SamplingOverrides {
    /// The sampling of the checkpoint with these overrides.
    pub fn apply_to(&self, suggested: Sampling) -> Sampling {
        Sampling {
            temperature: self.temperature.unwrap_or(suggested.temperature),
            top_k: self.top_k.unwrap_or(suggested.top_k),
            top_p: self.top_p.unwrap_or(suggested.top_p),
            min_p: self.min_p.unwrap_or(suggested.min_p),
            repetition_penalty: self.repetition_penalty.unwrap_or(suggested.repetition_penalty),
            seed: self.seed,
        }
    }
}

/// A sampled token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Chosen {
    /// The token id.
    pub token: u32,
    /// Its probability among the allowed tokens at temperature 1.
    pub probability: f64,
}

/// Samples tokens; its random numbers depend only on the seed.
pub struct Sampler {
    sampling: Sampling,
    rng: ChaCha8Rng,
}

/// A token, and its logit or weight.
type Candidate = (u32, f64);

impl Sampler {
    /// A sampler at the beginning of its random sequence.
    pub fn new(sampling: Sampling) -> Self {
        Self { sampling, rng: ChaCha8Rng::seed_from_u64(sampling.seed) }
    }

    /// Samples a token. `logits`: finite, one for each token of the vocabulary; `context`: the tokens so far. Allowed tokens
    /// beyond the vocabulary are skipped, unless there are no others.
    pub fn choose(&mut self, logits: &[f32], allowed: &Allowed, context: &[u32]) -> Chosen {
        let mut candidates: Vec<Candidate> = match allowed {
            Allowed::Only(tokens) => {
                tokens.iter().filter_map(|&t| Some((t, f64::from(*logits.get(t as usize)?)))).collect()
            }
            _ => logits.iter().enumerate().map(|(t, l)| (t as u32, f64::from(*l))).collect(),
        };
        if candidates.is_empty() {
            let token = if let Allowed::Only(tokens) = allowed { tokens.first().copied() } else { None };
            return Chosen { token: token.unwrap_or(u32::MAX), probability: 0.0 };
        }
        self.penalise(&mut candidates, context);
        let top = candidates.iter().fold(f64::NEG_INFINITY, |m, c| m.max(c.1));
        let sum: f64 = candidates.iter().map(|c| (c.1 - top).exp()).sum();
        let probability = |logit: f64| (logit - top).exp() / sum;
        if self.sampling.temperature <= 0.0 {
            let best = most_likely(candidates.iter().copied()).unwrap_or(candidates[0]);
            return Chosen { token: best.0, probability: probability(best.1) };
        }
        let logit_of = candidates.clone();
        let kept = self.keep(candidates, top);
        let mut remaining = self.rng.random::<f64>() * kept.iter().map(|c| c.1).sum::<f64>();
        let token = kept
            .iter()
            .find(|c| {
                remaining -= c.1;
                remaining < 0.0
            })
            .or(kept.last())
            .map_or(u32::MAX, |c| c.0);
        let logit = logit_of.iter().find(|c| c.0 == token).map_or(f64::NEG_INFINITY, |c| c.1);
        Chosen { token, probability: probability(logit) }
    }

    /// The token that [`Sampler::choose`] would return without a constraint, if sampling is greedy and has no penalty.
    pub(crate) fn greedy(&self, logits: &[f32]) -> Option<u32> {
        let plain = self.sampling.temperature <= 0.0 && self.sampling.repetition_penalty == 1.0;
        let all = logits.iter().enumerate().map(|(t, l)| (t as u32, f64::from(*l)));
        if plain { most_likely(all).map(|c| c.0) } else { None }
    }

    /// The tokens that can be sampled, each with its probability, most likely first.
    pub fn distribution(&self, logits: &[f32], context: &[u32]) -> Vec<Candidate> {
        let mut candidates: Vec<Candidate> =
            logits.iter().enumerate().map(|(t, l)| (t as u32, f64::from(*l))).collect();
        self.penalise(&mut candidates, context);
        let top = candidates.iter().fold(f64::NEG_INFINITY, |m, c| m.max(c.1));
        let kept = self.keep(candidates, top);
        let sum: f64 = kept.iter().map(|c| c.1).sum();
        kept.into_iter().map(|(token, weight)| (token, weight / sum)).collect()
    }

    fn penalise(&self, candidates: &mut [Candidate], context: &[u32]) {
        let penalty = self.sampling.repetition_penalty;
        if penalty == 1.0 {
            return;
        }
        let present: BTreeSet<u32> = context.iter().copied().collect();
        for (token, logit) in candidates {
            if present.contains(token) {
                *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
            }
        }
    }

    /// The candidates that top-k, top-p and min-p keep, with their weights at the temperature, most likely first; at least
    /// one.
    fn keep(&self, mut candidates: Vec<Candidate>, top: f64) -> Vec<Candidate> {
        candidates.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        if self.sampling.top_k > 0 {
            candidates.truncate(self.sampling.top_k);
        }
        for c in &mut candidates {
            c.1 = ((c.1 - top) / self.sampling.temperature).exp();
        }
        let enough = self.sampling.top_p.clamp(0.0, 1.0) * candidates.iter().map(|c| c.1).sum::<f64>();
        let mut sum = 0.0;
        let nucleus = 1 + candidates
            .iter()
            .take_while(|c| {
                sum += c.1;
                sum < enough
            })
            .count();
        // The most likely token has the weight 1.
        let likely = candidates.iter().take_while(|c| c.1 >= self.sampling.min_p).count().max(1);
        candidates.truncate(nucleus.min(likely));
        candidates
    }
}

/// The first of equal candidates, so that the result does not depend on the order of a sort.
fn most_likely(candidates: impl Iterator<Item = Candidate>) -> Option<Candidate> {
    candidates.fold(None, |best, c| match best {
        Some(best) if c.1 <= best.1 => Some(best),
        _ => Some(c),
    })
}
