//! From audio to text: the recogniser behind a trait, and Vosk.

use crate::{
    config::Config,
    recognition::model::check::{self as model, ModelError},
    recognition::nbest,
    recognition::vocabulary::{self, Phrases},
    turns::vad::SAMPLE_RATE_HZ,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::Duration,
};

/// A word with its place in the audio handed in since the last [`Recogniser::finish`].
#[derive(Clone, PartialEq)]
pub struct HeardWord {
    pub text: String,
    pub start: Duration,
    pub end: Duration,
    /// 0..1
    pub confidence: f32,
}

/// What a turn may have been, with the words of it.
#[derive(Clone, PartialEq, Default)]
pub struct Reading {
    pub words: Vec<HeardWord>,
    /// 0..1, among all readings.
    pub probability: f32,
}

impl Reading {
    pub fn text(&self) -> String {
        self.words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ")
    }
}

/// What was understood of a turn.
#[derive(Clone, PartialEq, Default)]
pub struct Recognition {
    pub words: Vec<HeardWord>,
    /// Other readings, most probable first.
    pub alternatives: Vec<Reading>,
}

impl Recognition {
    pub fn text(&self) -> String {
        self.words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// Mean of the words'; 0 without words.
    pub fn confidence(&self) -> f32 {
        self.words.iter().map(|w| w.confidence).sum::<f32>() / self.words.len().max(1) as f32
    }
}

/// The recogniser gave up and is not to be used again.
#[derive(Debug, thiserror::Error)]
#[error("the recogniser failed: {0}")]
pub struct RecogniserError(pub String);

/// A streaming recogniser of 16 kHz mono audio.
pub trait Recogniser: Send {
    /// Takes the next samples of a turn.
    fn accept(&mut self, samples: &[i16]) -> Result<(), RecogniserError>;
    /// The text so far, which may still change.
    fn partial(&mut self) -> Result<String, RecogniserError>;
    /// The same with times and confidences, which takes longer to find out.
    fn partial_words(&mut self) -> Result<Vec<HeardWord>, RecogniserError>;
    /// The turn is over: what was said in it. What is handed in next belongs to the next turn.
    fn finish(&mut self) -> Result<Recognition, RecogniserError>;
}

/// A recogniser that was opened.
pub struct Opened {
    pub recogniser: Box<dyn Recogniser>,
    /// What a person should know of how it was made.
    pub remarks: Vec<String>,
}

/// Opens the configured model; `None` when no folder is given.
pub fn open(config: &Config) -> Result<Option<Opened>, ModelError> {
    if config.model.as_os_str().is_empty() {
        return Ok(None);
    }
    let parts = model::check(&config.model)?;
    let mut remarks = Vec::new();
    let phrases = vocabulary::phrases(config, &parts, &mut remarks);
    let model = load(&config.model)?;
    let refused = |reason: &str| ModelError::Refused { folder: config.model.clone(), reason: reason.into() };
    let recogniser = VoskRecogniser::new(&model, &phrases, config.alternatives > 0);
    let recogniser = recogniser.ok_or_else(|| refused("no recogniser for 16 kHz"))?;
    Ok(Some(Opened { recogniser: Box::new(recogniser), remarks }))
}

/// As [`open`], but libvosk is first tried out in a child process ([`model::probe`]).
pub fn open_probed(config: &Config) -> Result<Option<Opened>, ModelError> {
    if !config.model.as_os_str().is_empty() {
        model::check(&config.model)?;
        let refused = |e: std::io::Error| ModelError::Refused { folder: config.model.clone(), reason: e.to_string() };
        model::probe(&std::env::current_exe().map_err(refused)?, &config.model)?;
    }
    open(config)
}

/// Loads a model that was looked over. (On a bad one libvosk ends the process.)
pub(crate) fn load(folder: &Path) -> Result<vosk::Model, ModelError> {
    let refused = |reason: &str| ModelError::Refused { folder: folder.into(), reason: reason.into() };
    vosk::set_log_level(vosk::LogLevel::Error);
    let path = folder.to_str().ok_or_else(|| refused("its path is not UTF-8"))?;
    vosk::Model::new(path).ok_or_else(|| refused("no model"))
}

/// Readings asked for: the probabilities of some are told, those of all make the words' confidences.
const READINGS: u16 = 10;

/// [Vosk](https://alphacephei.com/vosk/).
pub struct VoskRecogniser {
    vosk: vosk::Recognizer,
    /// Samples handed to Vosk since it was made: its word times count from there.
    fed: u64,
    /// `fed` at the beginning of this turn.
    turn_began: u64,
    /// What Vosk's own end-pointing has finished within this turn.
    done: Recognition,
}

impl VoskRecogniser {
    /// With `alternatives` word confidences are those among the readings ([`nbest`]); without they are libvosk's own, of
    /// its whole lattice.
    pub fn new(model: &vosk::Model, phrases: &Phrases, alternatives: bool) -> Option<Self> {
        let rate = SAMPLE_RATE_HZ as f32;
        let mut vosk = match phrases {
            Phrases::Model => vosk::Recognizer::new(model, rate)?,
            Phrases::These(phrases) => vosk::Recognizer::new_with_grammar(model, rate, phrases)?,
        };
        vosk.set_max_alternatives(if alternatives { READINGS } else { 0 });
        vosk.set_words(true);
        Some(Self { vosk, fed: 0, turn_began: 0, done: Recognition::default() })
    }

