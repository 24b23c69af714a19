//! The real models behind [`Engine`]: the encoder that understands, if there is one, and the decoder that replies and
//! otherwise understands as well.

use crate::{
    Config,
    engine::{
        interface::{Class, Engine, EngineError, ModelInput, Progress, Slice},
        measure::Stopwatch,
    },
};
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

/// The models, an utterance that is being understood, and a reply. A reply to what the decoder understood goes on in the
/// turn of its intent, so nothing that was read is read again.
struct Models {
    decoder: Option<Lm>,
    encoder: Option<IntentEncoder>,
    intent: Option<IntentRun>,
    understood: Option<(Turn, ModelInput)>,
    reply: Option<(Turn, usize)>,
    problem: Option<String>,
    /// Live only.
    stopwatch: Option<Stopwatch>,
    last: Option<Slice>,
}

enum IntentRun {
    Encoder(Box<(Classification, ModelInput)>),
    Decoder(Box<(Turn, ModelInput)>),
}

/// The models of the configuration's folders, or the reason why there are none, with what to do about it. `stopwatch`:
/// slices are to be measured.
pub fn open(config: &Config, catalogue: &Catalogue, stopwatch: Option<Stopwatch>) -> crate::Model {
    one_thread();
    let checkpoint = config.checkpoint.display();
    let decoder = Lm::load_as(&config.checkpoint, catalogue.clone(), config.precision)
        .map_err(|e| format!("no language model in {checkpoint} ({e}); set checkpoint to a folder with one"));
    let encoder = encoder(config, catalogue);
    if let (Err(no_decoder), Ok(None) | Err(_)) = (&decoder, &encoder) {
        return Err(no_decoder.clone());
    }
    let problems = [decoder.as_ref().err(), encoder.as_ref().err()].into_iter().flatten().cloned().collect::<Vec<_>>();
    Ok(Box::new(Models {
        decoder: decoder.ok(),
        encoder: encoder.ok().flatten(),
        intent: None,
        understood: None,
        reply: None,
        problem: (!problems.is_empty()).then(|| problems.join("; ")),
        stopwatch,
        last: None,
    }))
}

/// One thread: a slice then takes one core and no more, and sums come out in the same order each time. OpenMP keeps the
/// number for each calling thread, and a node need not be run by the thread that opened its models.
fn one_thread() {
    tch::set_num_threads(1);
}

/// The encoder, if its adapter is there.
fn encoder(config: &Config, catalogue: &Catalogue) -> Result<Option<IntentClassifier>, String> {
    let (base, adapter) = (&config.encoder, &config.adapter);
    if base.as_os_str().is_empty() || !adapter.join(ADAPTER_CONFIG).exists() {
        return Ok(None);
    }
    if !base.exists() {
        let base = base.display();
        return Err(format!("no encoder in {base} (encoder): run make setup; the decoder understands in its place"));
    }
    let loaded = IntentClassifier::load(base, adapter, catalogue.clone());
    loaded.map(Some).map_err(|e| format!("the encoder cannot be used ({e}); the decoder understands in its place"))
}

impl From<LmError> for EngineError {
    fn from(e: LmError) -> Self {
        EngineError(e.to_string())
    }
}

impl Models {
    fn decode(&mut self, ask: &ModelInput) -> Result<(), EngineError> {
        let Some(lm) = &self.decoder else { return Err(EngineError("there is no decoder to understand with".into())) };
        let turn = lm.turn(ask.facts(), &ask.text, lm.sampling())?;
        self.intent = Some(IntentRun::Decoder(Box::new((turn, ask.clone()))));
        Ok(())
    }

    /// The encoder failed: told, and the decoder takes over if there is one.
    fn encoder_failed(&mut self, ask: &ModelInput, error: &impl Display) -> Result<(), EngineError> {
        if self.decoder.is_none() {
            return Err(EngineError(error.to_string()));
        }
        self.problem = Some(format!("the encoder failed ({error}); the decoder understood in its place"));
        self.decode(ask)
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
                    let ask = work.1.clone();
                    self.encoder_failed(&ask, &e).map(|()| (0, Progress::Working))
                }
            },
            (Some(IntentRun::Decoder(work)), _, Some(lm)) => {
                let step = work.0.step(lm, Budget::layers(layers))?;
                let intent = work.0.intent().cloned();
                match (step.state, intent) {
                    (TurnState::Paused, _) => Ok((step.layers, Progress::Working)),
                    (TurnState::Understood, Some(intent)) => {
                        if let Some(IntentRun::Decoder(work)) = self.intent.take() {
                            self.understood = Some(*work);
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
            // What came with the end is told first; asked again, a finished turn has nothing to compute.
            (false, _) => (ran, Progress::Text(text)),
            (true, true) => (ran, Progress::Finished),
            (true, false) => (ran, Progress::Working),
        })
    }
}

impl Engine for Models {
    fn begin_intent(&mut self, ask: &ModelInput) -> Result<(), EngineError> {
        one_thread();
        self.understood = None;
        let Some(encoder) = &self.encoder else { return self.decode(ask) };
        match encoder.classify(&ask.context, &ask.text) {
            Ok(run) => self.intent = Some(IntentRun::Encoder(Box::new((run, ask.clone())))),
            Err(e) => return self.encoder_failed(ask, &e),
        }
        Ok(())
    }

    fn can_reply(&self) -> bool {
        self.decoder.is_some()
    }

    fn begin_reply(&mut self, ask: &ModelInput, intent: &IntentOutput, max_tokens: usize) -> Result<(), EngineError> {
        one_thread();
        let same = |(turn, of): &(Turn, ModelInput)| {
            of == ask && turn.intent().is_some_and(|i| i.name == intent.name && i.slots == intent.slots)
        };
        let turn = match (self.understood.take().filter(same), &self.decoder) {
            (Some((turn, _)), _) => turn,
            (None, Some(lm)) => lm.reply(ask.facts(), &ask.text, intent, lm.sampling())?,
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
            Slice { layers, wall: since(end.wall, begin.wall), cpu: since(end.cpu, begin.cpu) }
        });
        Ok(progress)
    }

    fn last_slice(&self) -> Option<Slice> {
        self.last
    }

    fn problem(&mut self) -> Option<String> {
        self.problem.take()
    }

    fn abandon(&mut self, class: Class) {
        match class {
            Class::Intent => (self.intent, self.understood) = (None, None),
            Class::Dialogue => self.reply = None,
        }
    }
}

fn no_work(class: Class) -> EngineError {
    EngineError(format!("{class:?} work was to go on, but none was begun"))
}
