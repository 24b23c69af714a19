//! AdamW (arXiv 1711.05101) with accessible state, so that an interrupted run can be resumed bit for bit.

use std::f64::consts::PI;
use tch::{Kind, Tensor};

/// A trained tensor and its optimizer state.
pub struct Parameter {
    /// Name of the tensor.
    pub name: String,
    /// The tensor.
    pub value: Tensor,
    /// Running mean of the gradient (Adam first moment).
    pub first_moment: Tensor,
    /// Running mean of the squared gradient (Adam second moment).
    pub second_moment: Tensor,
    /// Learning-rate multiplier.
    pub lr_multiplier: f64,
}

/// Settings of the optimizer.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The peak learning rate.
    pub learning_rate: f64,
    /// Steps of linear warm-up.
    pub warmup_steps: u64,
    /// Steps in total.
    pub steps: u64,
    /// Weight decay of matrices.
    pub weight_decay: f64,
    /// The largest norm of all gradients together; larger ones are scaled down.
    pub clip: f64,
}

const BETA: (f64, f64) = (0.9, 0.98);
const EPSILON: f64 = 1e-9;
/// The final learning rate as a fraction of the peak.
const FINAL_FRACTION: f64 = 0.05;

impl Settings {
    /// The learning rate of a step (from 0): linear warm-up, then cosine decay.
    pub fn learning_rate_at(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return self.learning_rate * (step + 1) as f64 / self.warmup_steps as f64;
        }
        let rest = (self.steps.max(self.warmup_steps + 1) - self.warmup_steps) as f64;
        let progress = ((step - self.warmup_steps) as f64 / rest).min(1.0);
        self.learning_rate * (FINAL_FRACTION + (1.0 - FINAL_FRACTION) * 0.5 * (1.0 + (PI * progress).cos()))
    }
}

impl Parameter {
    /// A parameter with empty state.
    pub fn new(name: String, value: Tensor) -> Self {
        let value = value.set_requires_grad(true);
        let zeros = || tch::no_grad(|| value.detach().zeros_like());
        Self { first_moment: zeros(), second_moment: zeros(), name, value, lr_multiplier: 1.0 }
    }
}

/// One optimizer step with the gradients of the last `backward`; returns their norm before clipping. `step`: number of earlier
/// steps; `learning_rate`: of this step.
pub fn step(parameters: &mut [Parameter], settings: &Settings, step: u64, learning_rate: f64) -> f64 {
    tch::no_grad(|| {
        // A tensor that the loss did not use has no gradient.
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
            let (gradient, rate) = (gradient * scale, learning_rate * p.lr_multiplier);
            let _ = p.first_moment.g_mul_scalar_(BETA.0).g_add_(&(&gradient * (1.0 - BETA.0)));
            let _ = p.second_moment.g_mul_scalar_(BETA.1).g_add_(&(gradient.square() * (1.0 - BETA.1)));
            let update =
                (&p.first_moment / correction(BETA.0)) / ((&p.second_moment / correction(BETA.1)).sqrt() + EPSILON);
            let mut value = p.value.detach();
            // No weight decay for norms and biases.
            if value.dim() > 1 {
                let _ = value.g_mul_scalar_(1.0 - rate * settings.weight_decay);
            }
            let _ = value.g_sub_(&(update * rate));
            p.value.zero_grad();
        }
        norm
    })
}
