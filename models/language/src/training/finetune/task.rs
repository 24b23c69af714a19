//! What a model brings to its fine-tuning.

use crate::training::finetune::data::Step;
use std::collections::BTreeMap;
use tch::Tensor;

/// What differs between the models.
pub trait Task {
    type Item;

    /// Tensors that are not trained, or corrected.
    fn base(&self) -> &BTreeMap<String, Tensor>;
    /// Those of them that are matrices to be corrected, or trained with all that is beside them.
    fn matrices(&self) -> Vec<String>;
    /// Further tensors that are trained, as they begin.
    fn heads(&self) -> anyhow::Result<Vec<(String, Tensor)>>;
    /// The steps of an epoch.
    fn epoch(&self, number: u64) -> anyhow::Result<Vec<Step<Self::Item>>>;
    /// The loss of one backward pass, summed over its examples; `trained`: all that is trained, by name.
    fn loss(&self, trained: BTreeMap<String, Tensor>, step: &Step<Self::Item>) -> anyhow::Result<Tensor>;
    /// Judges the model and writes what can be used of it; gives back the figure that is logged.
    fn test_and_save(&self, trained: &[(String, Tensor)]) -> anyhow::Result<f64>;
}