    /// The crate panics on an answer of libvosk that is not the JSON it expects.
    fn guarded<T>(&mut self, call: impl FnOnce(&mut vosk::Recognizer) -> T) -> Result<T, RecogniserError> {
        catch_unwind(AssertUnwindSafe(|| call(&mut self.vosk)))
            .map_err(|_| RecogniserError("libvosk gave an answer that is not JSON".into()))
    }

    fn began(&self) -> Duration {
        Duration::from_secs_f64(self.turn_began as f64 / f64::from(SAMPLE_RATE_HZ))
    }

    /// Word times are Vosk's own, from the first sample it ever got.
    fn append(&mut self, mut result: Recognition) {
        let began = self.began();
        result.words.iter_mut().for_each(|w| nbest::shift(w, began));
        result.alternatives.iter_mut().flat_map(|a| &mut a.words).for_each(|w| nbest::shift(w, began));
        nbest::append(&mut self.done, result);
    }
}

impl Recogniser for VoskRecogniser {
    fn accept(&mut self, samples: &[i16]) -> Result<(), RecogniserError> {
        if self.fed == self.turn_began {
            seed_dither();
        }
        let state = self.guarded(|v| v.accept_waveform(samples))?;
        self.fed += samples.len() as u64;
        match state {
            Ok(vosk::DecodingState::Running) => {}
            Ok(vosk::DecodingState::Finalized) => {
                let result = self.guarded(|v| nbest::owned(v.result()))?;
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

    fn partial_words(&mut self) -> Result<Vec<HeardWord>, RecogniserError> {
        let began = self.began();
        let mut words = self.done.words.clone();
        let running = self.guarded(|v| {
            v.set_partial_words(true);
            let words: Vec<_> = v.partial_result().partial_result.iter().map(nbest::word).collect();
            v.set_partial_words(false);
            words
        })?;
        words.extend(running.into_iter().map(|mut w| {
            nbest::shift(&mut w, began);
            w
        }));
        Ok(words)
    }

    fn finish(&mut self) -> Result<Recognition, RecogniserError> {
        let result = self.guarded(|v| nbest::owned(v.final_result()))?;
        self.append(result);
        self.turn_began = self.fed;
        Ok(std::mem::take(&mut self.done))
    }
}

/// Kaldi adds a little noise to the audio (`--dither`, on unless the model's mfcc.conf says otherwise) and draws it with
/// the C library's rand(). From one seed for each turn, the same turn is heard in the same way in every replay.
fn seed_dither() {
    // SAFETY: srand sets a number of the C library under the library's own lock; it touches no memory of ours.
    unsafe { libc::srand(1) }
}
