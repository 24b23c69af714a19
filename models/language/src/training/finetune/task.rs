//! The model-specific part of fine-tuning.

use crate::training::finetune::data::Step;
use std::collections::BTreeMap;
use tch::Tensor;

/// The model-specific part of fine-tuning.
pub trait Task {
    /// A training example.
    type Item;

    /// The tensors of the base model.
    fn base(&self) -> &BTreeMap<String, Tensor>;
    /// Names of the tensors of the base that are adapted or trained.
    fn matrices(&self) -> Vec<String>;
    /// Additional trained tensors (heads) with their initial values.
    ///
    /// # Errors
    /// Initial values that cannot be computed.
    fn heads(&self) -> anyhow::Result<Vec<(String, Tensor)>>;
    /// The steps of an epoch.
    ///
    /// # Errors
    /// Examples that cannot be generated or encoded.
    fn epoch(&self, number: u64) -> anyhow::Result<Vec<Step<Self::Item>>>;
    /// The loss of one backward pass, summed over its examples; `trained`: the trained tensors by name.
    ///
    /// # Errors
    /// Tensors that do not fit the model.
    fn loss(&self, trained: BTreeMap<String, Tensor>, step: &Step<Self::Item>) -> anyhow::Result<Tensor>;
    /// Evaluates the model and writes it to the output folder; returns the validation accuracy, 0 to 1.
    ///
    /// # Errors
    /// A file that cannot be written.
    fn evaluate_and_save(&self, trained: &[(String, Tensor)]) -> anyhow::Result<f64>;
}
