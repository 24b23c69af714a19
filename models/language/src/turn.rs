//! A turn of the dialogue: scene and utterance in, the intent first, then the reply as it comes.

use crate::{
    catalogue::Catalogue,
    codec::Codec,
    fill::Filler,
    guide::{Allowed, Guide, IntentGuide, Names},
    model::{Model, ModelError},
    prompt::{IntentOutput, SceneFacts, clean_utterance},
    sample::Sampling,
    session::{Budget, Finish, Generate, Session, SessionError, State},
    tokenizer::{TextStream, Tokenizer, TokenizerError},
};
use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

#[derive(Debug, thiserror::Error)]
pub enum LmError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(
        "{path}: tokenizer.json has token ids up to {largest}, the model a vocabulary of {vocabulary}: they do not belong together"
    )]
    Vocabulary { path: String, largest: usize, vocabulary: i64 },
    #[error("an utterance without words")]
    NoWords,
}

/// A model with its tokenizer and the catalogue it speaks of.
pub struct Lm {
    model: Model,
    codec: Arc<Codec>,
    catalogue: Arc<Catalogue>,
    names: Arc<Names>,
}

/// Tokens a turn has room for: preamble, utterance, intent and [`MAX_REPLY_TOKENS`].
const TURN_TOKENS: usize = 384;
/// A reply that is longer is cut.
const MAX_REPLY_TOKENS: usize = 96;
/// The longest name and slots; the guide ends before.
const MAX_INTENT_TOKENS: usize = 128;

impl Lm {
    /// `checkpoint`: a folder in Hugging Face layout whose tokenizer has the special tokens of [`crate::prompt`].
    pub fn load(checkpoint: &Path, catalogue: Catalogue) -> Result<Self, LmError> {
        let tokenizer = Tokenizer::load(&checkpoint.join("tokenizer.json"))?;
        let model = Model::load(checkpoint)?;
        Self::new(model, tokenizer, catalogue, &checkpoint.display().to_string())
    }

    /// `path`: for messages.
    pub fn new(model: Model, tokenizer: Tokenizer, catalogue: Catalogue, path: &str) -> Result<Self, LmError> {
        let (size, vocabulary) = (tokenizer.vocabulary(), model.config().vocab_size);
        if size as i64 > vocabulary {
            return Err(LmError::Vocabulary { path: path.into(), largest: size - 1, vocabulary });
        }
        let codec = Arc::new(Codec::new(tokenizer)?);
        let names = Arc::new(Names::new(&catalogue, &codec)?);
        Ok(Self { model, codec, catalogue: Arc::new(catalogue), names })
    }

    pub fn model(&self) -> &Model {
        &self.model
    }

    pub fn codec(&self) -> &Codec {
        &self.codec
    }

    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// A session with the scene pushed, to be fed ([`Session::step`] until [`State::Idle`]) while the driver still speaks;
    /// [`Lm::turn_after`] goes on from it, as often as one likes.
    pub fn scene(&self, scene: &SceneFacts) -> Result<Session, LmError> {
        let mut session = Session::new(&self.model, TURN_TOKENS);
        session.push(&self.codec.scene_part(scene)?)?;
        Ok(session)
    }

    /// A turn from its beginning.
    pub fn turn(&self, scene: &SceneFacts, utterance: &str, sampling: Sampling) -> Result<Turn, LmError> {
        let session = self.scene(scene)?;
        self.begin(session, scene, utterance, sampling)
    }

    /// A turn after a scene that has been fed: `fed` is what [`Lm::scene`] made of `scene`.
    pub fn turn_after(
        &self,
        fed: &Session,
        scene: &SceneFacts,
        utterance: &str,
        sampling: Sampling,
    ) -> Result<Turn, LmError> {
        self.begin(fed.fork()?, scene, utterance, sampling)
    }

    /// A turn whose intent somebody else has understood: it begins with the reply.
    pub fn reply(
        &self,
        scene: &SceneFacts,
        utterance: &str,
        intent: &IntentOutput,
        sampling: Sampling,
    ) -> Result<Turn, LmError> {
        let utterance = clean_utterance(utterance);
        if utterance.is_empty() {
            return Err(LmError::NoWords);
        }
        let mut session = self.scene(scene)?;
        session.push(&self.codec.user_part(&utterance)?)?;
        session.push(&self.codec.intent_part(intent)?)?;
        Ok(Turn::new(session, None, scene, Some(intent.clone()), sampling))
    }

