//! A turn of the dialogue: from scene and utterance to the intent, then to the reply, piece by piece.

use crate::{
    decoder::{
        constraint::{Allowed, Constraint},
        gguf::{self, Gguf},
        model::{Model, ModelError},
        sample::Sampling,
        session::{Budget, Finish, Generate, Session, State},
    },
    dialogue::{
        chat::Chat,
        codec::Codec,
        error::LmError,
        fill::ReplyFiller,
        stop::StopStrings,
        template::{ChatTemplate, TemplateError},
        tokenizer::{TextStream, Tokenizer},
    },
    intent::{
        catalogue::Catalogue,
        constrained::{CatalogueConstraint, IntentConstraint, NameTrie},
        output::IntentOutput,
        prompt::clean_utterance,
        scene::SceneFacts,
    },
    kernels::linear::Precision,
};
use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

/// The text format in which a model is prompted.
enum PromptFormat {
    /// The format of [`crate::intent::prompt`], which `auriga-lm train` teaches.
    Native(Arc<Codec>, Arc<NameTrie>),
    /// The model's own chat template.
    Chat(Box<Chat>),
}

/// A decoder with its tokenizer and the intent catalogue.
pub struct Lm {
    model: Model,
    tokenizer: Arc<Tokenizer>,
    catalogue: Arc<Catalogue>,
    format: PromptFormat,
    sampling: Sampling,
    notes: Vec<String>,
}

/// Cache capacity of a turn in tokens: scene, utterance, intent and [`MAX_REPLY_TOKENS`].
const TURN_TOKENS: usize = 512;
/// A longer reply is cut.
const MAX_REPLY_TOKENS: usize = 96;
/// An upper bound on the tokens of an intent; the constraint is complete before.
const MAX_INTENT_TOKENS: usize = 128;

impl Lm {
    /// Loads a checkpoint folder in Hugging Face layout, or a GGUF file, in 32-bit floating point. If its tokenizer has the special tokens
    /// of [`crate::intent::prompt`] it is prompted in that format, otherwise in its chat template.
    ///
    /// # Errors
    /// A file that is missing, damaged or not supported; see [`LmError`].
    pub fn load(checkpoint: &Path, catalogue: Catalogue) -> Result<Self, LmError> {
        Self::load_as(checkpoint, catalogue, Precision::F32)
    }

    /// As [`Lm::load`], with the weights converted to `precision`.
    ///
    /// # Errors
    /// As [`Lm::load`].
    pub fn load_as(checkpoint: &Path, catalogue: Catalogue, precision: Precision) -> Result<Self, LmError> {
        if let Some(file) = gguf::find(checkpoint) {
            return Self::load_gguf(&file, catalogue, precision);
        }
        let tokenizer = Tokenizer::load(&checkpoint.join("tokenizer.json"))?;
        let model = Model::load_as(checkpoint, precision)?;
        let generation = Sampling::suggested_with_notes(&checkpoint.join("generation_config.json"));
        let (sampling, more_notes) = generation.map_err(ModelError::from)?;
        let named = |file: &str, notes: &[String]| -> Vec<String> {
            notes.iter().map(|note| format!("{}: {note}", checkpoint.join(file).display())).collect()
        };
        let notes =
            [named("config.json", &model.config().notes), named("generation_config.json", &more_notes)].concat();
        if tokenizer.has_prompt_tokens() {
            let native = Self::new(model, tokenizer, catalogue, &checkpoint.display().to_string())?;
            return Ok(Self { sampling, notes, ..native });
        }
        let template = ChatTemplate::load(checkpoint)?;
        let lm = Self::with_template(model, tokenizer, catalogue, template, checkpoint.display().to_string())?;
        Ok(Self { sampling, notes, ..lm })
    }

