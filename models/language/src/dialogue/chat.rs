//! Speaking with a checkpoint that knows nothing of this project, in its own chat template: a list of calls in the system
//! message, scene and utterance from the user, and from the assistant one call as JSON, then a sentence.

use crate::{
    decoder::{
        model::Model,
        session::{Session, SessionError},
    },
    dialogue::{
        error::LmError,
        template::{ChatTemplate, Message, TemplateError},
        tokenizer::{Tokenizer, TokenizerError},
    },
    intent::{
        catalogue::Catalogue,
        output::IntentOutput,
        scene::SceneFacts,
        tool_call::{ToolGuide, Tools},
    },
};
use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

/// Tokens a turn has room for after the system message.
const TURN_TOKENS: usize = 512;

const TASK: &str = "You are the voice of a car. Answer what the driver says with the one call of this list that fits it best, \
as JSON on one line, then on the next line one short sentence for the driver. Values of the scene are written by their name in \
braces, as in \"You can go {range} kilometres.\"; the car puts the values in. In the scene, ? is what is not known.";

pub(crate) struct Chat {
    template: ChatTemplate,
    tools: Tools,
    tokenizer: Arc<Tokenizer>,
    system: String,
    /// Some templates refuse a system message: then it is the beginning of the user's.
    has_system: bool,
    /// Tokens that end what the assistant says.
    pub stop: Vec<u32>,
    capacity: usize,
    /// The beginning that all turns have in common has been read in here, once one of them was.
    kept: Mutex<Option<Session>>,
}

impl Chat {
    pub fn load(
        folder: &Path,
        model: &Model,
        tokenizer: Arc<Tokenizer>,
        catalogue: Arc<Catalogue>,
    ) -> Result<Self, LmError> {
        let template = ChatTemplate::load(folder)?;
        let path = folder.display().to_string();
        let mut stop = model.config().eos.clone();
        stop.extend(template.eos().and_then(|eos| tokenizer.id(eos)));
        stop.sort_unstable();
        stop.dedup();
        let vocabulary = model.config().vocab_size;
        if stop.is_empty() || stop.iter().any(|t| i64::from(*t) >= vocabulary) {
            return Err(LmError::NoEnd { path, found: stop });
        }
        let tokens = tokenizer.environment(vocabulary as usize, &stop)?;
        let tools = Tools::new(&tokens, catalogue)?;
        let system = format!("{TASK}\n\n{}", tools.description());
        let has_system = template.render(&[Message::system("a"), Message::user("b")]).is_ok();
        let mut chat =
            Self { template, tools, tokenizer, system, has_system, stop, capacity: 0, kept: Mutex::new(None) };
        let fixed = chat.prompt(&SceneFacts::default(), "")?.len();
        chat.capacity = fixed + TURN_TOKENS;
        if chat.capacity > model.config().max_positions {
            let (needed, max_positions) = (chat.capacity, model.config().max_positions);
            return Err(LmError::Context { path, needed, max_positions });
        }
        Ok(chat)
    }

    /// What the model reads before it answers.
    fn prompt(&self, scene: &SceneFacts, utterance: &str) -> Result<Vec<u32>, LmError> {
        Ok(self.tokenizer.encode(&self.text(scene, utterance)?)?)
    }

    fn text(&self, scene: &SceneFacts, utterance: &str) -> Result<String, TemplateError> {
        let said = format!("{}{utterance}", situation(scene));
        if self.has_system {
            self.template.render(&[Message::system(&*self.system), Message::user(said)])
        } else {
            self.template.render(&[Message::user(format!("{}\n{said}", self.system))])
        }
    }

    /// A session that is to read `tokens`; what another turn has read of them is not read again.
    fn session(&self, model: &Model, tokens: &[u32]) -> Result<Session, SessionError> {
        if let Some(kept) = &*self.kept.lock().unwrap_or_else(PoisonError::into_inner) {
            return kept.fork_for(tokens);
        }
        let mut session = Session::new(model, self.capacity);
        session.push(tokens)?;
        Ok(session)
    }

    /// Up to where the driver's words come.
    pub fn scene(&self, model: &Model, scene: &SceneFacts) -> Result<Session, LmError> {
        let text = self.text(scene, "")?;
        let situation = situation(scene);
        let end = text.rfind(situation.trim_end()).map_or(0, |at| at + situation.trim_end().len());
        Ok(self.session(model, &self.tokenizer.encode(&text[..end])?)?)
    }

    /// `before`: a session that has read the scene, if there is one.
    pub fn turn(
        &self,
        model: &Model,
        before: Option<&Session>,
        scene: &SceneFacts,
        utterance: &str,
    ) -> Result<(Session, ToolGuide), LmError> {
        let tokens = self.prompt(scene, utterance)?;
        let session = match before {
            Some(before) => before.fork_for(&tokens)?,
            None => self.session(model, &tokens)?,
        };
        Ok((session, self.tools.guide(utterance)?))
    }

    /// With the call made already.
    pub fn reply(
        &self,
        model: &Model,
        scene: &SceneFacts,
        utterance: &str,
        intent: &IntentOutput,
    ) -> Result<Session, LmError> {
        let tokens = [self.prompt(scene, utterance)?, self.tokenizer.encode(&self.tools.call(intent))?].concat();
        Ok(self.session(model, &tokens)?)
    }

    /// What stands between the call and the sentence.
    pub fn gap(&self) -> Result<Vec<u32>, TokenizerError> {
        self.tokenizer.encode("\n")
    }

    /// A turn has read its prompt: the next ones begin with it.
    pub fn keep(&self, session: &Session) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_none() {
            *kept = Some(session.snapshot());
        }
    }
}

fn situation(scene: &SceneFacts) -> String {
    format!("Scene: {}\nDriver: ", scene.preamble())
}
