//! A turn of the speaker on its way through the recognisers.
//!
//! A turn that is for the car goes to the full recogniser. Any other goes to the one that only waits for the wake phrase
//! (or to the full one, where the model's graph allows no other), and its sound is kept in a ring of some seconds. When
//! the phrase is heard, the ring's part from the phrase on goes to the full recogniser, and the turn is for the car from
//! the end of the phrase on. If it is not, nothing of the turn leaves this module, and nothing of it is kept.

use crate::{
    recogniser::{HeardWord, Reading, Recogniser, RecogniserError, Recognisers, Recognition},
    vad::{SAMPLE_NS, SAMPLE_RATE_HZ},
    wake::{WakePhrases, Woken},
};
use std::{collections::VecDeque, time::Duration};

type Result<T> = std::result::Result<T, RecogniserError>;

/// Sound kept of a turn that is not for the car: a wake phrase and what is said until it is noticed.
const RING: usize = 4 * SAMPLE_RATE_HZ as usize;
/// The full recogniser begins so long before the wake phrase.
const BEFORE_PHRASE: Duration = Duration::from_millis(200);
/// How much sound comes in between two looks for the wake phrase.
const LOOK: usize = SAMPLE_RATE_HZ as usize / 5;
/// A phrase counts before the turn's end when so much has followed it: until then its last word may grow longer.
const SETTLED: Duration = Duration::from_millis(150);

/// Whose the turn is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Turn {
    None,
    /// It is for nobody here; nothing is recognised.
    Foreign,
    /// It may contain the wake phrase.
    Waiting {
        looked: usize,
    },
    /// It is for the car, from `from` on.
    Ours {
        from: Duration,
    },
}

/// The recognisers and the turn under way.
pub struct Hearing {
    recognisers: Recognisers,
    phrases: WakePhrases,
    min_confidence: f32,
    turn: Turn,
    /// The last sound of a waiting turn.
    ring: VecDeque<i16>,
    /// Samples of the turn so far, and which of them was the full recogniser's first.
    taken: usize,
    full_began: usize,
}

impl Hearing {
    /// A wake phrase counts from `min_confidence` on.
    pub fn new(recognisers: Recognisers, phrases: WakePhrases, min_confidence: f32) -> Self {
        let ring = VecDeque::new();
        Self { recognisers, phrases, min_confidence, turn: Turn::None, ring, taken: 0, full_began: 0 }
    }

    /// A turn begins. `ours`: it is for the car; else `waits`: it may become so by the wake phrase.
    pub fn begin(&mut self, ours: bool, waits: bool) {
        self.turn = match (ours, waits) {
            (true, _) => Turn::Ours { from: Duration::ZERO },
            (false, true) => Turn::Waiting { looked: 0 },
            (false, false) => Turn::Foreign,
        };
        (self.taken, self.full_began) = (0, 0);
        self.ring.clear();
    }

    /// Whether the turn under way is for the car.
    pub fn ours(&self) -> bool {
        matches!(self.turn, Turn::Ours { .. })
    }

    /// Where in the turn the full recogniser's words are counted from.
    pub fn full_began(&self) -> Duration {
        time(self.full_began)
    }

    /// The talk button makes the turn the car's, from here on.
    pub fn claim(&mut self) -> Result<()> {
        if let Turn::Waiting { .. } = self.turn {
            self.waiter().finish()?;
        }
        if !self.ours() {
            self.ring.clear();
            self.full_began = self.taken;
            self.turn = Turn::Ours { from: Duration::ZERO };
        }
        Ok(())
    }

    /// The next samples of the turn. True when the wake phrase has just been heard.
    pub fn accept(&mut self, samples: &[i16]) -> Result<bool> {
        self.taken += samples.len();
        match self.turn {
            Turn::None | Turn::Foreign => {}
            Turn::Ours { .. } => self.recognisers.full.accept(samples)?,
            Turn::Waiting { looked } => {
                self.waiter().accept(samples)?;
                self.keep(samples);
                if self.taken - looked >= LOOK {
                    self.turn = Turn::Waiting { looked: self.taken };
                    return self.look();
                }
            }
        }
        Ok(false)
    }

