//! The real models behind [`Engine`]: an encoder that recognises intents, if there is one, and a decoder that writes
//! replies and recognises intents where there is no encoder.

use super::{
    interface::{Class, Engine, EngineError, Model, ModelInput, Problem, Progress, Slice},
    measure::Stopwatch,
};
use crate::config::Config;
use auriga_lm::{
    decoder::session::Budget,
    dialogue::{
        error::LmError,
        turn::{Lm, Turn, TurnState},
    },
    intent::{
        catalogue::Catalogue,
        classifier::{ADAPTER_CONFIG, Classification, Classified, IntentClassifier},
        output::IntentOutput,
    },
};
use std::{fmt::Display, time::Duration};

/// The models, the intent work in progress and the reply in progress. A reply to an intent that the decoder recognised
/// continues the same turn, so that the decoder does not read its input twice.
struct Models {
    decoder: Option<Lm>,
    encoder: Option<IntentClassifier>,
    intent: Option<IntentRun>,
    /// The turn in which the decoder recognised the last intent.
    recognised: Option<(Turn, ModelInput)>,
    /// The reply in progress, and its limit in tokens.
    reply: Option<(Turn, usize)>,
    problem: Option<Problem>,
    /// `None` in replay.
    stopwatch: Option<Stopwatch>,
    last: Option<Slice>,
}

enum IntentRun {
    Encoder(Box<(Classification, ModelInput)>),
    Decoder(Box<(Turn, ModelInput)>),
}

/// Loads the models from the folders of the configuration. `stopwatch`: clocks for the measurement of slices; `None`: do
/// not measure.
///
/// # Errors
/// When neither model can be loaded: the reason, with what to do about it.
pub fn open(config: &Config, catalogue: &Catalogue, stopwatch: Option<Stopwatch>) -> Model {
    one_thread();
    let checkpoint = config.checkpoint.display();
    let decoder = Lm::load_as(&config.checkpoint, catalogue.clone(), config.precision)
        .map_err(|e| format!("no language model in {checkpoint} ({e}); set checkpoint to a folder with a model"));
    for note in decoder.iter().flat_map(Lm::notes) {
        tracing::info!("{note}");
    }
    let encoder = encoder(config, catalogue);
    if let (Err(no_decoder), Ok(None) | Err(_)) = (&decoder, &encoder) {
        return Err(no_decoder.clone());
    }
    let problems = [decoder.as_ref().err(), encoder.as_ref().err()].into_iter().flatten().cloned().collect::<Vec<_>>();
    Ok(Box::new(Models {
        decoder: decoder.ok(),
        encoder: encoder.ok().flatten(),
        intent: None,
        recognised: None,
        reply: None,
        problem: (!problems.is_empty()).then(|| Problem { text: problems.join("; "), is_lasting: true }),
        stopwatch,
        last: None,
    }))
}

/// Limits libtorch to one thread: a slice then takes one core at most, and sums are computed in the same order each time.
/// OpenMP keeps the number per calling thread, and a node need not run on the thread that loaded its models.
fn one_thread() {
    tch::set_num_threads(1);
}

/// The encoder; `None` if none is configured or its adapter is absent.
fn encoder(config: &Config, catalogue: &Catalogue) -> Result<Option<IntentClassifier>, String> {
    let (base, adapter) = (&config.encoder, &config.adapter);
    if base.as_os_str().is_empty() || !adapter.join(ADAPTER_CONFIG).exists() {
        return Ok(None);
    }
    if !base.exists() {
        let base = base.display();
        return Err(format!(
            "no encoder in {base} (encoder): run make setup; the decoder recognises intents in its place"
        ));
    }
    let loaded = IntentClassifier::load(base, adapter, catalogue.clone());
    loaded
        .map(Some)
        .map_err(|e| format!("the encoder cannot be used ({e}); the decoder recognises intents in its place"))
}

impl From<LmError> for EngineError {
    fn from(e: LmError) -> Self {
        EngineError(e.to_string())
    }
}

impl Models {
    fn decode(&mut self, input: &ModelInput) -> Result<(), EngineError> {
        let Some(lm) = &self.decoder else {
            return Err(EngineError("there is no decoder to recognise intents with".into()));
        };
        let turn = lm.turn(input.facts(), &input.text, lm.sampling())?;
        self.intent = Some(IntentRun::Decoder(Box::new((turn, input.clone()))));
        Ok(())
    }

    /// The encoder failed: keeps the problem for [`Engine::problem`], and the decoder takes over if there is one.
    fn encoder_failed(&mut self, input: &ModelInput, error: &impl Display) -> Result<(), EngineError> {
        if self.decoder.is_none() {
            return Err(EngineError(error.to_string()));
        }
        let text = format!("the encoder failed ({error}); the decoder recognised the intent in its place");
        self.problem = Some(Problem { text, is_lasting: false });
        self.decode(input)
    }

