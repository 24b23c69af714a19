//! The one format in which the model reads and writes:
//!
//! ```text
//! <|scene|>speed50 gearD lead25 … <|user|>call anna<|intent|>call who=anna;<|reply|>Calling Anna.<|end|>
//! ```
//!
//! The intent is decoded under constraint ([`crate::intent::constrained`]), the reply freely. Numbers in the scene stand in the units
//! in which they are spoken, and what is not known is `?`, so the model can say so instead of guessing.

/// The special tokens, in the order of their ids: 0 to 4.
pub const SPECIAL_TOKENS: [&str; 5] = [END, SCENE, USER, INTENT, REPLY];
pub const END: &str = "<|end|>";
pub const SCENE: &str = "<|scene|>";
pub const USER: &str = "<|user|>";
pub const INTENT: &str = "<|intent|>";
pub const REPLY: &str = "<|reply|>";

/// An utterance is cut to this many characters: nobody asks a car more, and the prompt stays within its budget.
pub const MAX_UTTERANCE_CHARS: usize = 160;

/// An utterance as the model reads it: lower case, single spaces, no signs but those of words, cut to
/// [`MAX_UTTERANCE_CHARS`].
pub fn clean_utterance(text: &str) -> String {
    let mut clean = String::new();
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
    fn an_utterance_cannot_smuggle_in_signs() {
        assert_eq!(clean_utterance("  Call <|reply|> Anna; I'm=OK!\n"), "call reply anna i'm ok");
        assert_eq!(clean_utterance(&"ä ".repeat(500)).chars().count(), MAX_UTTERANCE_CHARS - 1);
    }

    proptest! {
        #[test]
        fn a_clean_utterance_can_be_the_value_of_a_slot(text in "\\PC{0,40}") {
            let clean = clean_utterance(&text);
            prop_assert!(clean.is_empty() || is_value(&clean), "{:?}", clean);
        }

    }
}
