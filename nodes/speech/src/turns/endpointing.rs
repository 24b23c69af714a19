//! Endpointing: how long a silence ends a turn. After words that ask for more ("navigate to the", "twenty") it is longer.

use std::time::Duration;

/// The words are checked this long before the silence would end the turn.
const CHECK_AHEAD: Duration = Duration::from_millis(40);

/// A request is incomplete after these words.
const INCOMPLETE_AFTER: [&str; 44] = [
    "to", "the", "a", "an", "and", "or", "of", "for", "in", "on", "at", "with", "from", "by", "about", "my", "your",
    "our", "some", "is", "are", "was", "it's", "what's", "i'm", "i", "we", "set", "call", "navigate", "can", "could",
    "would", "please", "how", "what", "where", "when", "which", "who", "than", "nearest", "next", "that",
];
/// After these numbers another digit may follow.
const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

/// Whether a text ends in words that ask for more.
pub fn is_incomplete(text: &str) -> bool {
    let last = text.split_whitespace().next_back();
    last.is_some_and(|word| INCOMPLETE_AFTER.contains(&word) || TENS.contains(&word))
}

/// What to do about the turn under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointAction {
    /// Use the normal end silence again: the speaker went on.
    Restore,
    /// The turn is about to end: use the longer end silence if the text is incomplete.
    CheckText,
}

/// Decides when the text of a turn is checked: once in each pause.
#[derive(Debug)]
pub struct Endpointer {
    end_silence: Duration,
    checked: bool,
}

impl Endpointer {
    /// `end_silence`: the silence that ends a complete request.
    pub fn new(end_silence: Duration) -> Self {
        Self { end_silence, checked: false }
    }

    /// A turn begins.
    pub fn reset(&mut self) {
        self.checked = false;
    }

    /// Takes the trailing silence of the turn under way; `None` outside of a turn.
    pub fn update(&mut self, silence: Option<Duration>) -> Option<EndpointAction> {
        if silence.is_none_or(|silence| silence + CHECK_AHEAD < self.end_silence) {
            return std::mem::take(&mut self.checked).then_some(EndpointAction::Restore);
        }
        (!std::mem::replace(&mut self.checked, true)).then_some(EndpointAction::CheckText)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_incomplete_after_words_that_ask_for_more() {
        for text in ["navigate to the", "set the temperature to twenty", "call"] {
            assert!(is_incomplete(text), "{text}");
        }
        for text in ["", "call anna", "set the temperature to twenty one", "stop"] {
            assert!(!is_incomplete(text), "{text}");
        }
    }

    #[test]
    fn the_text_is_checked_once_in_each_pause() {
        let mut endpointer = Endpointer::new(Duration::from_millis(200));
        let mut update = |ms| endpointer.update(Some(Duration::from_millis(ms)));
        assert_eq!(update(140), None);
        assert_eq!(update(160), Some(EndpointAction::CheckText));
        assert_eq!(update(180), None);
        assert_eq!(update(0), Some(EndpointAction::Restore));
        assert_eq!(update(160), Some(EndpointAction::CheckText));
    }
}
