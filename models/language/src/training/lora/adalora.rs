//! AdaLoRA (arXiv 2303.10512): allocation of ranks to the adapted matrices.
//!
//! All adapters begin with a higher rank than they may keep. After each step every direction (a column of P, its λ, a row of
//! Q) has an importance: the smoothed sensitivity |weight · gradient| of its parts times its smoothed uncertainty. The budget
//! falls on a cubic schedule from all directions to the target, and the λ of the least important ones are set to zero; a
//! direction that becomes important again may return until the budget is final.

use crate::training::{
    adamw::Parameter,
    lora::{self, LAMBDA, P, Q},
};
use std::collections::BTreeMap;
use tch::{Kind, Tensor};

/// Decay of the running means of sensitivity and uncertainty.
const BETA: (f64, f64) = (0.85, 0.85);
/// Steps between two prunings.
const PRUNE_INTERVAL: u64 = 10;
/// Share of the run before the budget begins to fall.
const WARM_UP: f64 = 0.1;
/// Share of the run after the budget has reached its target.
const FINAL: f64 = 0.4;
/// Weight of the orthogonality loss.
const ORTHOGONALITY: f64 = 0.1;

/// Running means of sensitivity and uncertainty of all adapters, and the budget of directions.
pub struct RankBudget {
    /// Directions that are kept in the end.
    target: usize,
    /// Mean sensitivity and mean uncertainty by parameter.
    means: BTreeMap<String, (Tensor, Tensor)>,
}

impl RankBudget {
    /// A budget that falls to `target` directions.
    pub fn new(parameters: &[Parameter], target: usize) -> Self {
        let adapters = parameters.iter().filter(|p| lora::is_lora_tensor(&p.name));
        let zeros = |p: &Parameter| tch::no_grad(|| (p.value.detach().zeros_like(), p.value.detach().zeros_like()));
        Self { target, means: adapters.map(|p| (p.name.clone(), zeros(p))).collect() }
    }

    /// Updates the running means by the gradients of the last `backward`.
    pub fn observe(&mut self, parameters: &[Parameter]) {
        tch::no_grad(|| {
            for p in parameters {
                let (Some((sensitivity, uncertainty)), gradient) = (self.means.get_mut(&p.name), p.value.grad()) else {
                    continue;
                };
                if !gradient.defined() {
                    continue;
                }
                let now = (p.value.detach() * gradient).abs();
                let _ = sensitivity.g_mul_scalar_(BETA.0).g_add_(&(&now * (1.0 - BETA.0)));
                let deviation = (now - &*sensitivity).abs();
                let _ = uncertainty.g_mul_scalar_(BETA.1).g_add_(&(deviation * (1.0 - BETA.1)));
            }
        });
    }

    /// The number of directions, of `all`, that are allowed at this progress of the run (0 to 1).
    pub fn allowed(&self, all: usize, progress: f64) -> usize {
        let decay = ((progress - WARM_UP) / (1.0 - FINAL - WARM_UP)).clamp(0.0, 1.0);
        let target = self.target.min(all);
        target + ((all - target) as f64 * (1.0 - decay).powi(3)).round() as usize
    }

    /// Sets the λ of the least important directions to zero, after the optimizer step. Of equal ones the first is kept.
    pub fn prune(&self, parameters: &mut [Parameter], step: u64, progress: f64) {
        let lambdas = || parameters.iter().enumerate().filter(|(_, p)| p.name.ends_with(LAMBDA));
        let all: usize = lambdas().map(|(_, p)| p.value.numel()).sum();
        let allowed = self.allowed(all, progress);
        // Once the target is reached, pruned directions are set to zero after every step.
        let is_final = allowed == self.target.min(all);
        if allowed >= all || !(is_final || step.is_multiple_of(PRUNE_INTERVAL)) {
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

    /// Importance of each direction of an adapter.
    fn importance(&self, target: &str) -> Vec<f64> {
        let part = |end: &str, across: Option<i64>| -> Option<Tensor> {
            let (sensitivity, uncertainty) = self.means.get(&format!("{target}{end}"))?;
            let each = (sensitivity * uncertainty).to_kind(Kind::Double);
            Some(match across {
                Some(dim) => each.mean_dim(dim, false, Kind::Double),
                None => each,
            })
        };
        let sum = part(LAMBDA, None).zip(part(P, Some(0))).zip(part(Q, Some(1))).map(|((l, p), q)| l + p + q);
        sum.and_then(|t| Vec::<f64>::try_from(t).ok()).unwrap_or_default()
    }

    /// The state by tensor name, for a run that is resumed later.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let named = |(name, (a, b)): (&String, &(Tensor, Tensor))| {
            [(format!("sensitivity.{name}"), a.shallow_clone()), (format!("uncertainty.{name}"), b.shallow_clone())]
        };
        self.means.iter().flat_map(named).collect()
    }

    /// The tensors of [`RankBudget::state`], to be restored.
    pub fn state_mut(&mut self) -> impl Iterator<Item = (String, &mut Tensor)> {
        self.means
            .iter_mut()
            .flat_map(|(name, (a, b))| [(format!("sensitivity.{name}"), a), (format!("uncertainty.{name}"), b)])
    }
}

/// The orthogonality loss, ‖PᵀP − 1‖² + ‖QQᵀ − 1‖² over all adapters with its weight; `None` without adapters.
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
