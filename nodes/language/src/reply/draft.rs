//! The reply under way: what the model says becomes sentences, and only a sentence that can be vouched for is said.
//!
//! A small model may write a number that is nobody's, or call Tom where Anna was asked for. So text is held back until
//! its sentence is whole, every number in it has been found among the scene's values and the utterance's slots, and the
//! first sentence names what was asked for; otherwise a plain sentence made from the facts takes its place and the reply
//! ends. Sentences are also what the loudspeaker needs, so nothing is lost by waiting.

use crate::{
    engine::interface::ModelInput,
    reply::canned::CannedResponses,
    understand::{
        facts,
        numbers::{Unit, numbers},
    },
};
use auriga_lm::intent::output::IntentOutput;
use auriga_msgs::sentence::sentence_end;

/// What has become of a reply with a new piece of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DraftOutput {
    /// No sentence is whole yet.
    Incomplete,
    /// One or more sentences.
    Sentences(String),
    /// The last of it, and whether the plain sentence had to step in.
    Final { text: String, replaced: bool },
}

/// A reply that the model is working on.
#[derive(Debug)]
pub struct Draft {
    ask: ModelInput,
    intent: IntentOutput,
    values: Vec<(f64, Unit)>,
    /// Words of the utterance that the first sentence has to name, in lower case.
    named: Vec<String>,
    /// Words the reply may have.
    max_words: usize,
    said_words: usize,
    /// Text whose sentence is not whole.
    pending: String,
}

impl Draft {
    /// `spoken`: the slots of the intent that hold words of the utterance.
    pub fn new(ask: ModelInput, intent: IntentOutput, spoken: &[&str], max_words: usize) -> Self {
        let named = spoken.iter().filter_map(|name| intent.slot(name)).map(str::to_lowercase).collect();
        let mut values = facts::values(ask.facts());
        let slots = intent.slots.iter().flat_map(|(_, value)| numbers(value));
        values.extend(slots.map(|n| (n.value, Unit::None)));
        Self { ask, intent, values, named, max_words, said_words: 0, pending: String::new() }
    }

    /// Takes what the model wrote. After [`DraftOutput::Final`] the reply is over, whatever the model would still say.
    pub fn push(&mut self, text: &str, plain: &CannedResponses) -> DraftOutput {
        self.pending.push_str(text);
        let mut sentences = String::new();
        while let Some(end) = sentence_end(&self.pending, |_| false) {
            let rest = self.pending.split_off(end);
            let sentence = std::mem::replace(&mut self.pending, rest);
            match self.check(&sentence) {
                SentenceCheck::Valid => sentences.push_str(&sentence),
                SentenceCheck::TooLong => return self.enough(sentences, plain),
                SentenceCheck::Unsupported => return self.replace(sentences, plain),
            }
        }
        let words = self.said_words + word_count(&self.pending);
        if self.said_words >= self.max_words || words > self.max_words {
            return self.enough(sentences, plain);
        }
        if sentences.is_empty() { DraftOutput::Incomplete } else { DraftOutput::Sentences(sentences) }
    }

    /// The model has ended.
    pub fn finish(&mut self, plain: &CannedResponses) -> DraftOutput {
        let rest = std::mem::take(&mut self.pending);
        if rest.trim().is_empty() {
            return self.enough(String::new(), plain);
        }
        match self.check(&rest) {
            SentenceCheck::Valid => DraftOutput::Final { text: rest, replaced: false },
            SentenceCheck::TooLong => self.enough(String::new(), plain),
            SentenceCheck::Unsupported => self.replace(String::new(), plain),
        }
    }

    /// Whether there is room for the sentence, every number in it is somebody's, and the first names what was asked for.
    fn check(&mut self, sentence: &str) -> SentenceCheck {
        let words = word_count(sentence);
        if self.said_words + words > self.max_words {
            return SentenceCheck::TooLong;
        }
        let lower = sentence.to_lowercase();
        let names_it = self.said_words > 0 || self.named.iter().all(|name| lower.contains(name));
        if !names_it || !numbers(sentence).iter().all(|n| facts::is_one_of(n, &self.values)) {
            return SentenceCheck::Unsupported;
        }
        self.said_words += words;
        SentenceCheck::Valid
    }

    /// The reply ends with what is said; a sentence that does not fit is never said in part. A reply of nothing is none.
    fn enough(&self, text: String, plain: &CannedResponses) -> DraftOutput {
        match self.said_words {
            0 => self.replace(text, plain),
            _ => DraftOutput::Final { text, replaced: false },
        }
    }