    /// What is for the car so far of the turn. Nothing while that is not known.
    pub fn partial(&mut self) -> Result<String> {
        let Turn::Ours { from } = self.turn else { return Ok(String::new()) };
        let text = self.recognisers.full.partial()?;
        if from.is_zero() {
            return Ok(self.phrases.without(&text).to_owned());
        }
        match self.phrases.after(&text) {
            Some(rest) => Ok(rest),
            // The phrase was heard by the other recogniser alone: its time tells what follows it.
            None => Ok(joined(&after(self.recognisers.full.partial_words()?, from))),
        }
    }

    /// The turn is over: what was said in it for the car, and whether it was woken by its very end.
    pub fn finish(&mut self) -> Result<(Option<Recognition>, bool)> {
        let woken = match self.turn {
            Turn::Waiting { .. } => self.last_look()?,
            _ => None,
        };
        let result = match (self.turn, woken) {
            (_, Some(recognition)) => (Some(recognition), true),
            (Turn::Ours { from }, None) => {
                let heard = self.recognisers.full.finish()?;
                (Some(self.cut(heard, from)), false)
            }
            _ => (None, false),
        };
        self.turn = Turn::None;
        self.ring.clear();
        Ok(result)
    }

    /// Who listens for the wake phrase.
    fn waiter(&mut self) -> &mut dyn Recogniser {
        match &mut self.recognisers.wake {
            Some(wake) => wake.as_mut(),
            None => self.recognisers.full.as_mut(),
        }
    }

    fn keep(&mut self, samples: &[i16]) {
        if self.recognisers.wake.is_some() {
            self.ring.extend(samples);
            self.ring.drain(..self.ring.len().saturating_sub(RING));
        }
    }

    /// Looks for the wake phrase in what was heard so far.
    fn look(&mut self) -> Result<bool> {
        let text = self.waiter().partial()?;
        if !self.phrases.is_in(&text) {
            return Ok(false);
        }
        let words = self.waiter().partial_words()?;
        let settled = |w: &Woken| w.end + SETTLED <= time(self.taken);
        let Some(woken) = self.phrases.find(&words).filter(|w| w.confidence >= self.min_confidence).filter(settled)
        else {
            return Ok(false);
        };
        if self.recognisers.wake.is_some() {
            self.waiter().finish()?;
            self.hand_over(woken)?;
        } else {
            self.turn = Turn::Ours { from: woken.end };
        }
        Ok(true)
    }

    /// The last look, in the final words of a turn.
    fn last_look(&mut self) -> Result<Option<Recognition>> {
        let heard = self.waiter().finish()?;
        let Some(woken) = self.phrases.find(&heard.words).filter(|w| w.confidence >= self.min_confidence) else {
            return Ok(None);
        };
        if self.recognisers.wake.is_none() {
            return Ok(Some(self.cut(heard, woken.end)));
        }
        if !self.hand_over(woken)? {
            return Ok(None);
        }
        let Turn::Ours { from } = self.turn else { return Ok(None) };
        let heard = self.recognisers.full.finish()?;
        Ok(Some(self.cut(heard, from)))
    }

    /// Gives the sound from the phrase on to the full recogniser. False when it is not kept any more.
    fn hand_over(&mut self, woken: Woken) -> Result<bool> {
        let kept_from = self.taken - self.ring.len();
        let begin = samples(woken.start.saturating_sub(BEFORE_PHRASE)).max(kept_from);
        if samples(woken.end) < kept_from {
            return Ok(false);
        }
        let sound: Vec<i16> = self.ring.drain(..).skip(begin - kept_from).collect();
        self.full_began = begin;
        self.turn = Turn::Ours { from: woken.end.saturating_sub(time(begin)) };
        self.recognisers.full.accept(&sound)?;
        Ok(true)
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

fn time(samples: usize) -> Duration {
    Duration::from_nanos(samples as u64 * SAMPLE_NS)
}

fn samples(time: Duration) -> usize {
    (time.as_nanos() / u128::from(SAMPLE_NS)) as usize
}
