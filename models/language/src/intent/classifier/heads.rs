//! The heads on the encoder: intent classification, tagging of slot words (BIO: begin, inside, outside), and classification of
//! the values of choice slots (arXiv 1902.10909; choices are classified from the whole utterance, since "it is stuffy" names
//! no value).

use crate::{
    decoder::weights::{Weights, WeightsError},
    intent::catalogue::{Catalogue, SlotKind},
};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// The meaning of the outputs of the heads.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// In the order of the intent head.
    pub intents: Vec<String>,
    /// Slots whose words are tagged; the tags are "outside", then "begin" and "inside" of each slot.
    pub tagged: Vec<String>,
    /// In the order of the choice head, each with "none" first.
    pub choices: Vec<Choice>,
}

/// A choice slot of one intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// Name of the intent.
    pub intent: String,
    /// Name of the slot.
    pub slot: String,
    /// Its values.
    pub values: Vec<String>,
}

/// The tag of a word that belongs to no slot.
pub const OUTSIDE: usize = 0;

impl Layout {
    /// The layout for a catalogue.
    pub fn of(catalogue: &Catalogue) -> Self {
        let mut layout = Self::default();
        for intent in catalogue.intents() {
            layout.intents.push(intent.name.clone());
            for slot in &intent.slots {
                match &slot.kind {
                    SlotKind::Choice(values) => layout.choices.push(Choice {
                        intent: intent.name.clone(),
                        slot: slot.name.clone(),
                        values: values.clone(),
                    }),
                    _ if layout.tagged.contains(&slot.name) => {}
                    _ => layout.tagged.push(slot.name.clone()),
                }
            }
        }
        layout
    }

    /// The number of tags.
    pub fn tags(&self) -> usize {
        1 + 2 * self.tagged.len()
    }

    /// The tag "begin" of a slot; "inside" is one more.
    pub fn begins(&self, slot: &str) -> Option<usize> {
        self.tagged.iter().position(|s| s == slot).map(|i| 1 + 2 * i)
    }

    /// Index of the first output of a choice, and the number of its outputs.
    pub fn outputs(&self, choice: usize) -> (usize, usize) {
        let count = |c: &Choice| c.values.len() + 1;
        (self.choices[..choice].iter().map(count).sum(), count(&self.choices[choice]))
    }

    fn choice_outputs(&self) -> i64 {
        self.choices.iter().map(|c| c.values.len() as i64 + 1).sum()
    }

    /// The first difference to another layout, as text; `None` if they are equal.
    pub fn difference(&self, other: &Self) -> Option<String> {
        if self == other {
            return None;
        }
        let name = |l: &Self, i: usize| l.intents.get(i).map_or("nothing".to_string(), |n| format!("`{n}`"));
        let longest = self.intents.len().max(other.intents.len());
        Some(match (0..longest).find(|i| self.intents.get(*i) != other.intents.get(*i)) {
            Some(i) => format!("intent {i} is {} and not {}", name(self, i), name(other, i)),
            None => "their slots differ".into(),
        })
    }
}

/// The norm of the pooled vectors, so that the initial outputs of the heads are in the range of logits.
const SCALE: f64 = 20.0;

/// The heads; their tensors have names `head.…`.
pub struct Heads {
    /// [hidden, features]: projects the context to the scene token. `None` without context.
    scene: Option<Tensor>,
    intent: (Tensor, Tensor),
    tags: (Tensor, Tensor),
    /// `None` without choice slots.
    choices: Option<(Tensor, Tensor)>,
}

/// The outputs of the heads for a batch.
pub struct Scores {
    /// Logits of intents, [batch, intents].
    pub intents: Tensor,
    /// Logits of tags, [batch, time, tags].
    pub tags: Tensor,
    /// Logits of all choices, [batch, outputs].
    pub choices: Option<Tensor>,
}

impl Heads {
    /// Takes the tensors of the heads. `features`: size of the context features; 0 without context.
    ///
    /// # Errors
    /// A tensor that is missing or of the wrong shape.
    pub fn load(w: &mut Weights, layout: &Layout, hidden: i64, features: i64) -> Result<Self, WeightsError> {
        let shapes = shapes(layout, hidden, features);
        let mut take = |name: &str| -> Result<Option<Tensor>, WeightsError> {
            shapes.iter().find(|(n, _)| n == name).map(|(name, shape)| w.take(name, shape)).transpose()
        };
        let absent = |tensor: &str| WeightsError::Missing { path: "the heads".into(), tensor: tensor.into() };
        let mut need = |name: &str| take(name)?.ok_or_else(|| absent(name));
        let intent = (need("head.intent.weight")?, need("head.intent.bias")?);
        let tags = (need("head.tags.weight")?, need("head.tags.bias")?);
        let choices = take("head.choices.weight")?.zip(take("head.choices.bias")?);
        Ok(Self { scene: take("head.scene.weight")?, intent, tags, choices })
    }

    /// The scene token for features [batch, features] → [batch, hidden]; `None` without context.
    pub fn scene(&self, features: &Tensor) -> Option<Tensor> {
        self.scene.as_ref().map(|weight| features.linear(weight, None::<Tensor>))
    }

    /// Pools x of the last layer, [batch, time, hidden] → [batch, hidden or 2 · hidden]: the mean of the text tokens, and the scene
    /// token.
    pub fn pool(&self, x: &Tensor) -> Tensor {
        let scaled = |x: Tensor| &x / (x.norm_scalaropt_dim(2.0, [-1i64], true) + 1e-6) * SCALE;
        let time = x.size()[1];
        if self.scene.is_none() {
            return scaled(x.mean_dim(1, false, Kind::Float));
        }
        let text = scaled(x.narrow(1, 0, time - 1).mean_dim(1, false, Kind::Float));
        Tensor::cat(&[text, scaled(x.select(1, time - 1))], 1)
    }

    /// Logits of intents: [batch, pooled] → [batch, intents].
    pub fn intents(&self, pooled: &Tensor) -> Tensor {
        pooled.linear(&self.intent.0, Some(&self.intent.1))
    }

    /// Logits of all heads.
    pub fn scores(&self, x: &Tensor, pooled: &Tensor) -> Scores {
        Scores {
            intents: self.intents(pooled),
            tags: x.linear(&self.tags.0, Some(&self.tags.1)),
            choices: self.choices.as_ref().map(|(weight, bias)| pooled.linear(weight, Some(bias))),
        }
    }
}

/// NameTrie and shapes of the tensors of the heads.
pub fn shapes(layout: &Layout, hidden: i64, features: i64) -> Vec<(String, Vec<i64>)> {
    let pooled = if features > 0 { 2 * hidden } else { hidden };
    let mut all = Vec::new();
    let mut linear = |name: &str, outputs: i64, inputs: i64| {
        all.push((format!("head.{name}.weight"), vec![outputs, inputs]));
        all.push((format!("head.{name}.bias"), vec![outputs]));
    };
    linear("intent", layout.intents.len() as i64, pooled);
    linear("tags", layout.tags() as i64, hidden);
    if !layout.choices.is_empty() {
        linear("choices", layout.choice_outputs(), pooled);
    }
    if features > 0 {
        all.push(("head.scene.weight".into(), vec![hidden, features]));
    }
    all
}