    fn step_intent(&mut self, layers: usize) -> Result<(usize, Progress), EngineError> {
        match (self.intent.as_mut(), &self.encoder, &self.decoder) {
            (Some(IntentRun::Encoder(work)), Some(encoder), _) => match work.0.step(encoder, Budget::layers(layers)) {
                Ok(step) => Ok(match step.state {
                    Classified::Done(output) => {
                        self.intent = None;
                        (step.layers, Progress::Intent(output))
                    }
                    Classified::Paused => (step.layers, Progress::Working),
                }),
                Err(e) => {
                    let input = work.1.clone();
                    self.encoder_failed(&input, &e).map(|()| (0, Progress::Working))
                }
            },
            (Some(IntentRun::Decoder(work)), _, Some(lm)) => {
                let step = work.0.step(lm, Budget::layers(layers))?;
                match step.state {
                    TurnState::Paused => Ok((step.layers, Progress::Working)),
                    TurnState::Understood(intent) => {
                        if let Some(IntentRun::Decoder(work)) = self.intent.take() {
                            self.recognised = Some(*work);
                        }
                        Ok((step.layers, Progress::Intent(intent)))
                    }
                    TurnState::Finished(_) => Err(EngineError("the model ended without an intent".into())),
                }
            }
            _ => Err(no_work(Class::Intent)),
        }
    }

    fn step_reply(&mut self, layers: usize) -> Result<(usize, Progress), EngineError> {
        let (Some((turn, max_tokens)), Some(lm)) = (&mut self.reply, &self.decoder) else {
            return Err(no_work(Class::Dialogue));
        };
        let (mut ran, mut finished) = (0, turn.reply_tokens() >= *max_tokens);
        if !finished {
            let step = turn.step(lm, Budget::layers(layers))?;
            (ran, finished) = (step.layers, matches!(step.state, TurnState::Finished(_)));
        }
        let text = turn.take_text();
        Ok(match (text.is_empty(), finished) {
            // Text that came with the end is returned first; the next call returns `Finished` without computing anything.
            (false, _) => (ran, Progress::Text(text)),
            (true, true) => (ran, Progress::Finished),
            (true, false) => (ran, Progress::Working),
        })
    }
}

impl Engine for Models {
    fn begin_intent(&mut self, input: &ModelInput) -> Result<(), EngineError> {
        one_thread();
        self.recognised = None;
        let Some(encoder) = &self.encoder else { return self.decode(input) };
        match encoder.classify(&input.context, &input.text) {
            Ok(run) => self.intent = Some(IntentRun::Encoder(Box::new((run, input.clone())))),
            Err(e) => return self.encoder_failed(input, &e),
        }
        Ok(())
    }

    fn can_reply(&self) -> bool {
        self.decoder.is_some()
    }

    fn begin_reply(&mut self, input: &ModelInput, intent: &IntentOutput, max_tokens: usize) -> Result<(), EngineError> {
        one_thread();
        let same = |(turn, of): &(Turn, ModelInput)| {
            of == input && turn.intent().is_some_and(|i| i.name == intent.name && i.slots == intent.slots)
        };
        let turn = match (self.recognised.take().filter(same), &self.decoder) {
            (Some((turn, _)), _) => turn,
            (None, Some(lm)) => lm.reply(input.facts(), &input.text, intent, lm.sampling())?,
            (None, None) => return Err(EngineError("there is no decoder to reply with".into())),
        };
        self.reply = Some((turn, max_tokens));
        Ok(())
    }

    fn advance(&mut self, class: Class, layers: usize) -> Result<Progress, EngineError> {
        one_thread();
        let begin = self.stopwatch.map(|now| now());
        let (layers, progress) = match class {
            Class::Intent => self.step_intent(layers)?,
            Class::Dialogue => self.step_reply(layers)?,
        };
        self.last = begin.zip(self.stopwatch).map(|(begin, now)| {
            let end = now();
            let since = |a: Duration, b: Duration| a.saturating_sub(b);
            Slice { layers, elapsed: since(end.monotonic, begin.monotonic), cpu: since(end.cpu, begin.cpu) }
        });
        Ok(progress)
    }

    fn last_slice(&self) -> Option<Slice> {
        self.last
    }

    fn problem(&mut self) -> Option<Problem> {
        self.problem.take()
    }

    fn abandon(&mut self, class: Class) {
        match class {
            Class::Intent => (self.intent, self.recognised) = (None, None),
            Class::Dialogue => self.reply = None,
        }
    }
}

fn no_work(class: Class) -> EngineError {
    EngineError(format!("{class:?} work was continued, but none had been started"))
}
