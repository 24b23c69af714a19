//! Whether a pause is the end of a request, told from its words so far.

use std::time::Duration;

/// So long before a silence would end the turn its words are looked at.
pub const THINKING: Duration = Duration::from_millis(40);

/// After these words more is to come.
const OPEN: [&str; 44] = [
    "to", "the", "a", "an", "and", "or", "of", "for", "in", "on", "at", "with", "from", "by", "about", "my", "your",
    "our", "some", "is", "are", "was", "it's", "what's", "i'm", "i", "we", "set", "call", "navigate", "can", "could",
    "would", "please", "how", "what", "where", "when", "which", "who", "than", "nearest", "next", "that",
];
/// After these numbers another digit may come.
const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

/// Whether the words so far ask for more.
pub fn unfinished(text: &str) -> bool {
    let last = text.split_whitespace().next_back();
    last.is_some_and(|word| OPEN.contains(&word) || TENS.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_ask_for_more_are_told_from_those_that_do_not() {
        for text in ["navigate to the", "set the temperature to twenty", "call"] {
            assert!(unfinished(text), "{text}");
        }
        for text in ["", "call anna", "set the temperature to twenty one", "stop"] {
            assert!(!unfinished(text), "{text}");
        }
    }
}
