//! Accuracy of intents, slots and replies on examples with known answers (`auriga-lm eval`).

use crate::{
    decoder::{sample::Sampling, session::Budget},
    dialogue::{
        error::LmError,
        turn::{Lm, TurnState},
    },
    intent::{
        classifier::{ClassifierError, IntentClassifier, calibration},
        output::IntentOutput,
    },
    training::corpus::Example,
};
use std::collections::BTreeMap;

/// An example whose intent or slots were predicted wrongly.
#[derive(Debug, Clone)]
pub struct Misread {
    /// The utterance.
    pub utterance: String,
    /// The correct intent with its slots, as text.
    pub expected: String,
    /// The predicted intent with its slots, as text.
    pub predicted: String,
    /// Confidence of the prediction, 0 to 1.
    pub confidence: f64,
}

/// Counts for one intent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Examples whose correct intent it is.
    pub support: usize,
    /// Times it was predicted.
    pub predicted: usize,
    /// Times it was predicted correctly.
    pub correct: usize,
}

impl Counts {
    /// Correct predictions over all predictions of this intent, 0 to 1.
    pub fn precision(&self) -> f64 {
        ratio(self.correct, self.predicted)
    }

    /// Correct predictions over all examples of this intent, 0 to 1.
    pub fn recall(&self) -> f64 {
        ratio(self.correct, self.support)
    }

    /// The harmonic mean of precision and recall, 0 to 1.
    pub fn f1(&self) -> f64 {
        ratio(2 * self.correct, self.predicted + self.support)
    }
}

fn ratio(part: usize, total: usize) -> f64 {
    if total == 0 { 0.0 } else { part as f64 / total as f64 }
}

/// The results for a set of examples.
#[derive(Debug, Default)]
pub struct Report {
    /// Counts by intent name.
    pub intents: BTreeMap<String, Counts>,
    /// The confusion matrix: counts by (expected, predicted) intent name.
    pub confusions: BTreeMap<(String, String), usize>,
    /// The confidence of each predicted intent, and whether it was correct.
    pub confidences: Vec<(f64, bool)>,
    /// Examples with slots.
    pub with_slots: usize,
    /// Examples with slots whose intent and slots are all correct.
    pub slots_correct: usize,
    /// Replies compared.
    pub replies: usize,
    /// Replies that equal the expected text.
    pub replies_correct: usize,
    /// The examples that were predicted wrongly.
    pub errors: Vec<Misread>,
}

impl Report {
    /// The number of examples.
    pub fn examples(&self) -> usize {
        self.intents.values().map(|c| c.support).sum()
    }

    /// The share of examples whose intent is correct, 0 to 1.
    pub fn accuracy(&self) -> f64 {
        ratio(self.intents.values().map(|c| c.correct).sum(), self.examples())
    }

    /// Of the examples with slots, the share whose intent and slots are all correct, 0 to 1.
    pub fn slot_accuracy(&self) -> f64 {
        ratio(self.slots_correct, self.with_slots)
    }

    /// The share of compared replies that equal the expected text, 0 to 1.
    pub fn reply_accuracy(&self) -> f64 {
        ratio(self.replies_correct, self.replies)
    }

    /// Counts an example; returns whether intent and slots are correct.
    fn add(&mut self, example: &Example, predicted: &IntentOutput) -> bool {
        let (expected, correct) = (&example.intent, example.intent.name == predicted.name);
        self.intents.entry(expected.name.clone()).or_default().support += 1;
        self.intents.entry(predicted.name.clone()).or_default().predicted += 1;
        self.intents.entry(predicted.name.clone()).or_default().correct += usize::from(correct);
        *self.confusions.entry((expected.name.clone(), predicted.name.clone())).or_default() += 1;
        self.confidences.push((predicted.confidence, correct));
        let same = predicted.to_string() == expected.to_string();
        if !expected.slots.is_empty() {
            self.with_slots += 1;
            self.slots_correct += usize::from(same);
        }
        if !same {
            self.errors.push(Misread {
                utterance: example.utterance.clone(),
                expected: expected.to_string(),
                predicted: predicted.to_string(),
                confidence: predicted.confidence,
            });
        }
        same
    }

    /// The expected calibration error of the confidences, 0 to 1.
    pub fn calibration_error(&self) -> f64 {
        calibration::expected_calibration_error(&self.confidences)
    }

    /// The calibration error that perfectly calibrated confidences would show on as many examples.
    pub fn calibration_noise(&self) -> f64 {
        calibration::sampling_noise(&self.confidences)
    }