    /// Loads a GGUF file, with the tokenizer and the chat template that are in it.
    fn load_gguf(file: &Path, catalogue: Catalogue, precision: Precision) -> Result<Self, LmError> {
        let path = file.display().to_string();
        let model = Model::load_as(file, precision)?;
        let metadata = Gguf::open(file).map_err(ModelError::from)?;
        let json = gguf::tokenizer::tokenizer(&metadata).map_err(ModelError::from)?;
        let tokenizer = Tokenizer::from_json(&json, &path)?;
        let Some((source, config)) = gguf::tokenizer::template(&metadata) else {
            return Err(TemplateError::None { path }.into());
        };
        let template = ChatTemplate::new(&source, &config, &path)?;
        Self::with_template(model, tokenizer, catalogue, template, path)
    }

    /// A model that is prompted in its chat template.
    fn with_template(
        model: Model,
        tokenizer: Tokenizer,
        catalogue: Catalogue,
        template: ChatTemplate,
        path: String,
    ) -> Result<Self, LmError> {
        let (tokenizer, catalogue) = (Arc::new(tokenizer.with_special_tokens()), Arc::new(catalogue));
        fits(&model, &tokenizer, &path)?;
        let chat = Chat::new(template, path, &model, tokenizer.clone(), catalogue.clone())?;
        let format = PromptFormat::Chat(Box::new(chat));
        Ok(Self { model, tokenizer, catalogue, format, sampling: Sampling::GREEDY, notes: Vec::new() })
    }

    /// From a model that was trained on the format of [`crate::intent::prompt`]. `path` is named in error messages.
    ///
    /// # Errors
    /// A tokenizer that does not belong to the model.
    pub fn new(model: Model, tokenizer: Tokenizer, catalogue: Catalogue, path: &str) -> Result<Self, LmError> {
        fits(&model, &tokenizer, path)?;
        let tokenizer = Arc::new(tokenizer);
        let codec = Arc::new(Codec::new(tokenizer.clone())?);
        let names = Arc::new(NameTrie::new(&catalogue, &codec)?);
        let (catalogue, format) = (Arc::new(catalogue), PromptFormat::Native(codec, names));
        Ok(Self { model, tokenizer, catalogue, format, sampling: Sampling::GREEDY, notes: Vec::new() })
    }

    /// The decoder.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The intent catalogue.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The sampling that the checkpoint's `generation_config.json` suggests for replies; greedy if there is no such file.
    pub fn sampling(&self) -> Sampling {
        self.sampling
    }

    /// What of the checkpoint's files is not known and not used, a sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// A session whose prompt ends after the scene. Run it ([`Session::step`] until [`State::Idle`]) while the driver still
    /// speaks; [`Lm::turn_after`] then continues from it, any number of times.
    ///
    /// # Errors
    /// A prompt that does not fit into the context.
    pub fn scene(&self, scene: &SceneFacts) -> Result<Session, LmError> {
        match &self.format {
            PromptFormat::Native(codec, _) => {
                let mut session = Session::new(&self.model, TURN_TOKENS);
                session.push(&codec.scene_part(scene)?)?;
                Ok(session)
            }
            PromptFormat::Chat(chat) => chat.scene(&self.model, scene),
        }
    }

    /// Keeps the tokens that `session` has processed as a shared prefix of later turns. With a chat template this prefix
    /// holds the list of intents, which takes longer than the rest of the prompt. The first turn keeps its prefix by itself;
    /// call this with a session of [`Lm::scene`] to prepare it before the first utterance.
    pub fn cache_prefix(&self, session: &Session) {
        if let PromptFormat::Chat(chat) = &self.format {
            chat.cache_prefix(session);
        }
    }

    /// Begins a turn. `sampling` applies to the reply; the intent is always decoded greedily.
    ///
    /// # Errors
    /// An utterance without words, or one that does not fit into the context.
    pub fn turn(&self, scene: &SceneFacts, utterance: &str, sampling: Sampling) -> Result<Turn, LmError> {
        self.begin(None, scene, utterance, sampling)
    }