    fn begin(
        &self,
        mut session: Session,
        scene: &SceneFacts,
        utterance: &str,
        sampling: Sampling,
    ) -> Result<Turn, LmError> {
        let utterance = clean_utterance(utterance);
        if utterance.is_empty() {
            return Err(LmError::NoWords);
        }
        session.push(&self.codec.user_part(&utterance)?)?;
        let guide = IntentGuide::new(self.catalogue.clone(), self.codec.clone(), self.names.clone(), &utterance);
        let guide = Shared(Arc::new(Mutex::new(guide)));
        session.generate(Generate {
            sampling: Sampling::GREEDY,
            max_tokens: MAX_INTENT_TOKENS,
            stop: Vec::new(),
            guide: Some(Box::new(guide.clone())),
        });
        Ok(Turn::new(session, Some(guide), scene, None, sampling))
    }
}

/// The guide is led by the session and read by the turn.
#[derive(Clone)]
struct Shared(Arc<Mutex<IntentGuide>>);

impl Shared {
    fn with<T>(&self, f: impl FnOnce(&mut IntentGuide) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Guide for Shared {
    fn allowed(&self) -> Allowed {
        self.with(|g| g.allowed())
    }

    fn advance(&mut self, token: u32, probability: f64) {
        self.with(|g| g.advance(token, probability));
    }
}

/// Where a step has left the turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnState {
    /// The budget is spent; there is more to do.
    Paused,
    /// The intent is there ([`Turn::intent`]). The next step goes on with the reply; drop the turn if none is wanted.
    Understood,
    /// The reply is complete.
    Finished(Finish),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurnStep {
    /// Layers run in this step.
    pub layers: usize,
    pub state: TurnState,
}

/// One utterance on its way to intent and reply. Drop it to cancel.
pub struct Turn {
    session: Session,
    /// None where the intent was given.
    guide: Option<Shared>,
    sampling: Sampling,
    scene: SceneFacts,
    intent: Option<IntentOutput>,
    /// Puts the values into the reply, from its first step on.
    reply: Option<Filler>,
    /// Tokens of the reply that are in `text` or `stream`.
    read: usize,
    stream: TextStream,
    text: String,
}

impl Turn {
    fn new(
        session: Session,
        guide: Option<Shared>,
        scene: &SceneFacts,
        intent: Option<IntentOutput>,
        sampling: Sampling,
    ) -> Self {
        let (scene, stream) = (scene.clone(), TextStream::default());
        Self { session, guide, sampling, scene, intent, reply: None, read: 0, stream, text: String::new() }
    }

    /// Goes on until the budget is spent, the intent is there, or the reply is complete.
    pub fn step(&mut self, lm: &Lm, budget: Budget) -> Result<TurnStep, LmError> {
        if let (Some(intent), None) = (&self.intent, &self.reply) {
            self.reply = Some(Filler::new(self.scene.clone(), intent.slots.clone()));
            self.session.generate(Generate {
                sampling: self.sampling,
                max_tokens: MAX_REPLY_TOKENS,
                stop: vec![lm.codec.end],
                guide: None,
            });
        }
        let step = self.session.step(&lm.model, budget)?;
        let state = match step.state {
            State::Finished(finish) if self.reply.is_some() => TurnState::Finished(finish),
            State::Finished(_) => {
                self.intent = self.guide.as_ref().and_then(|guide| guide.with(|g| g.output()));
                TurnState::Understood
            }
            State::Paused | State::Idle => TurnState::Paused,
        };
        if let Some(filler) = &mut self.reply {
            for &token in &self.session.generated()[self.read..] {
                self.text += &filler.push(&lm.codec.decode_next(token, &mut self.stream)?);
                self.read += 1;
            }
        }
        Ok(TurnStep { layers: step.layers, state })
    }

    /// What was understood, from [`TurnState::Understood`] on.
    pub fn intent(&self) -> Option<&IntentOutput> {
        self.intent.as_ref()
    }

    /// The text of the reply that has come since it was last asked for.
    pub fn take_text(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    /// Tokens of the reply so far.
    pub fn reply_tokens(&self) -> usize {
        self.read
    }
}
