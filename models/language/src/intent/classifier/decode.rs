//! From what the heads say to an [`IntentOutput`] that keeps to the catalogue: the likeliest intent that can be completed.

use crate::intent::{
    catalogue::{Catalogue, Intent, OUT_OF_SCOPE, Slot, SlotKind},
    classifier::heads::{Layout, OUTSIDE},
    number_words,
    output::IntentOutput,
};

/// What the heads say of one utterance.
pub struct Heard<'a> {
    pub words: &'a [&'a str],
    /// The probability of each intent of the layout.
    pub intents: &'a [f64],
    /// For each word the log-probability of each tag.
    pub tags: &'a [Vec<f64>],
    /// For each choice of the layout the probability of "none" and of each value.
    pub choices: &'a [Vec<f64>],
}

/// A text slot holds at most this many words, as the decoder's does.
const MAX_SPAN_WORDS: usize = 8;

/// Intents by descending probability; of equal ones the first of the layout is first.
pub fn ranking(probabilities: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|a, b| probabilities[*b].total_cmp(&probabilities[*a]).then(a.cmp(b)));
    order
}

/// The likeliest intent whose slots can be filled from the words; `out_of_scope`, which every catalogue has and which
/// needs none, where no intent reaches the probability `reject_below`.
pub fn read(layout: &Layout, catalogue: &Catalogue, heard: &Heard<'_>, reject_below: f64) -> IntentOutput {
    let order = ranking(heard.intents);
    if let Some(best) = order.first().map(|i| heard.intents[*i])
        && best < reject_below
    {
        return IntentOutput { name: OUT_OF_SCOPE.into(), slots: Vec::new(), confidence: 1.0 - best };
    }
    let complete = |i: &usize| {
        let intent = catalogue.get(&layout.intents[*i])?;
        let (slots, sureness) = fill(layout, intent, heard)?;
        Some(IntentOutput { name: intent.name.clone(), slots, confidence: heard.intents[*i] * sureness })
    };
    let nothing = IntentOutput { name: OUT_OF_SCOPE.into(), slots: Vec::new(), confidence: 0.0 };
    order.iter().find_map(complete).unwrap_or(nothing)
}

/// A value and where it stands; slots without words come last.
struct Filled {
    from: usize,
    name: String,
    value: String,
}

/// The slots of an intent, in the order in which they were said, and how sure it is that a needed one was said at all.
/// None where a needed one was not.
fn fill(layout: &Layout, intent: &Intent, heard: &Heard<'_>) -> Option<(Vec<(String, String)>, f64)> {
    let (mut filled, mut sureness): (Vec<Filled>, f64) = (Vec::new(), 1.0);
    let mut taken = vec![false; heard.words.len()];
    for slot in &intent.slots {
        let found = match &slot.kind {
            SlotKind::Choice(values) => choose(layout, intent, slot, values, heard).map(|v| (heard.words.len(), v)),
            SlotKind::Text | SlotKind::Integer { .. } => {
                let begins = layout.begins(&slot.name)?;
                best_span(heard, begins, &taken).filter(|span| slot.required || span.score > 0.0).and_then(|span| {
                    sureness *= span.score.min(0.0).exp();
                    let value = value(&slot.kind, heard.words, &span)?;
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
    Some((filled.into_iter().map(|f| (f.name, f.value)).collect(), sureness))
}

/// The likeliest value; none where "none" is likelier and may be.
fn choose(layout: &Layout, intent: &Intent, slot: &Slot, values: &[String], heard: &Heard<'_>) -> Option<String> {
    let which = layout.choices.iter().position(|c| c.intent == intent.name && c.slot == slot.name)?;
    let probabilities = heard.choices.get(which)?;
    let order = ranking(probabilities);
    let best = order.into_iter().find(|i| *i > 0 || !slot.required)?;
    best.checked_sub(1).and_then(|i| values.get(i)).cloned()
}

/// Words `from..to`, and by how much it is likelier (in logarithms) that they are the slot than that they are outside.
struct Span {
    from: usize,
    to: usize,
    score: f64,
}

fn best_span(heard: &Heard<'_>, begins: usize, taken: &[bool]) -> Option<Span> {
    let gain = |word: usize, tag: usize| heard.tags[word][tag] - heard.tags[word][OUTSIDE];
    let mut best: Option<Span> = None;
    for from in 0..heard.tags.len() {
        let mut score = 0.0;
        for to in from + 1..=heard.tags.len().min(from + MAX_SPAN_WORDS) {
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

/// What a slot holds when these words are its own. A number that is out of bounds is none: nothing is set to a value that
/// was not said.
fn value(kind: &SlotKind, words: &[&str], span: &Span) -> Option<String> {
    let said = &words[span.from..span.to];
    if matches!(kind, SlotKind::Text) {
        return Some(said.join(" "));
    }
    let number = match number_words::first(said) {
        Some((before, ..)) => number_words::first(&words[span.from + before..]).map(|(_, _, value)| value),
        None => match number_words::all(words)[..] {
            [only] => Some(only),
            _ => None,
        },
    };
    number.map(|n| n.to_string()).filter(|n| kind.check(n).is_ok())
}
