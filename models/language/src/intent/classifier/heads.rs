//! The heads on the encoder: one for the intent, one that tags the words of slots (BIO: begins, inside, outside), one for
//! the values of slots with choices (arXiv 1902.10909, with choices read from the whole utterance, since "it is stuffy"
//! names no value).

use crate::{
    decoder::weights::{Weights, WeightsError},
    intent::catalogue::{Catalogue, SlotKind},
};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// What the outputs of the heads stand for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// In the order of the intent head.
    pub intents: Vec<String>,
    /// Slots whose words are tagged; the tags are outside, then begins and inside of each.
    pub tagged: Vec<String>,
    /// In the order of the choice head, each with "none" first.
    pub choices: Vec<Choice>,
}

/// A slot with choices; the same slot of another intent is another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    pub intent: String,
    pub slot: String,
    pub values: Vec<String>,
}

/// The tag of a word that belongs to no slot.
pub const OUTSIDE: usize = 0;

impl Layout {
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

    pub fn tags(&self) -> usize {
        1 + 2 * self.tagged.len()
    }

    /// The tag of the first word of a slot; that of the others is one more.
    pub fn begins(&self, slot: &str) -> Option<usize> {
        self.tagged.iter().position(|s| s == slot).map(|i| 1 + 2 * i)
    }

    /// Where the outputs of a choice begin, and how many there are.
    pub fn outputs(&self, choice: usize) -> (usize, usize) {
        let count = |c: &Choice| c.values.len() + 1;
        (self.choices[..choice].iter().map(count).sum(), count(&self.choices[choice]))
    }

    fn choice_outputs(&self) -> i64 {
        self.choices.iter().map(|c| c.values.len() as i64 + 1).sum()
    }

    /// The first difference to another layout, for people.
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

/// The pooled text has this length before the heads, so that their outputs begin in the range of logits.
const SCALE: f64 = 20.0;

/// Tensors of the heads, by the names `head.…`.
pub struct Heads {
    /// [hidden, features]: the numbers of the context → the scene's token. None where texts have no context.
    scene: Option<Tensor>,
    intent: (Tensor, Tensor),
    tags: (Tensor, Tensor),
    /// None without slots that have choices.
    choices: Option<(Tensor, Tensor)>,
}

/// What the heads say of a batch.
pub struct Scores {
    /// [batch, intents].
    pub intents: Tensor,
    /// [batch, time, tags].
    pub tags: Tensor,
    /// [batch, all outputs of all choices].
    pub choices: Option<Tensor>,
}

impl Heads {
    /// `features`: the numbers of a context; 0 where there is none.
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

    /// The scene's token for rows of features [batch, features].
    pub fn scene(&self, features: &Tensor) -> Option<Tensor> {
        self.scene.as_ref().map(|weight| features.linear(weight, None::<Tensor>))
    }

    /// x [batch, time, hidden] of the last layer → [batch, hidden or twice that]: the mean of the text's tokens, and the
    /// scene's token.
    pub fn pool(&self, x: &Tensor) -> Tensor {
        let long = |x: Tensor| &x / (x.norm_scalaropt_dim(2.0, [-1i64], true) + 1e-6) * SCALE;
        let time = x.size()[1];
        if self.scene.is_none() {
            return long(x.mean_dim(1, false, Kind::Float));
        }
        let text = long(x.narrow(1, 0, time - 1).mean_dim(1, false, Kind::Float));
        Tensor::cat(&[text, long(x.select(1, time - 1))], 1)
    }

    pub fn intents(&self, pooled: &Tensor) -> Tensor {
        pooled.linear(&self.intent.0, Some(&self.intent.1))
    }

    pub fn scores(&self, x: &Tensor, pooled: &Tensor) -> Scores {
        Scores {
            intents: self.intents(pooled),
            tags: x.linear(&self.tags.0, Some(&self.tags.1)),
            choices: self.choices.as_ref().map(|(weight, bias)| pooled.linear(weight, Some(bias))),
        }
    }
}

/// Names and shapes of the tensors of the heads.
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
