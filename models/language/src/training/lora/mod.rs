//! LoRA adapters: matrices become W + s · P · diag(λ) · Q with low-rank P and Q (LoRA, arXiv 2106.09685, in the form of
//! AdaLoRA, arXiv 2303.10512). The file of an adapter has `….lora_p` `[outputs, rank]`, `….lora_lambda` `[rank]` and `….lora_q`
//! `[rank, inputs]` for each adapted matrix; any other tensor in it replaces that of the base.
//!
//! For inference the adapter is merged into the base when it is loaded, so it costs nothing afterwards.

pub mod adalora;

use std::collections::BTreeMap;
use tch::Tensor;

/// Suffix of P, `[outputs, rank]`.
pub const P: &str = ".lora_p";
/// Suffix of λ, `[rank]`.
pub const LAMBDA: &str = ".lora_lambda";
/// Suffix of Q, `[rank, inputs]`.
pub const Q: &str = ".lora_q";

/// An adapter that does not fit its base.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    /// The base has no such tensor.
    #[error("the adapter changes `{tensor}`, which the base does not have: it was made for another model")]
    Base {
        /// The tensor.
        tensor: String,
    },
    /// P, λ or Q is missing.
    #[error("the adapter has no `{tensor}`: its file is damaged")]
    Part {
        /// The tensor.
        tensor: String,
    },
    /// P, λ and Q do not fit the matrix.
    #[error(
        "the adapter of `{tensor}` has the shapes {found} (P, λ, Q), which do not fit the base's {base:?}: it was made for \
         another model"
    )]
    Shape {
        /// The matrix.
        tensor: String,
        /// Shapes of P, λ and Q.
        found: String,
        /// Shape of the matrix.
        base: Vec<i64>,
    },
}

/// Merges an adapter into the base. Gradients reach the adapter.
///
/// # Errors
/// An adapter that does not fit.
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
            Some(target) => (target, merged_weight(base, adapter, target, tensor, scale)?),
            None => (name.as_str(), tensor.shallow_clone()),
        };
        match merged.get_mut(target) {
            Some(old) => *old = new,
            None => return Err(AdapterError::Base { tensor: target.into() }),
        }
    }
    Ok(merged)
}

fn merged_weight(
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

/// P and Q of a matrix, after a check of their shapes.
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

/// The adapter of one matrix, applied beside it. In training this is cheaper than merging, since the matrix needs no gradient.
pub struct LoraAdapter {
    p: Tensor,
    lambda: Tensor,
    q: Tensor,
    scale: f64,
}

impl LoraAdapter {
    /// The adapter of the matrix `target`, if `adapter` has one.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn find(
        adapter: &BTreeMap<String, Tensor>,
        target: &str,
        base: &Tensor,
        scale: f64,
    ) -> Result<Option<Self>, AdapterError> {
        let Some(lambda) = adapter.get(&format!("{target}{LAMBDA}")) else { return Ok(None) };
        let (p, q) = parts(adapter, target, lambda, base)?;
        Ok(Some(Self { p: p.shallow_clone(), lambda: lambda.shallow_clone(), q: q.shallow_clone(), scale }))
    }

    /// The term that is added to the product of the matrix with x: [.., inputs] → [.., outputs].
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let low = x.linear(&self.q, None::<Tensor>) * &self.lambda;
        low.linear(&self.p, None::<Tensor>) * self.scale
    }
}

/// Whether a name is that of P, λ or Q.
pub fn is_lora_tensor(name: &str) -> bool {
    [P, LAMBDA, Q].iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn merged_and_separate_adapters_give_the_same_result() {
        let float = (Kind::Float, Device::Cpu);
        // Not from the global random generator, which other tests use at the same time.
        let made =
            |rows: i64, columns: i64| Tensor::linspace(-1.0, 1.3, rows * columns, float).sin().view([rows, columns]);
        let base = BTreeMap::from([("m".to_string(), made(5, 4))]);
        let adapter = BTreeMap::from([
            ("m.lora_p".to_string(), made(5, 2)),
            ("m.lora_lambda".into(), Tensor::from_slice(&[0.5f32, -2.0])),
            ("m.lora_q".into(), made(2, 4)),
        ]);
        let (x, merged) = (made(3, 4), merge(&base, &adapter, 1.5).unwrap());
        let merged_product = x.linear(&merged["m"], None::<Tensor>);
        let separate = LoraAdapter::find(&adapter, "m", &base["m"], 1.5).unwrap().unwrap();
        let sum = x.linear(&base["m"], None::<Tensor>) + separate.forward(&x);
        assert!((merged_product - sum).abs().max().double_value(&[]) < 1e-5);
        assert!(LoraAdapter::find(&adapter, "other", &base["m"], 1.0).unwrap().is_none());
    }
}