    /// Begins a turn after `session`, which [`Lm::scene`] made from the same `scene` and which has been run until
    /// [`State::Idle`].
    ///
    /// # Errors
    /// As [`Lm::turn`], and a session that still has tokens to process.
    pub fn turn_after(
        &self,
        session: &Session,
        scene: &SceneFacts,
        utterance: &str,
        sampling: Sampling,
    ) -> Result<Turn, LmError> {
        self.begin(Some(session), scene, utterance, sampling)
    }

    /// Begins a turn whose intent is known already, for example from the classifier: it starts with the reply.
    ///
    /// # Errors
    /// As [`Lm::turn`].
    pub fn reply(
        &self,
        scene: &SceneFacts,
        utterance: &str,
        intent: &IntentOutput,
        sampling: Sampling,
    ) -> Result<Turn, LmError> {
        let utterance = non_empty(utterance)?;
        let session = match &self.format {
            PromptFormat::Native(codec, _) => {
                let mut session = self.scene(scene)?;
                session.push(&codec.user_part(&utterance)?)?;
                session.push(&codec.intent_part(intent)?)?;
                session
            }
            PromptFormat::Chat(chat) => chat.reply(&self.model, scene, &utterance, intent)?,
        };
        Ok(Turn::new(session, None, scene, Some(intent.clone()), sampling))
    }

    fn begin(
        &self,
        scene_session: Option<&Session>,
        scene: &SceneFacts,
        utterance: &str,
        sampling: Sampling,
    ) -> Result<Turn, LmError> {
        let utterance = non_empty(utterance)?;
        let (mut session, constraint) = match &self.format {
            PromptFormat::Native(codec, names) => {
                let mut session = scene_session.map_or_else(|| self.scene(scene), |session| Ok(session.fork()?))?;
                session.push(&codec.user_part(&utterance)?)?;
                let constraint =
                    CatalogueConstraint::new(self.catalogue.clone(), codec.clone(), names.clone(), &utterance);
                (session, SharedConstraint::new(constraint))
            }
            PromptFormat::Chat(chat) => {
                let (session, constraint) = chat.turn(&self.model, scene_session, scene, &utterance)?;
                (session, SharedConstraint::new(constraint))
            }
        };
        session.generate(Generate {
            sampling: Sampling::GREEDY,
            max_tokens: MAX_INTENT_TOKENS,
            stop: Vec::new(),
            constraint: Some(Box::new(constraint.clone())),
        });
        Ok(Turn::new(session, Some(constraint), scene, None, sampling))
    }
}

