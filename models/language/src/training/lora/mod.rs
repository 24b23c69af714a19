//! Adapters: a model's matrices are corrected by W + s · P · diag(λ) · Q with few rows of Q and columns of P (LoRA, arXiv
//! 2106.09685, in the form of AdaLoRA, arXiv 2303.10512). An adapter's file has for each corrected matrix `….lora_p`
//! [outputs, rank], `….lora_lambda` [rank], `….lora_q` [rank, inputs]; any other tensor in it stands for that of the base.
//!
//! A model is always run with its corrections put in: an adapter costs memory and time while it is trained, and when it is
//! loaded, and none afterwards.

pub mod adalora;

use std::collections::BTreeMap;
use tch::Tensor;

pub const P: &str = ".lora_p";
pub const LAMBDA: &str = ".lora_lambda";
pub const Q: &str = ".lora_q";

#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    #[error("the adapter corrects `{tensor}`, which the base does not have: it was made for another model")]
    Base { tensor: String },
    #[error("the adapter has no `{tensor}`: its file is damaged")]
    Part { tensor: String },
    #[error(
        "the adapter's correction of `{tensor}` is {found} (P, λ, Q), which does not fit the base's {base:?}: it was made \
         for another model"
    )]
    Shape { tensor: String, found: String, base: Vec<i64> },
}

/// The base's tensors with an adapter's corrections. Gradients go through to the adapter.
pub fn merge(
    base: &BTreeMap<String, Tensor>,
    adapter: &BTreeMap<String, Tensor>,
    scale: f64,
) -> Result<BTreeMap<String, Tensor>, AdapterError> {
    let mut merged: BTreeMap<String, Tensor> =
        base.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect();
    for (name, tensor) in adapter {
        if name.ends_with(P) || name.ends_with(Q) {
            continue;
        }
        let (target, new) = match name.strip_suffix(LAMBDA) {
            Some(target) => (target, corrected(base, adapter, target, tensor, scale)?),
            None => (name.as_str(), tensor.shallow_clone()),
        };
        match merged.get_mut(target) {
            Some(old) => *old = new,
            None => return Err(AdapterError::Base { tensor: target.into() }),
        }
    }
    Ok(merged)
}

fn corrected(
    base: &BTreeMap<String, Tensor>,
    adapter: &BTreeMap<String, Tensor>,
    target: &str,
    lambda: &Tensor,
    scale: f64,
) -> Result<Tensor, AdapterError> {
    let base = base.get(target).ok_or_else(|| AdapterError::Base { tensor: target.into() })?;
    let (p, q) = parts(adapter, target, lambda, base)?;
    Ok(base + (p * lambda).matmul(q) * scale)
}

/// P and Q, if they fit.
fn parts<'a>(
    adapter: &'a BTreeMap<String, Tensor>,
    target: &str,
    lambda: &Tensor,
    base: &Tensor,
) -> Result<(&'a Tensor, &'a Tensor), AdapterError> {
    let part = |end: &str| {
        let name = format!("{target}{end}");
        adapter.get(&name).ok_or(AdapterError::Part { tensor: name })
    };
    let (p, q) = (part(P)?, part(Q)?);
    let fits = match (&p.size()[..], &lambda.size()[..], &q.size()[..], &base.size()[..]) {
        ([out, r1], [r2], [r3, inner], [rows, columns]) => {
            out == rows && inner == columns && r1 == r2 && r2 == r3 && *r1 > 0
        }
        _ => false,
    };
    if !fits {
        let found = format!("{:?} · {:?} · {:?}", p.size(), lambda.size(), q.size());
        return Err(AdapterError::Shape { tensor: target.into(), found, base: base.size() });
    }
    Ok((p, q))
}

/// A correction beside its matrix, for training: it is cheaper to lead x through than to put in, since the matrix itself
/// then needs no gradient.
pub struct Beside {
    p: Tensor,
    lambda: Tensor,
    q: Tensor,
    scale: f64,
}

impl Beside {
    /// The correction of `target`, if the adapter has one.
    pub fn of(
        adapter: &BTreeMap<String, Tensor>,
        target: &str,
        base: &Tensor,
        scale: f64,
    ) -> Result<Option<Self>, AdapterError> {
        let Some(lambda) = adapter.get(&format!("{target}{LAMBDA}")) else { return Ok(None) };
        let (p, q) = parts(adapter, target, lambda, base)?;
        Ok(Some(Self { p: p.shallow_clone(), lambda: lambda.shallow_clone(), q: q.shallow_clone(), scale }))
    }

    /// What it adds to the matrix's product with x.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let low = x.linear(&self.q, None::<Tensor>) * &self.lambda;
        low.linear(&self.p, None::<Tensor>) * self.scale
    }
}

/// Whether a tensor is a part of a correction.
pub fn is_part(name: &str) -> bool {
    [P, LAMBDA, Q].iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn a_correction_put_in_is_one_beside() {
        let float = (Kind::Float, Device::Cpu);
        // Not from the one source of chance, which other tests draw from at the same time.
        let made =
            |rows: i64, columns: i64| Tensor::linspace(-1.0, 1.3, rows * columns, float).sin().view([rows, columns]);
        let base = BTreeMap::from([("m".to_string(), made(5, 4))]);
        let adapter = BTreeMap::from([
            ("m.lora_p".to_string(), made(5, 2)),
            ("m.lora_lambda".into(), Tensor::from_slice(&[0.5f32, -2.0])),
            ("m.lora_q".into(), made(2, 4)),
        ]);
        let (x, merged) = (made(3, 4), merge(&base, &adapter, 1.5).unwrap());
        let put_in = x.linear(&merged["m"], None::<Tensor>);
        let beside = Beside::of(&adapter, "m", &base["m"], 1.5).unwrap().unwrap();
        let sum = x.linear(&base["m"], None::<Tensor>) + beside.forward(&x);
        assert!((put_in - sum).abs().max().double_value(&[]) < 1e-5);
        assert!(Beside::of(&adapter, "other", &base["m"], 1.0).unwrap().is_none());
    }
}