    fn replace(&self, mut text: String, plain: &CannedResponses) -> DraftOutput {
        text.push_str(&plain.sentence(&self.intent, self.ask.facts()));
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

/// How long a reply may be: the more the driving takes of the driver, the shorter. An unknown load counts as a high one.
pub fn max_words(load: Option<f64>, calm: usize, busy: usize) -> usize {
    let load = load.filter(|l| (0.0..=1.0).contains(l)).unwrap_or(1.0);
    let words = calm as f64 + (busy as f64 - calm as f64) * load;
    (words.round() as usize).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use auriga_lm::intent::{catalogue::Catalogue, classifier::context::Context, scene::SceneFacts};
    use proptest::prelude::*;

    fn plain() -> CannedResponses {
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
    fn a_sentence_is_said_once_it_is_whole() {
        let plain = plain();
        let mut d = draft("range_query", &[], 40);
        assert_eq!(d.push("You can go 212", &plain), DraftOutput::Incomplete);
        assert_eq!(d.push(" kilometres.", &plain), DraftOutput::Incomplete);
        assert_eq!(d.push(" The battery", &plain), DraftOutput::Sentences("You can go 212 kilometres. ".into()));
        assert_eq!(d.push(" is at 64 percent.", &plain), DraftOutput::Incomplete);
        assert_eq!(d.finish(&plain), last("The battery is at 64 percent.", false));
    }

    #[test]
    fn a_number_that_is_nobodys_is_never_said() {
        let plain = plain();
        for wrong in ["You can go 300 kilometres.", "You can go 64 kilometres.", "Two hundred and thirteen kilometres."]
        {
            let mut d = draft("range_query", &[], 40);
            assert_eq!(d.push(wrong, &plain), DraftOutput::Incomplete);
            assert_eq!(d.finish(&plain), last("The range is 212 kilometres.", true), "{wrong}");
        }
        let mut d = draft("range_query", &[], 40);
        assert_eq!(
            d.push("Sure. That is 99 km. And more", &plain),
            last("Sure. The range is 212 kilometres.", true),
            "what was right before it is said"
        );
    }

    #[test]
    fn a_slot_may_be_said_in_figures_and_in_words() {
        let plain = plain();
        for text in ["Setting it to 21 degrees.", "Setting it to twenty one degrees."] {
            let mut d = draft("set_temperature", &[("degrees", "21")], 40);
            d.push(text, &plain);
            assert_eq!(d.finish(&plain), last(text, false));
        }
    }

    #[test]
    fn the_reply_names_whom_the_driver_named() {
        let plain = plain();
        let mut d = draft("call", &[("who", "anna")], 40);
        assert_eq!(d.push("Calling Tom. One", &plain), last("I will call anna.", true));
        let mut d = draft("call", &[("who", "anna")], 40);
        assert_eq!(d.push("Calling Anna. One", &plain), DraftOutput::Sentences("Calling Anna. ".into()));
        assert_eq!(d.push(" moment.", &plain), DraftOutput::Incomplete);
        assert_eq!(d.finish(&plain), last("One moment.", false));
    }

    #[test]
    fn a_reply_ends_where_it_is_long_enough_and_never_within_a_sentence() {
        let plain = plain();
        let mut d = draft("greeting", &[], 5);
        assert_eq!(d.push("Hello there. How are you today my friend", &plain), last("Hello there. ", false));
        let mut d = draft("greeting", &[], 5);
        assert_eq!(d.push("well well well well well well well", &plain), last("Hello.", true));
        let mut d = draft("greeting", &[], 5);
        assert_eq!(d.push("", &plain), DraftOutput::Incomplete);
        assert_eq!(d.finish(&plain), last("Hello.", true), "an empty reply is no reply");
    }

    #[test]
    fn the_busier_the_driver_the_shorter_the_reply() {
        assert_eq!(max_words(Some(0.0), 40, 12), 40);
        assert_eq!(max_words(Some(0.5), 40, 12), 26);
        for unknown in [None, Some(f64::NAN), Some(-2.0), Some(1.0)] {
            assert_eq!(max_words(unknown, 40, 12), 12);
        }
    }

    proptest! {
        #[test]
        fn however_the_text_is_cut_into_pieces_the_reply_is_the_same(
            cuts in prop::collection::vec(0usize..80, 0..12),
            text in "([A-Z]?[a-z]{1,6}( 212 km| 64 percent| 300 km)?[.!]? ){1,12}",
        ) {
            let plain = plain();
            let whole = |pieces: Vec<&str>| {
                let mut d = draft("range_query", &[], 14);
                let mut said = String::new();
                for piece in pieces {
                    match d.push(piece, &plain) {
                        DraftOutput::Incomplete => {}
                        DraftOutput::Sentences(s) => said.push_str(&s),
                        DraftOutput::Final { text, .. } => return said + &text,
                    }
                }
                match d.finish(&plain) {
                    DraftOutput::Final { text, .. } => said + &text,
                    other => panic!("{other:?}"),
                }
            };
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(text.len())).chain([0, text.len()]).collect();
            cuts.sort();
            let pieces = cuts.windows(2).map(|w| &text[w[0]..w[1]]).collect();
            prop_assert_eq!(whole(pieces), whole(vec![&text]));
        }
    }
}
