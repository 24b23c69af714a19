//! The reply under way: pieces of text become sentences to speak; a barge-in ends it.

use crate::output::text_normalization::ends_with_abbreviation;
use auriga_msgs::{sentence::sentence_end, v1};
use auriga_runtime::Nanos;
use std::time::Duration;

/// Text without an end of a sentence is spoken in parts of about this length.
const MAX_SENTENCE_BYTES: usize = 300;
/// Text of one turn that is spoken; more than four minutes are no reply.
const MAX_TURN_BYTES: usize = 4000;
/// Estimated duration of the speech for one byte of text.
const SPEECH_PER_BYTE: Duration = Duration::from_millis(65);

/// Collects the pieces of the reply under way.
#[derive(Default)]
pub struct Reply {
    turn: Option<u64>,
    text: String,
    /// Text of the turn taken so far.
    turn_bytes: usize,
    /// The turn that was interrupted: the rest of it is dropped.
    interrupted: Option<u64>,
    /// A sentence was returned since the last [`Reply::interrupt`].
    speaking: bool,
    paused: bool,
    /// Estimated end of the speech so far.
    spoken_until: Nanos,
}

impl Reply {
    /// Takes a piece. Returns the sentences that it completes. What is longer than a turn may be is left out, see
    /// [`Self::is_too_long`].
    pub fn push(&mut self, piece: &v1::DialogueTurn, now: Nanos) -> Vec<String> {
        if self.turn != Some(piece.turn_id) {
            // Drops the rest of a turn without a last piece.
            self.text.clear();
            self.turn = Some(piece.turn_id);
            self.turn_bytes = 0;
        }
        if self.interrupted == Some(piece.turn_id) {
            return Vec::new();
        }
        let room = MAX_TURN_BYTES.saturating_sub(self.turn_bytes);
        self.text.push_str(&piece.text[..piece.text.floor_char_boundary(room)]);
        self.turn_bytes = self.turn_bytes.saturating_add(piece.text.len());
        let mut sentences = Vec::new();
        while let Some(end) = part_end(&self.text) {
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
        for sentence in &sentences {
            let duration = SPEECH_PER_BYTE * u32::try_from(sentence.len()).unwrap_or(u32::MAX);
            self.spoken_until = self.spoken_until.max(now) + duration;
        }
        self.speaking |= !sentences.is_empty();
        sentences
    }

    /// Whether a part of the turn under way was left out.
    pub fn is_too_long(&self) -> bool {
        self.turn_bytes > MAX_TURN_BYTES
    }

    /// Whether a sentence may still be spoken.
    pub fn is_speaking(&self) -> bool {
        self.speaking
    }

    /// Estimated end of the speech so far, by the length of the text.
    pub fn spoken_until(&self) -> Nanos {
        self.spoken_until
    }

    /// Pauses or resumes the speech. True when that changes the playback.
    pub fn set_paused(&mut self, paused: bool) -> bool {
        paused != std::mem::replace(&mut self.paused, paused) && self.speaking
    }

    /// Barge-in: the rest of the turn is dropped. True when there may be speech to stop.
    pub fn interrupt(&mut self, now: Nanos) -> bool {
        self.text.clear();
        self.interrupted = self.turn;
        let speaking = std::mem::take(&mut self.speaking);
        if speaking {
            self.spoken_until = now;
        }
        speaking
    }
}

/// End of the first part to speak, in bytes: a sentence, or a word beyond [`MAX_SENTENCE_BYTES`].
fn part_end(text: &str) -> Option<usize> {
    let sentence = sentence_end(text, ends_with_abbreviation);
    let mut spaces = text.char_indices().filter(|(_, c)| c.is_whitespace());
    let limit = spaces.find(|(at, _)| *at >= MAX_SENTENCE_BYTES).map(|(at, c)| at + c.len_utf8());
    sentence.into_iter().chain(limit).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn piece(turn_id: u64, text: &str, last: bool) -> v1::DialogueTurn {
        v1::DialogueTurn { turn_id, text: text.into(), last, ..Default::default() }
    }
    fn push(reply: &mut Reply, turn_id: u64, text: &str, last: bool) -> Vec<String> {
        reply.push(&piece(turn_id, text, last), Nanos::ZERO)
    }

    #[test]
    fn a_sentence_is_returned_when_it_is_complete() {
        let mut reply = Reply::default();
        assert!(push(&mut reply, 1, "You can go 3.", false).is_empty());
        assert!(push(&mut reply, 1, "5 km. That", false).contains(&"You can go 3.5 km.".to_owned()));
        assert_eq!(push(&mut reply, 1, " is enough", true), ["That is enough"]);
        assert!(push(&mut reply, 1, "", true).is_empty());
        assert_eq!(push(&mut reply, 2, "It is approx. 5 km. Go ", false), ["It is approx. 5 km."]);
    }

    #[test]
    fn a_turn_without_end_is_spoken_for_a_bounded_time() {
        let mut reply = Reply::default();
        let spoken: usize =
            (0..100).flat_map(|_| push(&mut reply, 1, &"é word. ".repeat(1000), false)).map(|s| s.len()).sum();
        assert!(reply.is_too_long() && spoken <= MAX_TURN_BYTES, "{spoken}");
        assert!(reply.spoken_until() < Nanos::from_millis(5 * 60_000));
        assert!(push(&mut reply, 1, &"x".repeat(1 << 20), false).is_empty());
        assert!(reply.text.len() <= MAX_TURN_BYTES);
        assert_eq!(push(&mut reply, 2, "Yes. ", false), ["Yes."]);
        assert!(!reply.is_too_long());
    }

    #[test]
    fn the_rest_of_an_interrupted_reply_is_dropped() {
        let mut reply = Reply::default();
        assert!(!reply.interrupt(Nanos::ZERO));
        assert_eq!(push(&mut reply, 0, "One. Two", false), ["One."]);
        assert!(reply.interrupt(Nanos::ZERO));
        assert!(!reply.interrupt(Nanos::ZERO));
        assert!(push(&mut reply, 0, " more. ", true).is_empty());
        assert_eq!(push(&mut reply, 2, "Yes.", true), ["Yes."]);
    }

    proptest! {
        #[test]
        fn every_word_of_a_reply_is_spoken_once(pieces in proptest::collection::vec("[a-z.!? \n…0-9]{0,120}", 0..8)) {
            let mut reply = Reply::default();
            let mut spoken = Vec::new();
            for text in &pieces {
                spoken.extend(push(&mut reply, 1, text, false));
            }
            spoken.extend(push(&mut reply, 1, "", true));
            let words = |t: &str| t.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            prop_assert_eq!(words(&spoken.join(" ")), words(&pieces.concat()));
            prop_assert!(spoken.iter().all(|s| s.len() <= MAX_SENTENCE_BYTES + 120));
        }
    }
}