/// The normalized utterance; an error if it has no words.
fn non_empty(utterance: &str) -> Result<String, LmError> {
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

/// A constraint that the session advances and the turn reads.
#[derive(Clone)]
struct SharedConstraint(Arc<Mutex<dyn IntentConstraint>>);

impl SharedConstraint {
    fn new(constraint: impl IntentConstraint + 'static) -> Self {
        Self(Arc::new(Mutex::new(constraint)))
    }

    fn with<T>(&self, f: impl FnOnce(&mut dyn IntentConstraint) -> T) -> T {
        f(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Constraint for SharedConstraint {
    fn allowed(&self) -> Allowed {
        self.with(|c| c.allowed())
    }

    fn advance(&mut self, token: u32, probability: f64) {
        self.with(|c| c.advance(token, probability));
    }
}

/// State of a turn after a step.
#[derive(Debug, Clone, PartialEq)]
pub enum TurnState {
    /// The budget is used up; there is more to do.
    Paused,
    /// The intent is complete. The next step continues with the reply; drop the turn if no reply is needed.
    Understood(IntentOutput),
    /// The reply is complete.
    Finished(Finish),
}

/// The result of [`Turn::step`].
#[derive(Debug, Clone, PartialEq)]
pub struct TurnStep {
    /// Layers run in this step.
    pub layers: usize,
    /// State of the turn after the step.
    pub state: TurnState,
}

/// The processing of one utterance to intent and reply. Drop it to cancel.
pub struct Turn {
    session: Session,
    /// `None` if the intent was given.
    constraint: Option<SharedConstraint>,
    sampling: Sampling,
    scene: SceneFacts,
    intent: Option<IntentOutput>,
    /// Fills values into the reply; set when the reply begins.
    reply: Option<ReplyFiller>,
    /// Tokens of the reply that have been decoded into `text` or `stream`.
    decoded: usize,
    stream: TextStream,
    /// With a chat template the reply ends at the first line break.
    stops: StopStrings,
    text: String,
}

impl Turn {
    fn new(
        session: Session,
        constraint: Option<SharedConstraint>,
        scene: &SceneFacts,
        intent: Option<IntentOutput>,
        sampling: Sampling,
    ) -> Self {
        Self {
            session,
            constraint,
            sampling,
            scene: scene.clone(),
            intent,
            reply: None,
            decoded: 0,
            stream: TextStream::default(),
            stops: StopStrings::default(),
            text: String::new(),
        }
    }

    /// Runs until the budget is used up, the intent is complete, or the reply is complete.
    ///
    /// # Errors
    /// [`LmError::IncompleteIntent`] if the context is full before the intent is complete; an error of session or
    /// tokenizer.
    pub fn step(&mut self, lm: &Lm, budget: Budget) -> Result<TurnStep, LmError> {
        if let (Some(intent), None) = (&self.intent, &self.reply) {
            self.reply = Some(ReplyFiller::new(self.scene.clone(), intent.slots.clone()));
            let stop = match &lm.format {
                PromptFormat::Native(codec, _) => vec![codec.end],
                PromptFormat::Chat(chat) => {
                    chat.cache_prefix(&self.session);
                    self.session.push(&chat.line_break()?)?;
                    self.stops = StopStrings::new(&["\n".into()]);
                    chat.stop.clone()
                }
            };
            let (sampling, max_tokens) = (self.sampling, MAX_REPLY_TOKENS);
            self.session.generate(Generate { sampling, max_tokens, stop, constraint: None });
        }
        if self.stops.hit() {
            return Ok(TurnStep { layers: 0, state: TurnState::Finished(Finish::Stop) });
        }
        let step = self.session.step(&lm.model, budget)?;
        let mut state = match step.state {
            State::Finished(finish) if self.reply.is_some() => TurnState::Finished(finish),
            State::Finished(finish) => {
                let intent = self.constraint.as_ref().and_then(|constraint| constraint.with(|c| c.output()));
                let intent = intent.ok_or(LmError::IncompleteIntent { finish })?;
                self.intent = Some(intent.clone());
                TurnState::Understood(intent)
            }
            State::Paused | State::Idle => TurnState::Paused,
        };
        if let Some(filler) = &mut self.reply {
            for &token in &self.session.generated()[self.decoded..] {
                let piece = self.stops.push(&lm.tokenizer.decode_next(token, &mut self.stream)?);
                self.text += &filler.push(&piece);
                self.decoded += 1;
            }
            if self.stops.hit() {
                state = TurnState::Finished(Finish::Stop);
            } else if matches!(state, TurnState::Finished(_)) {
                self.text += &filler.push(&self.stops.finish());
            }
        }
        Ok(TurnStep { layers: step.layers, state })
    }

    /// Runs until the intent is complete, with no limit on the work, and returns it.
    ///
    /// # Errors
    /// As [`Turn::step`].
    pub fn understand(&mut self, lm: &Lm) -> Result<IntentOutput, LmError> {
        loop {
            if let Some(intent) = &self.intent {
                return Ok(intent.clone());
            }
            self.step(lm, Budget::UNLIMITED)?;
        }
    }

    /// The intent: `Some` once a step has returned [`TurnState::Understood`], or from the beginning if it was given
    /// ([`Lm::reply`]).
    pub fn intent(&self) -> Option<&IntentOutput> {
        self.intent.as_ref()
    }

    /// The text of the reply that was generated since the last call.
    pub fn take_text(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    /// The number of reply tokens so far.
    pub fn reply_tokens(&self) -> usize {
        self.decoded
    }
}