    /// A metric averaged over intents: macro average, and average weighted by support. Intents without examples are left
    /// out.
    pub fn averages(&self, metric: impl Fn(&Counts) -> f64) -> (f64, f64) {
        let supported: Vec<&Counts> = self.intents.values().filter(|c| c.support > 0).collect();
        let weighted: f64 = supported.iter().map(|c| metric(c) * c.support as f64).sum();
        let plain: f64 = supported.iter().map(|c| metric(c)).sum();
        (plain / supported.len().max(1) as f64, weighted / self.examples().max(1) as f64)
    }

    /// Precision, recall and F1 of each intent and their averages, as a text table.
    pub fn table(&self) -> String {
        let mut text = format!("{:<22}{:>11}{:>8}{:>8}{:>9}\n", "intent", "precision", "recall", "F1", "support");
        let mut row = |name: &str, [p, r, f]: [f64; 3], support: usize| {
            text += &format!("{name:<22}{p:>11.3}{r:>8.3}{f:>8.3}{support:>9}\n");
        };
        for (name, c) in &self.intents {
            row(name, [c.precision(), c.recall(), c.f1()], c.support);
        }
        let all = [Counts::precision, Counts::recall, Counts::f1].map(|metric| self.averages(metric));
        row("macro average", all.map(|a| a.0), self.examples());
        row("weighted average", all.map(|a| a.1), self.examples());
        text
    }

    /// Intent names, and the confusion matrix in their order: rows are expected, columns predicted intents.
    pub fn confusion(&self) -> (Vec<String>, Vec<Vec<usize>>) {
        let names: Vec<String> = self.intents.keys().cloned().collect();
        let count = |a: &String, b: &String| self.confusions.get(&(a.clone(), b.clone())).copied().unwrap_or(0);
        let rows = names.iter().map(|a| names.iter().map(|b| count(a, b)).collect()).collect();
        (names, rows)
    }
}

/// Intents and slots by the classifier.
///
/// # Errors
/// The first example that the classifier cannot process.
pub fn classifier(classifier: &IntentClassifier, examples: &[Example]) -> Result<Report, ClassifierError> {
    let mut report = Report::default();
    for example in examples {
        report.add(example, &classifier.intent(&example.context(), &example.utterance)?);
    }
    Ok(report)
}

/// Intents and slots by the decoder, with greedy decoding.
///
/// # Errors
/// The first example that the decoder cannot process.
pub fn intents(lm: &Lm, examples: &[Example]) -> Result<Report, LmError> {
    run(lm, examples, Extent::Intents)
}

/// Intents, slots and replies by the decoder, with greedy decoding.
///
/// # Errors
/// The first example that the decoder cannot process.
pub fn turns(lm: &Lm, examples: &[Example]) -> Result<Report, LmError> {
    run(lm, examples, Extent::Turns)
}

/// Stands in the report for an intent that did not fit into the context.
const INCOMPLETE: &str = "incomplete";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    Intents,
    Turns,
}

fn run(lm: &Lm, examples: &[Example], extent: Extent) -> Result<Report, LmError> {
    let mut report = Report::default();
    for example in examples {
        let mut turn = lm.turn(&example.scene, &example.utterance, Sampling::GREEDY)?;
        let predicted = match turn.understand(lm) {
            Err(LmError::IncompleteIntent { .. }) => {
                IntentOutput { confidence: 0.0, ..IntentOutput::new(INCOMPLETE, &[]) }
            }
            understood => understood?,
        };
        if report.add(example, &predicted) && extent == Extent::Turns {
            while !matches!(turn.step(lm, Budget::UNLIMITED)?.state, TurnState::Finished(_)) {}
            report.replies += 1;
            report.replies_correct += usize::from(turn.take_text() == example.spoken_reply());
        }
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intent::scene::SceneFacts;

    #[test]
    fn report_counts_expected_and_predicted_intents() {
        let mut report = Report::default();
        let mut add = |expected: &str, found: &str| {
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
            report.add(&example, &IntentOutput::parse(found).unwrap())
        };
        assert!(add("call who=anna;", "call who=anna;"));
        assert!(!add("call who=anna;", "call who=an;"));
        assert!(!add("fan level=up;", "help"));
        assert!(add("fan level=off;", "fan level=off;"));
        assert_eq!((report.with_slots, report.slots_correct), (4, 2));
        assert_eq!(report.accuracy(), 0.75);
        assert_eq!(report.averages(Counts::recall), (0.75, 0.75));
        assert_eq!(report.averages(Counts::precision), (1.0, 1.0));
        let (names, rows) = report.confusion();
        assert_eq!(names, ["call", "fan", "help"]);
        assert_eq!(rows, [[2, 0, 0], [0, 1, 1], [0, 0, 0]]);
        assert!(report.table().contains("weighted average"));
    }
}
