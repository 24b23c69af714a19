//! From audio to text: the recogniser behind a trait, and Vosk.

use crate::{
    model::{self, ModelError},
    vad::SAMPLE_RATE_HZ,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::Duration,
};

/// A word with its place in the audio handed in since the last [`Recogniser::finish`].
#[derive(Debug, Clone, PartialEq)]
pub struct HeardWord {
    pub text: String,
    pub start: Duration,
    pub end: Duration,
    /// 0..1
    pub confidence: f32,
}

/// What was understood of a turn.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recognition {
    pub text: String,
    pub words: Vec<HeardWord>,
}

impl Recognition {
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
    /// The turn is over: what was said in it. What is handed in next belongs to the next turn.
    fn finish(&mut self) -> Result<Recognition, RecogniserError>;
}

/// Opens the model in `folder`; `None` when no folder is given.
pub fn open(folder: &Path) -> Result<Option<Box<dyn Recogniser>>, ModelError> {
    if folder.as_os_str().is_empty() {
        return Ok(None);
    }
    Ok(Some(Box::new(VoskRecogniser::load(folder)?)))
}

/// As [`open`], but libvosk is first tried out in a child process ([`model::probe`]).
pub fn open_probed(folder: &Path) -> Result<Option<Box<dyn Recogniser>>, ModelError> {
    if folder.as_os_str().is_empty() {
        return Ok(None);
    }
    model::check(folder)?;
    let refused = |e: std::io::Error| ModelError::Refused { folder: folder.into(), reason: e.to_string() };
    model::probe(&std::env::current_exe().map_err(refused)?, folder)?;
    open(folder)
}

/// [Vosk](https://alphacephei.com/vosk/), with one alternative and with word times.
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
    /// Loads a model folder after checking it.
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        model::check(folder)?;
        Self::load_unchecked(folder)
    }

    pub(crate) fn load_unchecked(folder: &Path) -> Result<Self, ModelError> {
        let refused = |reason: &str| ModelError::Refused { folder: folder.into(), reason: reason.into() };
        vosk::set_log_level(vosk::LogLevel::Error);
        let path = folder.to_str().ok_or_else(|| refused("its path is not UTF-8"))?;
        let model = vosk::Model::new(path).ok_or_else(|| refused("no model"))?;
        let mut vosk =
            vosk::Recognizer::new(&model, SAMPLE_RATE_HZ as f32).ok_or_else(|| refused("no recogniser for 16 kHz"))?;
        vosk.set_max_alternatives(0);
        vosk.set_words(true);
        Ok(Self { vosk, fed: 0, turn_began: 0, done: Recognition::default() })
    }

    /// The crate panics on an answer of libvosk that is not the JSON it expects.
    fn guarded<T>(&mut self, call: impl FnOnce(&mut vosk::Recognizer) -> T) -> Result<T, RecogniserError> {
        catch_unwind(AssertUnwindSafe(|| call(&mut self.vosk)))
            .map_err(|_| RecogniserError("libvosk gave an answer that is not JSON".into()))
    }

    fn append(&mut self, result: Recognition) {
        if !self.done.text.is_empty() && !result.text.is_empty() {
            self.done.text.push(' ');
        }
        self.done.text.push_str(&result.text);
        let began = Duration::from_secs_f64(self.turn_began as f64 / f64::from(SAMPLE_RATE_HZ));
        self.done.words.extend(result.words.into_iter().map(|w| HeardWord {
            start: w.start.saturating_sub(began),
            end: w.end.saturating_sub(began),
            ..w
        }));
    }
}

/// Word times are left as Vosk gives them: from the first sample it ever got.
fn owned(result: vosk::CompleteResult) -> Recognition {
    let Some(single) = result.single() else { return Recognition::default() };
    let seconds = |s: f32| Duration::try_from_secs_f32(s).unwrap_or_default();
    let words = single.result.iter().map(|w| HeardWord {
        text: w.word.to_owned(),
        start: seconds(w.start),
        end: seconds(w.end),
        confidence: w.conf.clamp(0.0, 1.0),
    });
    Recognition { text: single.text.to_owned(), words: words.collect() }
}

impl Recogniser for VoskRecogniser {
    fn accept(&mut self, samples: &[i16]) -> Result<(), RecogniserError> {
        let state = self.guarded(|v| v.accept_waveform(samples))?;
        self.fed += samples.len() as u64;
        match state {
            Ok(vosk::DecodingState::Running) => {}
            Ok(vosk::DecodingState::Finalized) => {
                let result = self.guarded(|v| owned(v.result()))?;
                self.append(result);
            }
            Ok(vosk::DecodingState::Failed) => return Err(RecogniserError("libvosk could not decode".into())),
            Err(e) => return Err(RecogniserError(e.to_string())),
        }
        Ok(())
    }

    fn partial(&mut self) -> Result<String, RecogniserError> {
        let running = self.guarded(|v| v.partial_result().partial.to_owned())?;
        let parts = [self.done.text.as_str(), &running];
        Ok(parts.iter().filter(|p| !p.is_empty()).copied().collect::<Vec<_>>().join(" "))
    }

    fn finish(&mut self) -> Result<Recognition, RecogniserError> {
        let result = self.guarded(|v| owned(v.final_result()))?;
        self.append(result);
        self.turn_began = self.fed;
        Ok(std::mem::take(&mut self.done))
    }
}
