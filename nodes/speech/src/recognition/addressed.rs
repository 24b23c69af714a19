//! A turn of the speaker on its way through the recogniser.
//!
//! A turn that is for the car is told as it is recognised. Of any other only one thing is asked: whether the wake phrase
//! is in it. When it is, the turn is for the car from the end of the phrase on; when it is not, nothing of the turn leaves
//! this module, and nothing of it is kept.
//!
//! The phrase is looked for in what the whole language model hears, and not by a second recogniser that knows the phrase
//! and nothing else: such a one finds it in almost any sentence, for lack of other words (see the README's figures).

use crate::{
    recognition::vosk::{HeardWord, Reading, Recogniser, RecogniserError, Recognition},
    recognition::wake_word::{WakePhrases, Woken},
    turns::vad::{SAMPLE_NS, SAMPLE_RATE_HZ},
};
use std::time::Duration;

type Result<T> = std::result::Result<T, RecogniserError>;

/// How much sound comes in between two looks for the wake phrase.
const LOOK: usize = SAMPLE_RATE_HZ as usize / 5;
/// A phrase counts before the turn's end when so much has followed it: until then its last word may grow longer.
const SETTLED: Duration = Duration::from_millis(150);

/// Whose the turn is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Turn {
    /// It is for nobody here; nothing is recognised.
    Foreign,
    /// It may contain the wake phrase.
    Waiting { looked: usize },
    /// It is for the car, from `from` on.
    Ours { from: Duration },
}

/// The recogniser and the turn under way.
pub struct Hearing {
    recogniser: Box<dyn Recogniser>,
    phrases: WakePhrases,
    min_confidence: f32,
    turn: Turn,
    /// Samples of the turn so far.
    taken: usize,
}

impl Hearing {
    /// A wake phrase counts from `min_confidence` on.
    pub fn new(recogniser: Box<dyn Recogniser>, phrases: WakePhrases, min_confidence: f32) -> Self {
        Self { recogniser, phrases, min_confidence, turn: Turn::Foreign, taken: 0 }
    }

    /// A turn begins. `ours`: it is for the car; else `waits`: it may become so by the wake phrase.
    pub fn begin(&mut self, ours: bool, waits: bool) {
        self.turn = match (ours, waits) {
            (true, _) => Turn::Ours { from: Duration::ZERO },
            (false, true) => Turn::Waiting { looked: 0 },
            (false, false) => Turn::Foreign,
        };
        self.taken = 0;
    }

    /// Whether the turn under way is for the car.
    pub fn ours(&self) -> bool {
        matches!(self.turn, Turn::Ours { .. })
    }

    /// The talk button makes the turn the car's, from here on.
    pub fn claim(&mut self) {
        if !self.ours() {
            self.turn = Turn::Ours { from: self.heard() };
        }
    }

    /// The next samples of the turn. True when the wake phrase has just been heard.
    pub fn accept(&mut self, samples: &[i16]) -> Result<bool> {
        if self.turn == Turn::Foreign {
            return Ok(false);
        }
        self.recogniser.accept(samples)?;
        self.taken += samples.len();
        match self.turn {
            Turn::Waiting { looked } if self.taken - looked >= LOOK => {
                self.turn = Turn::Waiting { looked: self.taken };
                self.look()
            }
            _ => Ok(false),
        }
    }

    /// What is for the car so far of the turn. Nothing while that is not known.
    pub fn partial(&mut self) -> Result<String> {
        let Turn::Ours { from } = self.turn else { return Ok(String::new()) };
        let text = self.recogniser.partial()?;
        if from.is_zero() {
            return Ok(self.phrases.without(&text).to_owned());
        }
        match self.phrases.after(&text) {
            Some(rest) => Ok(rest),
            // Where the words no longer have the phrase in them, the times tell what followed it.
            None => Ok(joined(&after(self.recogniser.partial_words()?, from))),
        }
    }

    /// The turn is over: what was said in it for the car, and whether it was woken by its very end.
    pub fn finish(&mut self) -> Result<(Option<Recognition>, bool)> {
        let turn = std::mem::replace(&mut self.turn, Turn::Foreign);
        if turn == Turn::Foreign {
            return Ok((None, false));
        }
        let heard = self.recogniser.finish()?;
        if let Turn::Ours { from } = turn {
            return Ok((Some(self.cut(heard, from)), false));
        }
        let woken = self.sure_phrase(&heard.words);
        Ok((woken.map(|w| self.cut(heard, w.end)), woken.is_some()))
    }

    /// Looks for the wake phrase in what was heard so far.
    fn look(&mut self) -> Result<bool> {
        let text = self.recogniser.partial()?;
        if !self.phrases.is_in(&text) {
            return Ok(false);
        }
        let words = self.recogniser.partial_words()?;
        let Some(woken) = self.sure_phrase(&words).filter(|w| w.end + SETTLED <= self.heard()) else {
            return Ok(false);
        };
        self.turn = Turn::Ours { from: woken.end };
        Ok(true)
    }

    fn sure_phrase(&self, words: &[HeardWord]) -> Option<Woken> {
        self.phrases.find(words).filter(|w| w.confidence >= self.min_confidence)
    }

    fn heard(&self) -> Duration {
        Duration::from_nanos(self.taken as u64 * SAMPLE_NS)
    }

    /// What is for the car: after `from`, and without a wake phrase.
    fn cut(&self, heard: Recognition, from: Duration) -> Recognition {
        let cut = |words: Vec<HeardWord>| self.unaddressed(after(words, from));
        let words = cut(heard.words);
        let text = joined(&words);
        let mut alternatives: Vec<Reading> = Vec::new();
        for reading in heard.alternatives {
            let reading = Reading { words: cut(reading.words), probability: reading.probability };
            let other = reading.text();
            if other != text && !other.is_empty() && alternatives.iter().all(|a| a.text() != other) {
                alternatives.push(reading);
            }
        }
        Recognition { words, alternatives }
    }

    fn unaddressed(&self, mut words: Vec<HeardWord>) -> Vec<HeardWord> {
        let text = joined(&words);
        let kept = self.phrases.without(&text).split_whitespace().count();
        words.split_off(words.len() - kept.min(words.len()))
    }
}

/// Words that lie after a time for the most part.
fn after(mut words: Vec<HeardWord>, from: Duration) -> Vec<HeardWord> {
    words.retain(|w| (w.start + w.end) / 2 >= from);
    words
}

fn joined(words: &[HeardWord]) -> String {
    words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ")
}
