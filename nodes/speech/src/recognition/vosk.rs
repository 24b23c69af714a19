//! The recogniser: [Vosk](https://alphacephei.com/vosk/) (libvosk, on Kaldi).

use crate::{
    input::audio::{SAMPLE_RATE_HZ, duration},
    recognition::{
        model::error::ModelError,
        nbest,
        types::{LanguageModel, RecognisedWord, Recogniser, RecogniserError, Recognition},
    },
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::Duration,
};

/// Loads a model that was checked. (On a damaged one libvosk ends the process.)
pub(crate) fn load(folder: &Path) -> Result<vosk::Model, ModelError> {
    let refused = |reason: &str| ModelError::Refused { folder: folder.into(), reason: reason.into() };
    vosk::set_log_level(vosk::LogLevel::Error);
    let path = folder.to_str().ok_or_else(|| refused("its path is not UTF-8"))?;
    vosk::Model::new(path).ok_or_else(|| refused("no model"))
}

/// Hypotheses requested. The utterance carries the first few; word confidences follow from all of them.
const HYPOTHESES: u16 = 10;

/// A streaming recogniser of libvosk.
pub struct VoskRecogniser {
    vosk: vosk::Recognizer,
    /// Samples given to Vosk since it was made; its word times count from the first.
    samples: u64,
    /// `samples` at the start of this turn.
    turn_start: u64,
    /// The parts of this turn that Vosk's own endpointing has finished.
    done: Recognition,
}

impl VoskRecogniser {
    /// With `alternatives` word confidences follow from the n-best list; without they are libvosk's own, from its complete
    /// lattice. `None` when libvosk refuses.
    pub(crate) fn new(model: &vosk::Model, language: &LanguageModel, alternatives: bool) -> Option<Self> {
        let rate = SAMPLE_RATE_HZ as f32;
        let mut vosk = match language {
            LanguageModel::BuiltIn => vosk::Recognizer::new(model, rate)?,
            LanguageModel::Phrases(phrases) => vosk::Recognizer::new_with_grammar(model, rate, phrases)?,
        };
        vosk.set_max_alternatives(if alternatives { HYPOTHESES } else { 0 });
        vosk.set_words(true);
        Some(Self { vosk, samples: 0, turn_start: 0, done: Recognition::default() })
    }

    /// The `vosk` crate panics when libvosk's answer is not the JSON that it expects.
    fn guarded<T>(&mut self, call: impl FnOnce(&mut vosk::Recognizer) -> T) -> Result<T, RecogniserError> {
        catch_unwind(AssertUnwindSafe(|| call(&mut self.vosk)))
            .map_err(|_| RecogniserError("libvosk gave an answer that is not JSON".into()))
    }

    fn turn_start(&self) -> Duration {
        duration(self.turn_start as usize)
    }

    /// Appends a part of the turn; Vosk's word times count from the first sample it ever got.
    fn append(&mut self, mut result: Recognition) {
        let turn_start = self.turn_start();
        result.words.iter_mut().for_each(|w| nbest::shift(w, turn_start));
        result.alternatives.iter_mut().flat_map(|a| &mut a.words).for_each(|w| nbest::shift(w, turn_start));
        nbest::append(&mut self.done, result);
    }
}

impl Recogniser for VoskRecogniser {
    fn accept(&mut self, samples: &[i16]) -> Result<(), RecogniserError> {
        if self.samples == self.turn_start {
            seed_dither();
        }
        let state = self.guarded(|v| v.accept_waveform(samples))?;
        self.samples += samples.len() as u64;
        match state {
            Ok(vosk::DecodingState::Running) => {}
            Ok(vosk::DecodingState::Finalized) => {
                let result = self.guarded(|v| nbest::recognition(v.result()))?;
                self.append(result);
            }
            Ok(vosk::DecodingState::Failed) => return Err(RecogniserError("libvosk could not decode".into())),
            Err(e) => return Err(RecogniserError(e.to_string())),
        }
        Ok(())
    }

    fn partial(&mut self) -> Result<String, RecogniserError> {
        let running = self.guarded(|v| v.partial_result().partial.to_owned())?;
        let parts = [self.done.text(), running];
        Ok(parts.iter().filter(|p| !p.is_empty()).map(String::as_str).collect::<Vec<_>>().join(" "))
    }

    fn partial_words(&mut self) -> Result<Vec<RecognisedWord>, RecogniserError> {
        let turn_start = self.turn_start();
        let mut words = self.done.words.clone();
        let running = self.guarded(|v| {
            v.set_partial_words(true);
            let words: Vec<_> = v.partial_result().partial_result.iter().map(nbest::word).collect();
            v.set_partial_words(false);
            words
        })?;
        words.extend(running.into_iter().map(|mut w| {
            nbest::shift(&mut w, turn_start);
            w
        }));
        Ok(words)
    }

    fn finish(&mut self) -> Result<Recognition, RecogniserError> {
        let result = self.guarded(|v| nbest::recognition(v.final_result()))?;
        self.append(result);
        self.turn_start = self.samples;
        Ok(std::mem::take(&mut self.done))
    }
}

/// Kaldi adds dither to the audio (unless the model's configuration turns it off), drawn with the C library's rand(). With
/// the same seed in each turn recognition is the same in every replay.
fn seed_dither() {
    // SAFETY: srand sets a number of the C library under the library's own lock; it touches no other memory.
    unsafe { libc::srand(1) }
}
