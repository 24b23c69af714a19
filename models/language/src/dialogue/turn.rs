//! A turn of the dialogue: scene and utterance in, the intent first, then the reply as it comes.

use crate::{
    decoder::{
        constraint::{Allowed, Guide},
        model::{Model, ModelError},
        sample::Sampling,
        session::{Budget, Finish, Generate, Session, SessionError, State},
    },
    dialogue::{
        chat::Chat,
        codec::Codec,
        fill::Filler,
        stop::StopStrings,
        template::TemplateError,
        tokenizer::{TextStream, Tokenizer, TokenizerError},
    },
    intent::{
        catalogue::Catalogue,
        constrained::{IntentGuide, IntentSource, Names},
        output::IntentOutput,
        prompt::clean_utterance,
        scene::SceneFacts,
        tool_call::ToolError,
    },
    kernels::linear::Precision,
};
use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

/// How a model is spoken to.
enum Dialect {
    /// In the format of [`crate::intent::prompt`], which the project's own models have learnt.
    Own(Arc<Codec>, Arc<Names>),
    /// In its own chat template.
    Chat(Box<Chat>),
}

/// A model with its tokenizer and the catalogue it speaks of.
pub struct Lm {
    model: Model,
    tokenizer: Arc<Tokenizer>,
    catalogue: Arc<Catalogue>,
    dialect: Dialect,
    sampling: Sampling,
}

/// Tokens a turn has room for: preamble, utterance, intent and [`MAX_REPLY_TOKENS`].
const TURN_TOKENS: usize = 384;
/// A reply that is longer is cut.
const MAX_REPLY_TOKENS: usize = 96;
/// The longest name and slots; the guide ends before.
const MAX_INTENT_TOKENS: usize = 128;

impl Lm {
    /// `checkpoint`: a folder as it is published on Hugging Face. Where its tokenizer has the special tokens of
    /// [`crate::intent::prompt`] it is spoken to in that format, otherwise in its chat template.
    pub fn load(checkpoint: &Path, catalogue: Catalogue) -> Result<Self, LmError> {
        Self::load_as(checkpoint, catalogue, Precision::F32)
    }

    /// In other numbers than 32-bit ones: its weights are rounded at load.
    pub fn load_as(checkpoint: &Path, catalogue: Catalogue, precision: Precision) -> Result<Self, LmError> {
        let tokenizer = Tokenizer::load(&checkpoint.join("tokenizer.json"))?;
        let model = Model::load_as(checkpoint, precision)?;
        let sampling = Sampling::suggested(&checkpoint.join("generation_config.json")).map_err(ModelError::from)?;
        if tokenizer.is_own() {
            let own = Self::new(model, tokenizer, catalogue, &checkpoint.display().to_string())?;
            return Ok(Self { sampling, ..own });
        }
        let (tokenizer, catalogue) = (Arc::new(tokenizer.with_special_tokens()), Arc::new(catalogue));
        fits(&model, &tokenizer, &checkpoint.display().to_string())?;
        let chat = Chat::load(checkpoint, &model, tokenizer.clone(), catalogue.clone())?;
        Ok(Self { model, tokenizer, catalogue, dialect: Dialect::Chat(Box::new(chat)), sampling })
    }

    /// Of a model that has learnt the format of [`crate::intent::prompt`]. `path`: for messages.
    pub fn new(model: Model, tokenizer: Tokenizer, catalogue: Catalogue, path: &str) -> Result<Self, LmError> {
        fits(&model, &tokenizer, path)?;
        let tokenizer = Arc::new(tokenizer);
        let codec = Arc::new(Codec::new(tokenizer.clone())?);
        let names = Arc::new(Names::new(&catalogue, &codec)?);
        let (catalogue, dialect) = (Arc::new(catalogue), Dialect::Own(codec, names));
        Ok(Self { model, tokenizer, catalogue, dialect, sampling: Sampling::GREEDY })
    }

    pub fn model(&self) -> &Model {
        &self.model
    }

    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// What the checkpoint's `generation_config.json` suggests for replies, for who has no other wish; greedy where there is
    /// none.
    pub fn sampling(&self) -> Sampling {
        self.sampling
    }

    /// A session with the scene pushed, to be fed ([`Session::step`] until [`State::Idle`]) while the driver still speaks;
    /// [`Lm::turn_after`] goes on from it, as often as one likes.
    pub fn scene(&self, scene: &SceneFacts) -> Result<Session, LmError> {
        match &self.dialect {
            Dialect::Own(codec, _) => {
                let mut session = Session::new(&self.model, TURN_TOKENS);
                session.push(&codec.scene_part(scene)?)?;
                Ok(session)
            }
            Dialect::Chat(chat) => chat.scene(&self.model, scene),
        }
    }

    /// Turns to come begin with what `fed` has read, as far as they read the same: of a model that is spoken to in its chat
    /// template this is the list of intents, which takes it longer than all that follows. A model's first turn is kept so by
    /// itself; this is for reading it before anybody has spoken (`fed`: what [`Lm::scene`] made of any scene).
    pub fn keep(&self, fed: &Session) {
        if let Dialect::Chat(chat) = &self.dialect {
            chat.keep(fed);
        }
    }

    /// A turn from its beginning. `sampling` is of the reply: the intent is always the likeliest one.
    pub fn turn(&self, scene: &SceneFacts, utterance: &str, sampling: Sampling) -> Result<Turn, LmError> {
        self.begin(None, scene, utterance, sampling)
    }

