//! AdaLoRA (arXiv 2303.10512): which directions of which matrices are worth their rank.
//!
//! All corrections begin with more rank than they may keep. After each step every direction (a column of P, its λ, a row of
//! Q) has an importance: the smoothed |weight · gradient| of its parts times how much that varies. On a cubic schedule the
//! budget falls from all directions to the target, and the λ of the least important ones are set to zero; a direction that
//! becomes important again may come back until the budget is final.

use crate::training::{
    adamw::Parameter,
    lora::{self, LAMBDA, P, Q},
};
use std::collections::BTreeMap;
use tch::{Kind, Tensor};

/// Of the running means of importance and of its variation.
const BETA: (f64, f64) = (0.85, 0.85);
/// Steps between two prunings.
const EVERY: u64 = 10;
/// Shares of the run before the budget begins to fall, and after it has reached its target.
const WARM: f64 = 0.1;
const FINAL: f64 = 0.4;
/// On how far P and Q are from having orthogonal directions, in the loss.
const ORTHOGONALITY: f64 = 0.1;

/// The running means of the parts of all corrections, and which directions have a share in the budget.
pub struct Budget {
    /// Directions that may stay in the end.
    target: usize,
    /// By parameter: the mean importance and the mean variation.
    means: BTreeMap<String, (Tensor, Tensor)>,
}

impl Budget {
    pub fn new(parameters: &[Parameter], target: usize) -> Self {
        let ours = parameters.iter().filter(|p| lora::is_part(&p.name));
        let zeros = |p: &Parameter| tch::no_grad(|| (p.value.detach().zeros_like(), p.value.detach().zeros_like()));
        Self { target, means: ours.map(|p| (p.name.clone(), zeros(p))).collect() }
    }

    /// Takes note of the gradients that `backward` has left.
    pub fn observe(&mut self, parameters: &[Parameter]) {
        tch::no_grad(|| {
            for p in parameters {
                let (Some((mean, variation)), gradient) = (self.means.get_mut(&p.name), p.value.grad()) else {
                    continue;
                };
                if !gradient.defined() {
                    continue;
                }
                let now = (p.value.detach() * gradient).abs();
                let _ = mean.g_mul_scalar_(BETA.0).g_add_(&(&now * (1.0 - BETA.0)));
                let apart = (now - &*mean).abs();
                let _ = variation.g_mul_scalar_(BETA.1).g_add_(&(apart * (1.0 - BETA.1)));
            }
        });
    }

    /// How many of `all` directions may stay at this share of the run.
    pub fn allowed(&self, all: usize, progress: f64) -> usize {
        let way = ((progress - WARM) / (1.0 - FINAL - WARM)).clamp(0.0, 1.0);
        let target = self.target.min(all);
        target + ((all - target) as f64 * (1.0 - way).powi(3)).round() as usize
    }

    /// After the optimiser's step: sets the λ of the least important directions to zero. Ties keep the first.
    pub fn prune(&self, parameters: &mut [Parameter], step: u64, progress: f64) {
        let lambdas = || parameters.iter().enumerate().filter(|(_, p)| p.name.ends_with(LAMBDA));
        let all: usize = lambdas().map(|(_, p)| p.value.numel()).sum();
        let allowed = self.allowed(all, progress);
        // Once the target is reached, what is gone stays gone: it must be set to zero after every step.
        let settled = allowed == self.target.min(all);
        if allowed >= all || !(settled || step.is_multiple_of(EVERY)) {
            return;
        }
        let mut directions: Vec<(f64, usize, i64)> = Vec::new();
        for (at, p) in lambdas() {
            let target = p.name.trim_end_matches(LAMBDA);
            directions.extend(self.importance(target).into_iter().enumerate().map(|(i, s)| (s, at, i as i64)));
        }
        directions.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (_, at, i) in directions.into_iter().skip(allowed) {
            let _ = tch::no_grad(|| parameters[at].value.detach().get(i).fill_(0.0));
        }
    }

    /// Of each direction of a correction.
    fn importance(&self, target: &str) -> Vec<f64> {
        let part = |end: &str, across: Option<i64>| -> Option<Tensor> {
            let (mean, variation) = self.means.get(&format!("{target}{end}"))?;
            let each = (mean * variation).to_kind(Kind::Double);
            Some(match across {
                Some(dim) => each.mean_dim(dim, false, Kind::Double),
                None => each,
            })
        };
        let sum = part(LAMBDA, None).zip(part(P, Some(0))).zip(part(Q, Some(1))).map(|((l, p), q)| l + p + q);
        sum.and_then(|t| Vec::<f64>::try_from(t).ok()).unwrap_or_default()
    }

    /// Tensors by name, for a run that goes on.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let named = |(name, (a, b)): (&String, &(Tensor, Tensor))| {
            [(format!("mean.{name}"), a.shallow_clone()), (format!("variation.{name}"), b.shallow_clone())]
        };
        self.means.iter().flat_map(named).collect()
    }

    /// The tensors of [`Budget::state`], to be overwritten.
    pub fn state_mut(&mut self) -> impl Iterator<Item = (String, &mut Tensor)> {
        self.means.iter_mut().flat_map(|(name, (a, b))| [(format!("mean.{name}"), a), (format!("variation.{name}"), b)])
    }
}

/// ‖PᵀP − 1‖² + ‖QQᵀ − 1‖², over all corrections, as part of the loss.
pub fn orthogonality(parameters: &[Parameter]) -> Option<Tensor> {
    let off = |p: &Parameter| {
        let gram = match &p.name {
            name if name.ends_with(P) => p.value.tr().matmul(&p.value),
            name if name.ends_with(Q) => p.value.matmul(&p.value.tr()),
            _ => return None,
        };
        let one = Tensor::eye(gram.size()[0], (gram.kind(), gram.device()));
        Some((gram - one).square().sum(Kind::Float))
    };
    let all: Vec<Tensor> = parameters.iter().filter_map(off).collect();
    (!all.is_empty()).then(|| Tensor::stack(&all, 0).sum(Kind::Float) * ORTHOGONALITY)
}
