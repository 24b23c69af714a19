//! The check of the model's reply, sentence by sentence.
//!
//! A small model may state a wrong number, or confirm a call to Tom where Anna was asked for. So text is withheld until
//! its sentence is complete. Every number in it must be a value of the scene or of a slot, and the first sentence must name
//! what the driver named; otherwise a canned response made from the facts replaces the sentence and the reply ends. Speech
//! synthesis needs complete sentences anyway, so waiting costs no time.

use super::canned::CannedResponses;
use crate::{
    engine::interface::ModelInput,
    understand::{
        facts,
        numbers::{Unit, numbers},
    },
};
use auriga_lm::intent::output::IntentOutput;
use auriga_msgs::sentence::sentence_end;

/// What can be said after a new piece of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DraftOutput {
    /// Nothing: no further sentence is complete.
    Incomplete,
    /// One or more complete sentences.
    Sentences(String),
    /// The end of the reply.
    Final {
        /// The last sentences; may be empty.
        text: String,
        /// Whether a canned response replaces what the model wrote.
        replaced: bool,
    },
}

/// A reply that the model is writing.
#[derive(Debug)]
pub struct Draft {
    input: ModelInput,
    intent: IntentOutput,
    values: Vec<(f64, Unit)>,
    /// Slot values that the first sentence must contain, in lower case.
    named: Vec<String>,
    /// Limit of the reply, in words.
    max_words: usize,
    /// Words of the sentences that were returned.
    said_words: usize,
    /// The beginning of the next sentence.
    pending: String,
}

impl Draft {
    /// A reply to `intent`. `spoken`: the slots that hold words of the utterance; `max_words`: limit of the reply.
    pub fn new(input: ModelInput, intent: IntentOutput, spoken: &[&str], max_words: usize) -> Self {
        let named = spoken.iter().filter_map(|name| intent.slot(name)).map(str::to_lowercase).collect();
        let mut values = facts::values(input.facts());
        let slots = intent.slots.iter().flat_map(|(_, value)| numbers(value));
        values.extend(slots.map(|n| (n.value, Unit::None)));
        Self { input, intent, values, named, max_words, said_words: 0, pending: String::new() }
    }

    /// Adds text of the model. After [`DraftOutput::Final`] the reply has ended and further text must not be added.
    pub fn push(&mut self, text: &str, canned: &CannedResponses) -> DraftOutput {
        self.pending.push_str(text);
        let mut sentences = String::new();
        while let Some(end) = sentence_end(&self.pending, |_| false) {
            let rest = self.pending.split_off(end);
            let sentence = std::mem::replace(&mut self.pending, rest);
            match self.check(&sentence) {
                SentenceCheck::Valid => sentences.push_str(&sentence),
                SentenceCheck::TooLong => return self.end(sentences, canned),
                SentenceCheck::Unsupported => return self.replace(sentences, canned),
            }
        }
        let words = self.said_words + word_count(&self.pending);
        if self.said_words >= self.max_words || words > self.max_words {
            return self.end(sentences, canned);
        }
        if sentences.is_empty() { DraftOutput::Incomplete } else { DraftOutput::Sentences(sentences) }
    }

    /// The model has ended the reply. Returns [`DraftOutput::Final`].
    pub fn finish(&mut self, canned: &CannedResponses) -> DraftOutput {
        let rest = std::mem::take(&mut self.pending);
        if rest.trim().is_empty() {
            return self.end(String::new(), canned);
        }
        match self.check(&rest) {
            SentenceCheck::Valid => DraftOutput::Final { text: rest, replaced: false },
            SentenceCheck::TooLong => self.end(String::new(), canned),
            SentenceCheck::Unsupported => self.replace(String::new(), canned),
        }
    }

    /// Checks the length of a sentence, the source of its numbers and, in the first sentence, the values it must contain.
    fn check(&mut self, sentence: &str) -> SentenceCheck {
        let words = word_count(sentence);
        if self.said_words + words > self.max_words {
            return SentenceCheck::TooLong;
        }
        let lower = sentence.to_lowercase();
        let has_names = self.said_words > 0 || self.named.iter().all(|name| lower.contains(name));
        if !has_names || !numbers(sentence).iter().all(|n| facts::is_one_of(n, &self.values)) {
            return SentenceCheck::Unsupported;
        }
        self.said_words += words;
        SentenceCheck::Valid
    }

    /// Ends the reply before the next sentence, which is too long. A reply without any sentence is replaced.
    fn end(&self, text: String, canned: &CannedResponses) -> DraftOutput {
        match self.said_words {
            0 => self.replace(text, canned),
            _ => DraftOutput::Final { text, replaced: false },
        }
    }

    /// Ends the reply with the canned response.
    fn replace(&self, mut text: String, canned: &CannedResponses) -> DraftOutput {
        text.push_str(&canned.sentence(&self.intent, self.input.facts()));
        DraftOutput::Final { text, replaced: true }
    }
}

enum SentenceCheck {
    Valid,
    TooLong,
    Unsupported,
}

fn word_count(text: &str) -> usize {
    text.split_whitespace().count()
}