    /// A turn after a scene that has been fed: `fed` is what [`Lm::scene`] made of `scene`.
    pub fn turn_after(
        &self,
        fed: &Session,
        scene: &SceneFacts,
        utterance: &str,
        sampling: Sampling,
    ) -> Result<Turn, LmError> {
        self.begin(Some(fed), scene, utterance, sampling)
    }

    /// A turn whose intent somebody else has understood: it begins with the reply.
    pub fn reply(
        &self,
        scene: &SceneFacts,
        utterance: &str,
        intent: &IntentOutput,
        sampling: Sampling,
    ) -> Result<Turn, LmError> {
        let utterance = words(utterance)?;
        let session = match &self.dialect {
            Dialect::Own(codec, _) => {
                let mut session = self.scene(scene)?;
                session.push(&codec.user_part(&utterance)?)?;
                session.push(&codec.intent_part(intent)?)?;
                session
            }
            Dialect::Chat(chat) => chat.reply(&self.model, scene, &utterance, intent)?,
        };
        Ok(Turn::new(session, None, scene, Some(intent.clone()), sampling))
    }

    fn begin(
        &self,
        fed: Option<&Session>,
        scene: &SceneFacts,
        utterance: &str,
        sampling: Sampling,
    ) -> Result<Turn, LmError> {
        let utterance = words(utterance)?;
        let (mut session, guide) = match &self.dialect {
            Dialect::Own(codec, names) => {
                let mut session = fed.map_or_else(|| self.scene(scene), |fed| Ok(fed.fork()?))?;
                session.push(&codec.user_part(&utterance)?)?;
                let guide = IntentGuide::new(self.catalogue.clone(), codec.clone(), names.clone(), &utterance);
                (session, Shared::new(guide))
            }
            Dialect::Chat(chat) => {
                let (session, guide) = chat.turn(&self.model, fed, scene, &utterance)?;
                (session, Shared::new(guide))
            }
        };
        session.generate(Generate {
            sampling: Sampling::GREEDY,
            max_tokens: MAX_INTENT_TOKENS,
            stop: Vec::new(),
            guide: Some(Box::new(guide.clone())),
        });
        Ok(Turn::new(session, Some(guide), scene, None, sampling))
    }
}

/// An utterance as models read it.
fn words(utterance: &str) -> Result<String, LmError> {
    let utterance = clean_utterance(utterance);
    if utterance.is_empty() { Err(LmError::NoWords) } else { Ok(utterance) }
}

fn fits(model: &Model, tokenizer: &Tokenizer, path: &str) -> Result<(), LmError> {
    let (size, vocabulary) = (tokenizer.vocabulary(), model.config().vocab_size);
    if size as i64 > vocabulary {
        return Err(LmError::Vocabulary { path: path.into(), largest: size - 1, vocabulary });
    }
    Ok(())
}

/// The guide is led by the session and read by the turn.
#[derive(Clone)]
struct Shared(Arc<Mutex<dyn IntentSource>>);

impl Shared {
    fn new(guide: impl IntentSource + 'static) -> Self {
        Self(Arc::new(Mutex::new(guide)))
    }

    fn with<T>(&self, f: impl FnOnce(&mut dyn IntentSource) -> T) -> T {
        f(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
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
    /// A reply of a chat is one line.
    stops: StopStrings,
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
        Self {
            session,
            guide,
            sampling,
            scene: scene.clone(),
            intent,
            reply: None,
            read: 0,
            stream: TextStream::default(),
            stops: StopStrings::default(),
            text: String::new(),
        }
    }

    /// Goes on until the budget is spent, the intent is there, or the reply is complete.
    pub fn step(&mut self, lm: &Lm, budget: Budget) -> Result<TurnStep, LmError> {
        if let (Some(intent), None) = (&self.intent, &self.reply) {
            self.reply = Some(Filler::new(self.scene.clone(), intent.slots.clone()));
            let stop = match &lm.dialect {
                Dialect::Own(codec, _) => vec![codec.end],
                Dialect::Chat(chat) => {
                    chat.keep(&self.session);
                    self.session.push(&chat.gap()?)?;
                    self.stops = StopStrings::new(&["\n".into()]);
                    chat.stop.clone()
                }
            };
            let (sampling, max_tokens) = (self.sampling, MAX_REPLY_TOKENS);
            self.session.generate(Generate { sampling, max_tokens, stop, guide: None });
        }
        if self.stops.hit() {
            return Ok(TurnStep { layers: 0, state: TurnState::Finished(Finish::Stop) });
        }
        let step = self.session.step(&lm.model, budget)?;
        let mut state = match step.state {
            State::Finished(finish) if self.reply.is_some() => TurnState::Finished(finish),
            State::Finished(_) => {
                self.intent = self.guide.as_ref().and_then(|guide| guide.with(|g| g.output()));
                TurnState::Understood
            }
            State::Paused | State::Idle => TurnState::Paused,
        };
        if let Some(filler) = &mut self.reply {
            for &token in &self.session.generated()[self.read..] {
                let piece = self.stops.push(&lm.tokenizer.decode_next(token, &mut self.stream)?);
                self.text += &filler.push(&piece);
                self.read += 1;
            }
            if self.stops.hit() {
                state = TurnState::Finished(Finish::Stop);
            } else if matches!(state, TurnState::Finished(_)) {
                self.text += &filler.push(&self.stops.finish());
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
