//! `auriga-lm eval`: how well intents, slots and replies are hit.

use crate::{
    corpus::Example,
    sample::Sampling,
    session::Budget,
    turn::{Lm, LmError, TurnState},
};
use std::collections::BTreeMap;

/// What came of one example.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub utterance: String,
    pub expected: String,
    pub found: String,
    pub confidence: f64,
}

/// Counts of one intent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Examples of it.
    pub examples: usize,
    /// Times it was found.
    pub found: usize,
    /// Times it was found rightly.
    pub right: usize,
}

impl Counts {
    pub fn precision(&self) -> f64 {
        ratio(self.right, self.found)
    }

    pub fn recall(&self) -> f64 {
        ratio(self.right, self.examples)
    }

    pub fn f1(&self) -> f64 {
        ratio(2 * self.right, self.found + self.examples)
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// What came of a set of examples.
#[derive(Debug, Default)]
pub struct Report {
    pub intents: BTreeMap<String, Counts>,
    /// Examples with slots, and those of them whose intent and slots are all right.
    pub with_slots: usize,
    pub slots_right: usize,
    /// Replies compared, and those that are word for word what was expected.
    pub replies: usize,
    pub replies_right: usize,
    pub wrong: Vec<Outcome>,
}

impl Report {
    pub fn examples(&self) -> usize {
        self.intents.values().map(|c| c.examples).sum()
    }

    /// The share of examples whose intent is right.
    pub fn accuracy(&self) -> f64 {
        ratio(self.intents.values().map(|c| c.right).sum(), self.examples())
    }

    pub fn slot_accuracy(&self) -> f64 {
        ratio(self.slots_right, self.with_slots)
    }

    pub fn reply_accuracy(&self) -> f64 {
        ratio(self.replies_right, self.replies)
    }

    /// One row for each intent, as text.
    pub fn table(&self) -> String {
        let mut text = format!("{:<22}{:>9}{:>11}{:>8}{:>8}\n", "intent", "examples", "precision", "recall", "F1");
        for (name, c) in &self.intents {
            let (p, r, f) = (c.precision(), c.recall(), c.f1());
            text += &format!("{name:<22}{:>9}{p:>11.3}{r:>8.3}{f:>8.3}\n", c.examples);
        }
        text
    }
}

/// Intents and slots of the examples, greedily.
pub fn intents(lm: &Lm, examples: &[Example]) -> Result<Report, LmError> {
    run(lm, examples, Extent::Intents)
}

/// Replies as well.
pub fn turns(lm: &Lm, examples: &[Example]) -> Result<Report, LmError> {
    run(lm, examples, Extent::Turns)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    Intents,
    Turns,
}

fn run(lm: &Lm, examples: &[Example], extent: Extent) -> Result<Report, LmError> {
    let mut report = Report::default();
    for example in examples {
        let mut turn = lm.turn(&example.scene, &example.utterance, Sampling::GREEDY)?;
        turn.step(lm, Budget::UNLIMITED)?;
        let Some(found) = turn.intent().cloned() else { continue };
        report.intents.entry(example.intent.name.clone()).or_default().examples += 1;
        report.intents.entry(found.name.clone()).or_default().found += 1;
        if found.name == example.intent.name {
            report.intents.entry(found.name.clone()).or_default().right += 1;
        }
        let same = found.to_string() == example.intent.to_string();
        if !example.intent.slots.is_empty() {
            report.with_slots += 1;
            report.slots_right += usize::from(same);
        }
        if !same {
            report.wrong.push(Outcome {
                utterance: example.utterance.clone(),
                expected: example.intent.to_string(),
                found: found.to_string(),
                confidence: found.confidence,
            });
        } else if extent == Extent::Turns {
            while !matches!(turn.step(lm, Budget::UNLIMITED)?.state, TurnState::Finished(_)) {}
            report.replies += 1;
            report.replies_right += usize::from(turn.take_text() == example.spoken_reply());
        }
    }
    Ok(report)
}
