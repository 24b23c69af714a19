//! Decodes the outputs of the heads to an [`IntentOutput`] of the catalogue: the most likely intent whose required slots can be
//! filled.

use crate::intent::{
    catalogue::{Catalogue, Intent, MAX_SPAN_WORDS, OUT_OF_SCOPE, Slot, SlotKind},
    classifier::heads::{Layout, OUTSIDE},
    output::IntentOutput,
};
use auriga_number_words::parse;

/// The outputs of the heads for one utterance.
pub struct HeadOutputs<'a> {
    /// The words of the utterance.
    pub words: &'a [&'a str],
    /// The probability of each intent of the layout.
    pub intents: &'a [f64],
    /// The log-probability of each tag for each word.
    pub tags: &'a [Vec<f64>],
    /// The probability of "none" and of each value, for each choice of the layout.
    pub choices: &'a [Vec<f64>],
}

/// Indices by descending probability; equal ones in their order.
pub fn ranking(probabilities: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|a, b| probabilities[*b].total_cmp(&probabilities[*a]).then(a.cmp(b)));
    order
}

/// The most likely intent whose required slots can be filled from the words; `out_of_scope` if no intent has at least the
/// probability `reject_below`.
pub fn decode(layout: &Layout, catalogue: &Catalogue, outputs: &HeadOutputs<'_>, reject_below: f64) -> IntentOutput {
    let order = ranking(outputs.intents);
    if let Some(best) = order.first().map(|i| outputs.intents[*i])
        && best < reject_below
    {
        return IntentOutput { name: OUT_OF_SCOPE.into(), slots: Vec::new(), confidence: 1.0 - best };
    }
    let complete = |i: &usize| {
        let intent = catalogue.get(&layout.intents[*i])?;
        let (slots, confidence) = fill(layout, intent, outputs)?;
        Some(IntentOutput { name: intent.name.clone(), slots, confidence: outputs.intents[*i] * confidence })
    };
    let none = IntentOutput { name: OUT_OF_SCOPE.into(), slots: Vec::new(), confidence: 0.0 };
    order.iter().find_map(complete).unwrap_or(none)
}

/// A value and the index of its first word; values without words come last.
struct Filled {
    from: usize,
    name: String,
    value: String,
}

/// The slots of an intent in the order in which they were said, and the confidence that the required ones were said. `None` if
/// a required one was not.
fn fill(layout: &Layout, intent: &Intent, outputs: &HeadOutputs<'_>) -> Option<(Vec<(String, String)>, f64)> {
    let (mut filled, mut confidence): (Vec<Filled>, f64) = (Vec::new(), 1.0);
    let mut taken = vec![false; outputs.words.len()];
    for slot in &intent.slots {
        let found = match &slot.kind {
            SlotKind::Choice(values) => choose(layout, intent, slot, values, outputs).map(|v| (outputs.words.len(), v)),
            SlotKind::Text | SlotKind::Integer { .. } => {
                let begins = layout.begins(&slot.name)?;
                best_span(outputs, begins, &taken).filter(|span| slot.required || span.score > 0.0).and_then(|span| {
                    confidence *= span.score.min(0.0).exp();
                    let value = value(&slot.kind, outputs.words, &span)?;
                    taken[span.from..span.to].fill(true);
                    Some((span.from, value))
                })
            }
        };
        match found {
            Some((from, value)) => filled.push(Filled { from, name: slot.name.clone(), value }),
            None if slot.required => return None,
            None => {}
        }
    }
    filled.sort_by_key(|f| f.from);
    Some((filled.into_iter().map(|f| (f.name, f.value)).collect(), confidence))
}

/// The most likely value; `None` if "none" is more likely and the slot is not required.
fn choose(
    layout: &Layout,
    intent: &Intent,
    slot: &Slot,
    values: &[String],
    outputs: &HeadOutputs<'_>,
) -> Option<String> {
    let which = layout.choices.iter().position(|c| c.intent == intent.name && c.slot == slot.name)?;
    let probabilities = outputs.choices.get(which)?;
    let order = ranking(probabilities);
    let best = order.into_iter().find(|i| *i > 0 || !slot.required)?;
    best.checked_sub(1).and_then(|i| values.get(i)).cloned()
}

/// The words `from..to`, and the log-likelihood ratio of the slot's tags against "outside".
struct Span {
    from: usize,
    to: usize,
    score: f64,
}

fn best_span(outputs: &HeadOutputs<'_>, begins: usize, taken: &[bool]) -> Option<Span> {
    let gain = |word: usize, tag: usize| outputs.tags[word][tag] - outputs.tags[word][OUTSIDE];
    let mut best: Option<Span> = None;
    for from in 0..outputs.tags.len() {
        let mut score = 0.0;
        for to in from + 1..=outputs.tags.len().min(from + MAX_SPAN_WORDS) {
            if taken[to - 1] {
                break;
            }
            score += gain(to - 1, if to == from + 1 { begins } else { begins + 1 });
            if best.as_ref().is_none_or(|b| score > b.score) {
                best = Some(Span { from, to, score });
            }
        }
    }
    best
}

/// The value of a slot whose words are the span. `None` for a number out of bounds: nothing is set to a value that was not said.
fn value(kind: &SlotKind, words: &[&str], span: &Span) -> Option<String> {
    let span_words = &words[span.from..span.to];
    if matches!(kind, SlotKind::Text) {
        return Some(span_words.join(" "));
    }
    let number = match parse::first(span_words) {
        Some((before, ..)) => parse::first(&words[span.from + before..]).map(|(_, _, value)| value),
        None => match parse::all(words)[..] {
            [only] => Some(only),
            _ => None,
        },
    };
    number.map(|n| n.to_string()).filter(|n| kind.check(n).is_ok())
}
