//! The prompt format of models that `auriga-lm train` makes:
//!
//! ```text
//! <|scene|>speed50 gearD lead25 … <|user|>call anna<|intent|>call who=anna;<|reply|>Calling Anna.<|end|>
//! ```
//!
//! The intent is decoded under a constraint ([`crate::intent::constrained`]), the reply freely. Numbers of the scene have the
//! units in which they are spoken, and unknown values are `?`.

/// The special tokens in the order of their ids, 0 to 4.
pub const SPECIAL_TOKENS: [&str; 5] = [END, SCENE, USER, INTENT, REPLY];
/// Ends a turn.
pub const END: &str = "<|end|>";
/// Begins the scene.
pub const SCENE: &str = "<|scene|>";
/// Begins the utterance.
pub const USER: &str = "<|user|>";
/// Begins the intent.
pub const INTENT: &str = "<|intent|>";
/// Begins the reply.
pub const REPLY: &str = "<|reply|>";

/// Utterances are truncated to this many characters, so that the prompt stays within its budget.
pub const MAX_UTTERANCE_CHARS: usize = 400;

/// Normalizes an utterance for the models: lower case, single spaces, no punctuation except apostrophes (’ becomes '), truncated
/// to [`MAX_UTTERANCE_CHARS`].
pub fn clean_utterance(text: &str) -> String {
    let mut clean = String::new();
    let text = text.replace('’', "'");
    for word in text.split(|c: char| !(c.is_alphanumeric() || c == '\'')).filter(|w| !w.is_empty()) {
        if !clean.is_empty() {
            clean.push(' ');
        }
        clean.extend(word.chars().flat_map(char::to_lowercase));
    }
    if let Some((end, _)) = clean.char_indices().nth(MAX_UTTERANCE_CHARS) {
        clean.truncate(end);
    }
    clean.trim_end().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intent::output::is_value;
    use proptest::prelude::*;

    #[test]
    fn punctuation_and_special_tokens_are_removed_from_utterances() {
        assert_eq!(clean_utterance("  Call <|reply|> Anna; I'm=OK!\n"), "call reply anna i'm ok");
        assert_eq!(clean_utterance("Don’t call her"), "don't call her");
        assert_eq!(clean_utterance(&"ä ".repeat(500)).chars().count(), MAX_UTTERANCE_CHARS - 1);
    }

    proptest! {
        #[test]
        fn a_normalized_utterance_is_a_valid_slot_value(text in "\\PC{0,40}") {
            let clean = clean_utterance(&text);
            prop_assert!(clean.is_empty() || is_value(&clean), "{:?}", clean);
        }

    }
}
