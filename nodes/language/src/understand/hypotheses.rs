//! What was said may have been heard in several ways: where the first reading is not clear, the others are tried.

use crate::{IntentTask, LanguageNode};
use auriga_lm::{
    catalogue::OUT_OF_SCOPE,
    prompt::{IntentOutput, clean_utterance},
};
use auriga_msgs::v1;
use auriga_runtime::{Nanos, Outbox};

/// Other readings that are tried, at most.
const MAX_ALTERNATIVES: usize = 2;
/// From this confidence on the first reading stands.
const CONFIDENT: f64 = 0.6;
/// Another reading counts when it is surer than the best before by this much.
const MARGIN: f64 = 0.2;

/// The other readings of an utterance, the likeliest last.
pub(crate) fn others(utterance: &v1::Utterance, most_chars: usize) -> Vec<String> {
    let first = clean_utterance(&utterance.text);
    let texts = utterance.alternatives.iter().map(|reading| &reading.text);
    let differ = texts.filter(|text| {
        let clean = clean_utterance(text);
        !clean.is_empty() && clean != first && text.chars().count() <= most_chars
    });
    let mut others: Vec<String> = differ.take(MAX_ALTERNATIVES).cloned().collect();
    others.reverse();
    others
}

impl LanguageNode {
    /// The best reading so far with its intent; `None` while another one is being worked out.
    pub(crate) fn best_reading(
        &mut self,
        mut work: IntentTask,
        output: IntentOutput,
        now: Nanos,
        out: &mut Outbox<Self>,
    ) -> Option<(IntentTask, IntentOutput)> {
        let (text, output) = match work.best.take() {
            Some(best) if !is_better(&output, &best.1) => best,
            _ => (work.ask.text.clone(), output),
        };
        let next = if output.confidence < CONFIDENT { work.heard.others.pop() } else { None };
        (work.ask.text, work.heard.text) = (text.clone(), text.clone());
        let (Some(next), Ok(engine)) = (next, &mut self.model) else { return Some((work, output)) };
        work.best = Some((text, output));
        work.ask.text = next;
        match engine.begin_intent(&work.ask) {
            Ok(()) => self.intent = Some(work),
            Err(e) => self.model_failed(&work.heard, &e, now, out),
        }
        None
    }
}

fn is_better(one: &IntentOutput, than: &IntentOutput) -> bool {
    one.name != OUT_OF_SCOPE && one.confidence >= than.confidence + MARGIN
}
