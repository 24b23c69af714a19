//! The reply on its way to the loudspeaker: pieces of text into sentences, and silence when the driver speaks.

use crate::output::text_normalization::ends_with_abbreviation;
use auriga_msgs::v1;

/// A sentence without an end is spoken in parts of about this length.
const LONGEST_SENTENCE_BYTES: usize = 300;

/// Collects the pieces of the reply under way.
#[derive(Default)]
pub struct Reply {
    turn: Option<u64>,
    text: String,
    /// Of this turn nothing more is to be said.
    muted: Option<u64>,
    /// Something was handed out since the last [`Reply::interrupt`].
    speaking: bool,
}

impl Reply {
    /// Takes a piece; returns the sentences it completes.
    pub fn take(&mut self, piece: &v1::DialogueTurn) -> Vec<String> {
        if self.turn != Some(piece.turn_id) {
            // The rest of a turn that never came to its last piece.
            self.text.clear();
            self.turn = Some(piece.turn_id);
        }
        if self.muted == Some(piece.turn_id) {
            return Vec::new();
        }
        self.text.push_str(&piece.text);
        let mut sentences = Vec::new();
        while let Some(end) = sentence_end(&self.text) {
            let rest = self.text.split_off(end);
            sentences.push(std::mem::replace(&mut self.text, rest));
        }
        if piece.last {
            let rest = std::mem::take(&mut self.text);
            if !piece.interrupted {
                sentences.push(rest);
            }
        }
        let sentences: Vec<String> =
            sentences.iter().map(|s| s.trim()).filter(|s| !s.is_empty()).map(str::to_owned).collect();
        self.speaking |= !sentences.is_empty();
        sentences
    }

    /// Whether there may be something to stop.
    pub fn speaking(&self) -> bool {
        self.speaking
    }

    /// The driver speaks: the reply under way is not said any further. True when there may be something to stop.
    pub fn interrupt(&mut self) -> bool {
        self.text.clear();
        self.muted = self.turn;
        std::mem::take(&mut self.speaking)
    }
}

/// Where the first sentence ends, in bytes. A full stop counts once the space after it has come: before that it may be
/// a decimal point.
fn sentence_end(text: &str) -> Option<usize> {
    let mut previous = ' ';
    for (at, c) in text.char_indices() {
        let ends =
            matches!(previous, '.' | '!' | '?' | '…') && c.is_whitespace() && !ends_with_abbreviation(&text[..at]);
        if ends || c == '\n' || (at >= LONGEST_SENTENCE_BYTES && c.is_whitespace()) {
            return Some(at + c.len_utf8());
        }
        previous = c;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn piece(turn_id: u64, text: &str, last: bool) -> v1::DialogueTurn {
        v1::DialogueTurn { turn_id, text: text.into(), last, ..Default::default() }
    }

    #[test]
    fn sentences_are_handed_out_as_soon_as_they_are_whole() {
        let mut reply = Reply::default();
        assert!(reply.take(&piece(1, "You can go 3.", false)).is_empty());
        assert!(reply.take(&piece(1, "5 km. That", false)).contains(&"You can go 3.5 km.".to_owned()));
        assert_eq!(reply.take(&piece(1, " is enough", true)), ["That is enough"]);
        assert!(reply.take(&piece(1, "", true)).is_empty());
        assert_eq!(reply.take(&piece(2, "It is approx. 5 km. Go ", false)), ["It is approx. 5 km."]);
    }

    #[test]
    fn a_reply_is_not_taken_up_again_after_the_driver_spoke() {
        let mut reply = Reply::default();
        assert!(!reply.interrupt());
        assert_eq!(reply.take(&piece(0, "One. Two", false)), ["One."]);
        assert!(reply.interrupt());
        assert!(!reply.interrupt());
        assert!(reply.take(&piece(0, " more. ", true)).is_empty());
        assert_eq!(reply.take(&piece(2, "Yes.", true)), ["Yes."]);
    }

    proptest! {
        #[test]
        fn what_is_said_is_what_was_written(pieces in proptest::collection::vec("[a-z.!? \n…0-9]{0,120}", 0..8)) {
            let mut reply = Reply::default();
            let mut said = Vec::new();
            for text in &pieces {
                said.extend(reply.take(&piece(1, text, false)));
            }
            said.extend(reply.take(&piece(1, "", true)));
            let words = |t: &str| t.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            prop_assert_eq!(words(&said.join(" ")), words(&pieces.concat()));
            prop_assert!(said.iter().all(|s| s.len() <= LONGEST_SENTENCE_BYTES + 120));
        }
    }
}
