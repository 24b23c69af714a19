//! What "cancel" is about.

use super::{
    polarity::stands_for,
    words::{FILLERS, is, longest, words},
};
use auriga_lm::intent::output::IntentOutput;

/// Which of several actions under way is to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The one that was asked for last.
    Last,
    /// The one that was asked for first.
    First,
    /// All of them.
    All,
    /// The one that these words name.
    Named(Vec<String>),
    /// The one with this intent.
    Intent(String),
}

const VERBS: &str = "cancel|abort|call off|never mind|nevermind|forget about|forget|don't bother with|drop|stop|undo|scrap|end|\
    quit";
const POLITE: &str =
    "please|can you|could you|would you|no|no wait|wait|actually|i want to|i'd like to|ok|okay|sorry|just";
const LAST: &str = "it|that|this|that one|the last one|the last|that please|that again";
const ALL: &str = "everything|all|all of it|all of them|all of that|both|both of them|them all|them|it all|the lot";

/// What is ended by an intent of its own.
const OWN_END: &str = "music|song|songs|radio|track|playing|call|calling|phone|telephone|heating|fan";

/// What a request to end an action is about; `None` if it is no such request.
pub fn target(text: &str) -> Option<Target> {
    let mut all = words(text);
    while all.last().is_some_and(|w| ["please", "thanks", "now"].contains(&w.as_str())) {
        all.pop();
    }
    let mut rest = &all[..];
    loop {
        match longest(rest, POLITE) {
            Some(length) => rest = &rest[length..],
            None if is(rest.first(), FILLERS) => rest = &rest[1..],
            None => break,
        }
    }
    let ends = is(rest.first(), "stop|end|quit");
    rest = &rest[longest(rest, VERBS)?..];
    // Music and calls have intents of their own that end them, under way or not.
    if ends && rest.iter().any(|word| is(Some(word), OWN_END)) {
        return None;
    }
    let whole = |list: &str| longest(rest, list) == Some(rest.len());
    Some(match () {
        () if rest.is_empty() || whole(LAST) => Target::Last,
        () if whole(ALL) => Target::All,
        () if whole("the first one|the first") => Target::First,
        () => Target::Named(rest.to_vec()),
    })
}

impl Target {
    /// Which of these intents, oldest first, are to end.
    pub fn of(&self, intents: &[&IntentOutput]) -> Vec<usize> {
        let last = intents.len().checked_sub(1);
        match self {
            Self::Last => last.into_iter().collect(),
            Self::First => last.map(|_| 0).into_iter().collect(),
            Self::All => (0..intents.len()).collect(),
            Self::Intent(name) => (0..intents.len()).rev().find(|i| intents[*i].name == *name).into_iter().collect(),
            Self::Named(words) => (0..intents.len()).rev().find(|i| names(words, intents[*i])).into_iter().collect(),
        }
    }
}

/// Whether the words name an intent: what it does, or a value of it.
fn names(words: &[String], intent: &IntentOutput) -> bool {
    words.iter().any(|word| {
        let is_value = |value: &str| value.split(' ').any(|part| part == word && part.len() > 2 && part != "the");
        stands_for(&intent.name, word) || intent.slots.iter().any(|(_, value)| is_value(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancel_ends_the_one_that_is_meant() {
        let call = IntentOutput::new("call", &[("who", "anna")]);
        let way = IntentOutput::new("navigate_to", &[("place", "the harbour")]);
        let music = IntentOutput::new("play_music", &[("what", "jazz")]);
        let under_way = [&call, &way, &music];
        for (text, expected) in [
            ("cancel", vec![2]),
            ("cancel that please", vec![2]),
            ("no wait cancel it", vec![2]),
            ("never mind", vec![2]),
            ("cancel the call", vec![0]),
            ("forget about the harbour", vec![1]),
            ("could you cancel the navigation", vec![1]),
            ("stop the navigation", vec![1]),
            ("cancel the first one", vec![0]),
            ("cancel everything", vec![0, 1, 2]),
            ("cancel the window", vec![]),
        ] {
            assert_eq!(target(text).map(|t| t.of(&under_way)), Some(expected), "{text}");
        }
        for text in [
            "call anna",
            "stop the music",
            "please stop calling anna",
            "end the call",
            "play some jazz",
            "",
            "i want to go home",
        ] {
            assert_eq!(target(text), None, "{text}");
        }
        assert_eq!(Target::Last.of(&[]), [0usize; 0]);
    }
}