/// The limit of a reply in words, interpolated between `low` and `high`, the limits at a driving load of 0 and of 1. An
/// unknown load counts as 1.
pub fn max_words(load: Option<f64>, low: usize, high: usize) -> usize {
    let load = load.filter(|l| (0.0..=1.0).contains(l)).unwrap_or(1.0);
    let words = low as f64 + (high as f64 - low as f64) * load;
    (words.round() as usize).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use auriga_lm::intent::{catalogue::Catalogue, classifier::context::Context, scene::SceneFacts};
    use proptest::prelude::*;

    fn canned() -> CannedResponses {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/language/intents.toml");
        CannedResponses::new(&Catalogue::load(path).unwrap()).unwrap()
    }

    fn draft(name: &str, slots: &[(&str, &str)], max_words: usize) -> Draft {
        let scene = SceneFacts { range_km: Some(212.4), battery: Some(0.64), ..Default::default() };
        let context = Context { scene, ..Default::default() };
        Draft::new(
            ModelInput { text: String::new(), context },
            IntentOutput::new(name, slots),
            &["who", "what"],
            max_words,
        )
    }

    fn last(text: &str, replaced: bool) -> DraftOutput {
        DraftOutput::Final { text: text.into(), replaced }
    }

    #[test]
    fn a_sentence_is_returned_once_it_is_complete() {
        let canned = canned();
        let mut d = draft("range_query", &[], 40);
        assert_eq!(d.push("You can go 212", &canned), DraftOutput::Incomplete);
        assert_eq!(d.push(" kilometres.", &canned), DraftOutput::Incomplete);
        assert_eq!(d.push(" The battery", &canned), DraftOutput::Sentences("You can go 212 kilometres. ".into()));
        assert_eq!(d.push(" is at 64 percent.", &canned), DraftOutput::Incomplete);
        assert_eq!(d.finish(&canned), last("The battery is at 64 percent.", false));
    }

    #[test]
    fn a_sentence_with_a_wrong_number_is_replaced() {
        let canned = canned();
        for wrong in ["You can go 300 kilometres.", "You can go 64 kilometres.", "Two hundred and thirteen kilometres."]
        {
            let mut d = draft("range_query", &[], 40);
            assert_eq!(d.push(wrong, &canned), DraftOutput::Incomplete);
            assert_eq!(d.finish(&canned), last("The range is 212 kilometres.", true), "{wrong}");
        }
        let mut d = draft("range_query", &[], 40);
        assert_eq!(
            d.push("Sure. That is 99 km. And more", &canned),
            last("Sure. The range is 212 kilometres.", true),
            "the valid sentence before it is returned"
        );
    }

    #[test]
    fn slot_values_are_accepted_in_figures_and_in_words() {
        let canned = canned();
        for text in ["Setting it to 21 degrees.", "Setting it to twenty one degrees."] {
            let mut d = draft("set_temperature", &[("degrees", "21")], 40);
            d.push(text, &canned);
            assert_eq!(d.finish(&canned), last(text, false));
        }
    }

    #[test]
    fn the_first_sentence_must_contain_the_name_of_the_request() {
        let canned = canned();
        let mut d = draft("call", &[("who", "anna")], 40);
        assert_eq!(d.push("Calling Tom. One", &canned), last("I will call anna.", true));
        let mut d = draft("call", &[("who", "anna")], 40);
        assert_eq!(d.push("Calling Anna. One", &canned), DraftOutput::Sentences("Calling Anna. ".into()));
        assert_eq!(d.push(" moment.", &canned), DraftOutput::Incomplete);
        assert_eq!(d.finish(&canned), last("One moment.", false));
    }

    #[test]
    fn a_reply_ends_at_the_word_limit_with_a_complete_sentence() {
        let canned = canned();
        let mut d = draft("greeting", &[], 5);
        assert_eq!(d.push("Hello there. How are you today my friend", &canned), last("Hello there. ", false));
        let mut d = draft("greeting", &[], 5);
        assert_eq!(d.push("well well well well well well well", &canned), last("Hello.", true));
        let mut d = draft("greeting", &[], 5);
        assert_eq!(d.push("", &canned), DraftOutput::Incomplete);
        assert_eq!(d.finish(&canned), last("Hello.", true), "an empty reply is replaced");
    }

    #[test]
    fn the_word_limit_falls_with_the_driving_load() {
        assert_eq!(max_words(Some(0.0), 40, 12), 40);
        assert_eq!(max_words(Some(0.5), 40, 12), 26);
        for unknown in [None, Some(f64::NAN), Some(-2.0), Some(1.0)] {
            assert_eq!(max_words(unknown, 40, 12), 12);
        }
    }

    proptest! {
        #[test]
        fn the_reply_does_not_depend_on_how_the_text_is_cut_into_pieces(
            cuts in prop::collection::vec(0usize..80, 0..12),
            text in "([A-Z]?[a-z]{1,6}( 212 km| 64 percent| 300 km)?[.!]? ){1,12}",
        ) {
            let canned = canned();
            let complete = |pieces: Vec<&str>| {
                let mut d = draft("range_query", &[], 14);
                let mut said = String::new();
                for piece in pieces {
                    match d.push(piece, &canned) {
                        DraftOutput::Incomplete => {}
                        DraftOutput::Sentences(s) => said.push_str(&s),
                        DraftOutput::Final { text, .. } => return said + &text,
                    }
                }
                match d.finish(&canned) {
                    DraftOutput::Final { text, .. } => said + &text,
                    other => panic!("{other:?}"),
                }
            };
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(text.len())).chain([0, text.len()]).collect();
            cuts.sort();
            let pieces = cuts.windows(2).map(|w| &text[w[0]..w[1]]).collect();
            prop_assert_eq!(complete(pieces), complete(vec![&text]));
        }
    }
}
