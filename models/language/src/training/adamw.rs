//! AdamW (arXiv 1711.05101) with its state in the open, so that a run that was cut off goes on bit for bit.

use std::f64::consts::PI;
use tch::{Kind, Tensor};

/// A tensor that is trained, and its running moments.
pub struct Parameter {
    pub name: String,
    pub value: Tensor,
    pub first: Tensor,
    pub second: Tensor,
    /// Times the learning rate of the others.
    pub pace: f64,
}

#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The highest.
    pub learning_rate: f64,
    pub warmup_steps: u64,
    pub steps: u64,
    pub weight_decay: f64,
    /// Gradients are scaled so that all of them together are no longer than this.
    pub clip: f64,
}

const BETA: (f64, f64) = (0.9, 0.98);
const EPSILON: f64 = 1e-9;
/// The learning rate ends at this fraction of the highest.
const FLOOR: f64 = 0.05;

impl Settings {
    /// Up in a line, then down along half a cosine. `step`: from 0.
    pub fn rate(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return self.learning_rate * (step + 1) as f64 / self.warmup_steps as f64;
        }
        let rest = (self.steps.max(self.warmup_steps + 1) - self.warmup_steps) as f64;
        let way = ((step - self.warmup_steps) as f64 / rest).min(1.0);
        self.learning_rate * (FLOOR + (1.0 - FLOOR) * 0.5 * (1.0 + (PI * way).cos()))
    }
}

impl Parameter {
    pub fn new(name: String, value: Tensor) -> Self {
        let value = value.set_requires_grad(true);
        let zeros = || tch::no_grad(|| value.detach().zeros_like());
        Self { first: zeros(), second: zeros(), name, value, pace: 1.0 }
    }
}

/// One step along the gradients that `backward` has left; gives back their length before clipping. `step`: how many went
/// before; `rate`: of this one.
pub fn step(parameters: &mut [Parameter], settings: &Settings, step: u64, rate: f64) -> f64 {
    tch::no_grad(|| {
        // A part that the loss did not use this time has no gradient.
        let gradients: Vec<Option<Tensor>> =
            parameters.iter().map(|p| Some(p.value.grad()).filter(Tensor::defined)).collect();
        let squares: Vec<Tensor> = gradients.iter().flatten().map(|g| g.square().sum(Kind::Double)).collect();
        if squares.is_empty() {
            return 0.0;
        }
        let norm = Tensor::stack(&squares, 0).sum(Kind::Double).sqrt().double_value(&[]);
        let scale = if norm > settings.clip { settings.clip / norm } else { 1.0 };
        let correction = |beta: f64| 1.0 - beta.powf((step + 1) as f64);
        for (p, gradient) in parameters.iter_mut().zip(gradients) {
            let Some(gradient) = gradient else { continue };
            let (gradient, rate) = (gradient * scale, rate * p.pace);
            let _ = p.first.g_mul_scalar_(BETA.0).g_add_(&(&gradient * (1.0 - BETA.0)));
            let _ = p.second.g_mul_scalar_(BETA.1).g_add_(&(gradient.square() * (1.0 - BETA.1)));
            let update = (&p.first / correction(BETA.0)) / ((&p.second / correction(BETA.1)).sqrt() + EPSILON);
            let mut value = p.value.detach();
            // Norms and biases are not drawn to zero: they mean nothing there.
            if value.dim() > 1 {
                let _ = value.g_mul_scalar_(1.0 - rate * settings.weight_decay);
            }
            let _ = value.g_sub_(&(update * rate));
            p.value.zero_grad();
        }
        norm
    })
}
