//! The real model behind [`Engine`]: a checkpoint run by `auriga_lm`.

use crate::engine::{Ask, Class, Engine, EngineError, Progress};
use auriga_lm::{
    catalogue::Catalogue,
    sample::Sampling,
    session::Budget,
    turn::{Lm, LmError, Turn, TurnState},
};
use std::path::Path;

/// One model, a turn whose intent is worked out, and a turn whose reply is. A reply goes on in the turn of its intent,
/// so nothing that was read is read again.
struct LmEngine {
    lm: Lm,
    intent: Option<Turn>,
    reply: Option<(Turn, usize)>,
}

/// The model of a folder, or the reason why there is none, with what to do about it.
pub fn open(checkpoint: &Path, catalogue: &Catalogue) -> crate::Model {
    // One thread: a slice then takes one core and no more, and sums come out in the same order each time.
    tch::set_num_threads(1);
    match Lm::load(checkpoint, catalogue.clone()) {
        Ok(lm) => Ok(Box::new(LmEngine { lm, intent: None, reply: None })),
        Err(e) => {
            Err(format!("no language model in {} ({e}); set checkpoint to a folder with one", checkpoint.display()))
        }
    }
}

impl From<LmError> for EngineError {
    fn from(e: LmError) -> Self {
        EngineError(e.to_string())
    }
}

impl Engine for LmEngine {
    fn begin_intent(&mut self, ask: &Ask) -> Result<(), EngineError> {
        self.intent = Some(self.lm.turn(&ask.facts, &ask.text, Sampling::GREEDY)?);
        Ok(())
    }

    fn begin_reply(&mut self, max_tokens: usize) -> Result<(), EngineError> {
        let understood = self.intent.take().filter(|turn| turn.intent().is_some());
        let turn = understood.ok_or_else(|| EngineError("a reply was asked for before an intent was there".into()))?;
        self.reply = Some((turn, max_tokens));
        Ok(())
    }

    fn advance(&mut self, class: Class, layers: usize) -> Result<Progress, EngineError> {
        let budget = Budget::layers(layers);
        match class {
            Class::Intent => {
                let turn = self.intent.as_mut().ok_or_else(|| nothing(class))?;
                let step = turn.step(&self.lm, budget)?;
                Ok(match (step.state, turn.intent()) {
                    (TurnState::Understood, Some(intent)) => Progress::Intent(intent.clone()),
                    (TurnState::Paused, _) => Progress::Working,
                    _ => return Err(EngineError("the model ended without an intent".into())),
                })
            }
            Class::Dialogue => {
                let (turn, max_tokens) = self.reply.as_mut().ok_or_else(|| nothing(class))?;
                let long_enough = turn.reply_tokens() >= *max_tokens;
                let finished = long_enough || matches!(turn.step(&self.lm, budget)?.state, TurnState::Finished(_));
                let text = turn.take_text();
                Ok(match (text.is_empty(), finished) {
                    // What came with the end is told first; asked again, a finished turn has nothing to compute.
                    (false, _) => Progress::Text(text),
                    (true, true) => Progress::Finished,
                    (true, false) => Progress::Working,
                })
            }
        }
    }

    fn abandon(&mut self, class: Class) {
        match class {
            Class::Intent => self.intent = None,
            Class::Dialogue => self.reply = None,
        }
    }
}

fn nothing(class: Class) -> EngineError {
    EngineError(format!("{class:?} work was to go on, but none was begun"))
}
