//! `auriga-lm eval`: how well intents, slots and replies are hit.

use crate::{
    decoder::{sample::Sampling, session::Budget},
    dialogue::{
        error::LmError,
        turn::{Lm, TurnState},
    },
    intent::{
        classifier::{IntentEncoder, JointError, calibration},
        output::IntentOutput,
    },
    training::corpus::Example,
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
    /// How often what was expected was found to be what.
    pub pairs: BTreeMap<(String, String), usize>,
    /// The confidence of each intent, and whether it was right.
    pub confidences: Vec<(f64, bool)>,
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

    /// Counts an example; gives back whether intent and slots are right.
    fn note(&mut self, example: &Example, found: &IntentOutput) -> bool {
        let (expected, right) = (&example.intent, example.intent.name == found.name);
        self.intents.entry(expected.name.clone()).or_default().examples += 1;
        self.intents.entry(found.name.clone()).or_default().found += 1;
        self.intents.entry(found.name.clone()).or_default().right += usize::from(right);
        *self.pairs.entry((expected.name.clone(), found.name.clone())).or_default() += 1;
        self.confidences.push((found.confidence, right));
        let same = found.to_string() == expected.to_string();
        if !expected.slots.is_empty() {
            self.with_slots += 1;
            self.slots_right += usize::from(same);
        }
        if !same {
            self.wrong.push(Outcome {
                utterance: example.utterance.clone(),
                expected: expected.to_string(),
                found: found.to_string(),
                confidence: found.confidence,
            });
        }
        same
    }

    /// The distance of confidence to the share that is right.
    pub fn calibration_error(&self) -> f64 {
        calibration::expected_error(&self.confidences)
    }

    /// As much of it as so few examples have by chance.
    pub fn calibration_error_by_chance(&self) -> f64 {
        calibration::error_by_chance(&self.confidences)
    }

    /// The mean over intents of a figure, and that weighted by their examples.
    pub fn averages(&self, figure: impl Fn(&Counts) -> f64) -> (f64, f64) {
        // What was found and never expected has no examples to be right about.
        let asked: Vec<&Counts> = self.intents.values().filter(|c| c.examples > 0).collect();
        let weighted: f64 = asked.iter().map(|c| figure(c) * c.examples as f64).sum();
        let plain: f64 = asked.iter().map(|c| figure(c)).sum();
        (plain / asked.len().max(1) as f64, weighted / self.examples().max(1) as f64)
    }

    /// One row for each intent and their averages, as text.
    pub fn table(&self) -> String {
        let mut text = format!("{:<22}{:>11}{:>8}{:>8}{:>9}\n", "intent", "precision", "recall", "F1", "support");
        let mut row = |name: &str, [p, r, f]: [f64; 3], support: usize| {
            text += &format!("{name:<22}{p:>11.3}{r:>8.3}{f:>8.3}{support:>9}\n");
        };
        for (name, c) in &self.intents {
            row(name, [c.precision(), c.recall(), c.f1()], c.examples);
        }
        let all = [Counts::precision, Counts::recall, Counts::f1].map(|figure| self.averages(figure));
        row("macro average", all.map(|a| a.0), self.examples());
        row("weighted average", all.map(|a| a.1), self.examples());
        text
    }

    /// The names of intents, and for each how often it was found to be which.
    pub fn confusion(&self) -> (Vec<String>, Vec<Vec<usize>>) {
        let names: Vec<String> = self.intents.keys().cloned().collect();
        let count = |a: &String, b: &String| self.pairs.get(&(a.clone(), b.clone())).copied().unwrap_or(0);
        let rows = names.iter().map(|a| names.iter().map(|b| count(a, b)).collect()).collect();
        (names, rows)
    }
}

/// What the encoder understands.
pub fn encoder(encoder: &IntentEncoder, examples: &[Example]) -> Result<Report, JointError> {
    let mut report = Report::default();
    for example in examples {
        report.note(example, &encoder.intent(&example.context(), &example.utterance)?);
    }
    Ok(report)
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
        if report.note(example, &found) && extent == Extent::Turns {
            while !matches!(turn.step(lm, Budget::UNLIMITED)?.state, TurnState::Finished(_)) {}
            report.replies += 1;
            report.replies_right += usize::from(turn.take_text() == example.spoken_reply());
        }
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intent::scene::SceneFacts;

    #[test]
    fn the_report_counts_what_was_expected_and_what_was_found() {
        let mut report = Report::default();
        let mut note = |expected: &str, found: &str| {
            let intent = IntentOutput::parse(expected).unwrap();
            let example = Example {
                scene: SceneFacts::default(),
                utterance: "x".into(),
                intent,
                reply: String::new(),
                slot_words: Vec::new(),
                lane: None,
                raining: None,
                recent: Vec::new(),
            };
            report.note(&example, &IntentOutput::parse(found).unwrap())
        };
        assert!(note("call who=anna;", "call who=anna;"));
        assert!(!note("call who=anna;", "call who=an;"));
        assert!(!note("fan level=up;", "help"));
        assert!(note("fan level=off;", "fan level=off;"));
        assert_eq!((report.with_slots, report.slots_right), (4, 2));
        assert_eq!(report.accuracy(), 0.75);
        // Calls: all found, all right; fan: half found.
        assert_eq!(report.averages(Counts::recall), (0.75, 0.75));
        assert_eq!(report.averages(Counts::precision), (1.0, 1.0));
        let (names, rows) = report.confusion();
        assert_eq!(names, ["call", "fan", "help"]);
        assert_eq!(rows, [[2, 0, 0], [0, 1, 1], [0, 0, 0]]);
        assert!(report.table().contains("weighted average"));
    }
}
