//! Recognition of what is addressed to the system.
//!
//! A turn that is addressed is recognised and its partial results are published. Any other turn is only searched for the
//! wake phrase. With the phrase, the turn is addressed from the end of the phrase on; without it, nothing of the turn
//! leaves this module and nothing is kept.
//!
//! The phrase is searched in the output of the complete language model, not by a second recogniser that knows only the
//! phrase: such a recogniser finds it in almost any sentence, for lack of other words.

use crate::{
    input::audio::{SAMPLE_RATE_HZ, duration},
    recognition::{
        types::{Hypothesis, RecognisedWord, Recogniser, RecogniserError, Recognition, joined},
        wake_word::{WakeDetection, WakePhrases},
    },
    turns::attention::Addressing,
};
use std::time::Duration;

type Result<T> = std::result::Result<T, RecogniserError>;

/// Samples between two searches for the wake phrase: 200 ms.
const SEARCH_PERIOD: usize = SAMPLE_RATE_HZ as usize / 5;
/// Audio needed after a phrase before the turn's end: until then its last word may still grow.
const SETTLING_TIME: Duration = Duration::from_millis(150);

/// State of the turn under way.
#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    /// Not addressed; nothing is recognised.
    Ignored,
    /// It may contain the wake phrase; the last search was after this many samples.
    Searching { searched: usize },
    /// Addressed, from this time on.
    Addressed { from: Duration },
}

/// Result of a turn.
#[derive(Default)]
pub struct TurnResult {
    /// What was said to the system; `None` when the turn was not addressed.
    pub recognition: Option<Recognition>,
    /// The wake phrase was detected at the end of the turn only.
    pub woken: bool,
}

/// The recogniser, with the state of the turn under way.
pub struct AddressedRecogniser {
    recogniser: Box<dyn Recogniser>,
    phrases: WakePhrases,
    min_confidence: f32,
    state: State,
    /// Samples of the turn so far.
    samples: usize,
}

impl AddressedRecogniser {
    /// A wake phrase counts from `min_confidence` on (0 to 1).
    pub fn new(recogniser: Box<dyn Recogniser>, phrases: WakePhrases, min_confidence: f32) -> Self {
        Self { recogniser, phrases, min_confidence, state: State::Ignored, samples: 0 }
    }

    /// A turn begins.
    pub fn begin(&mut self, addressing: Addressing) {
        self.state = match addressing {
            Addressing::Addressed => State::Addressed { from: Duration::ZERO },
            Addressing::NeedsWakePhrase => State::Searching { searched: 0 },
            Addressing::NotAddressed => State::Ignored,
        };
        self.samples = 0;
    }

    /// Whether the turn under way is addressed to the system.
    pub fn is_addressed(&self) -> bool {
        matches!(self.state, State::Addressed { .. })
    }

    /// The turn is addressed from here on: the talk button went down.
    pub fn address(&mut self) {
        if !self.is_addressed() {
            self.state = State::Addressed { from: duration(self.samples) };
        }
    }

    /// Takes the next samples of the turn. True when the wake phrase has just been detected.
    ///
    /// # Errors
    /// When the recogniser fails.
    pub fn accept(&mut self, samples: &[i16]) -> Result<bool> {
        if self.state == State::Ignored {
            return Ok(false);
        }
        self.recogniser.accept(samples)?;
        self.samples += samples.len();
        match self.state {
            State::Searching { searched } if self.samples - searched >= SEARCH_PERIOD => {
                self.state = State::Searching { searched: self.samples };
                self.search()
            }
            _ => Ok(false),
        }
    }

    /// The text so far that is addressed to the system; empty while none is.
    ///
    /// # Errors
    /// When the recogniser fails.
    pub fn partial(&mut self) -> Result<String> {
        let State::Addressed { from } = self.state else { return Ok(String::new()) };
        let text = self.recogniser.partial()?;
        if from.is_zero() {
            return Ok(self.phrases.strip_prefix(&text).to_owned());
        }
        match self.phrases.text_after(&text) {
            Some(rest) => Ok(rest),
            // The phrase is no longer in the text: the times of the words decide.
            None => Ok(joined(&words_after(self.recogniser.partial_words()?, from))),
        }
    }

    /// Ends the turn.
    ///
    /// # Errors
    /// When the recogniser fails.
    pub fn finish(&mut self) -> Result<TurnResult> {
        let state = std::mem::replace(&mut self.state, State::Ignored);
        if state == State::Ignored {
            return Ok(TurnResult::default());
        }
        let result = self.recogniser.finish()?;
        if let State::Addressed { from } = state {
            return Ok(TurnResult { recognition: Some(self.addressed_part(result, from)), woken: false });
        }
        let detection = self.detect(&result.words);
        Ok(TurnResult {
            recognition: detection.map(|d| self.addressed_part(result, d.end)),
            woken: detection.is_some(),
        })
    }

    /// Searches for the wake phrase in the words so far.
    fn search(&mut self) -> Result<bool> {
        let text = self.recogniser.partial()?;
        if !self.phrases.is_in(&text) {
            return Ok(false);
        }
        let words = self.recogniser.partial_words()?;
        let settled = |d: &WakeDetection| d.end + SETTLING_TIME <= duration(self.samples);
        let Some(detection) = self.detect(&words).filter(settled) else { return Ok(false) };
        self.state = State::Addressed { from: detection.end };
        Ok(true)
    }

    fn detect(&self, words: &[RecognisedWord]) -> Option<WakeDetection> {
        self.phrases.best_match(words).filter(|d| d.confidence >= self.min_confidence)
    }

    /// The part after `from`, without a wake phrase at its beginning.
    fn addressed_part(&self, result: Recognition, from: Duration) -> Recognition {
        let part = |words: Vec<RecognisedWord>| self.strip_phrase(words_after(words, from));
        let words = part(result.words);
        let text = joined(&words);
        let mut alternatives: Vec<Hypothesis> = Vec::new();
        for hypothesis in result.alternatives {
            let hypothesis = Hypothesis { words: part(hypothesis.words), probability: hypothesis.probability };
            let other = hypothesis.text();
            if other != text && !other.is_empty() && alternatives.iter().all(|a| a.text() != other) {
                alternatives.push(hypothesis);
            }
        }
        Recognition { words, alternatives }
    }

    fn strip_phrase(&self, mut words: Vec<RecognisedWord>) -> Vec<RecognisedWord> {
        let text = joined(&words);
        let kept = self.phrases.strip_prefix(&text).split_whitespace().count();
        words.split_off(words.len() - kept.min(words.len()))
    }
}

/// The words whose middle lies after a time.
fn words_after(mut words: Vec<RecognisedWord>, from: Duration) -> Vec<RecognisedWord> {
    words.retain(|w| (w.start + w.end) / 2 >= from);
    words
}
