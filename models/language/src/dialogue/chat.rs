//! Prompts for checkpoints that were not trained on this project's format, in their own chat template: the list of intents
//! in the system message, scene and utterance from the user, and from the assistant one tool call as JSON, then a sentence.

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
        tool_call::{ToolCallConstraint, ToolCallGrammar},
    },
};
use std::sync::{Arc, Mutex, PoisonError};

/// Cache capacity in tokens for what follows the system message.
const TURN_TOKENS: usize = 768;

const TASK: &str = "You are the voice of a car. Answer what the driver says with the one call of this list that fits it best, \
as JSON on one line, then on the next line one short sentence for the driver. Values of the scene are written by their name in \
braces, as in \"You can go {range} kilometres.\"; the car puts the values in. In the scene, ? is what is not known.";

/// The chat template of a checkpoint with the prompt parts that do not change between turns.
pub(crate) struct Chat {
    template: ChatTemplate,
    tool_calls: ToolCallGrammar,
    tokenizer: Arc<Tokenizer>,
    system: String,
    /// Some templates reject a system message: its text is then put in front of the user's.
    has_system: bool,
    /// Tokens that end the assistant's message.
    pub stop: Vec<u32>,
    capacity: usize,
    /// A session that has processed the common prefix of all turns; set by the first turn.
    prefix: Mutex<Option<Session>>,
}

impl Chat {
    /// With the template of a checkpoint, which `path` names; compiles the grammar of tool calls.
    pub fn new(
        template: ChatTemplate,
        path: String,
        model: &Model,
        tokenizer: Arc<Tokenizer>,
        catalogue: Arc<Catalogue>,
    ) -> Result<Self, LmError> {
        let mut stop = model.config().eos.clone();
        stop.extend(template.eos().and_then(|eos| tokenizer.id(eos)));
        stop.sort_unstable();
        stop.dedup();
        let vocabulary = model.config().vocab_size;
        if stop.is_empty() || stop.iter().any(|t| i64::from(*t) >= vocabulary) {
            return Err(LmError::NoEndToken { path, found: stop });
        }
        let tokens = tokenizer.environment(vocabulary as usize, &stop)?;
        let tool_calls = ToolCallGrammar::new(&tokens, catalogue)?;
        let system = format!("{TASK}\n\n{}", tool_calls.description());
        let has_system = template.render(&[Message::system("a"), Message::user("b")]).is_ok();
        let mut chat =
            Self { template, tool_calls, tokenizer, system, has_system, stop, capacity: 0, prefix: Mutex::new(None) };
        let fixed = chat.prompt(&SceneFacts::default(), "")?.len();
        chat.capacity = fixed + TURN_TOKENS;
        if chat.capacity > model.config().max_positions {
            let (needed, max_positions) = (chat.capacity, model.config().max_positions);
            return Err(LmError::Context { path, needed, max_positions });
        }
        Ok(chat)
    }

    /// The tokens of the whole prompt.
    fn prompt(&self, scene: &SceneFacts, utterance: &str) -> Result<Vec<u32>, LmError> {
        Ok(self.tokenizer.encode(&self.text(scene, utterance)?)?)
    }

    fn text(&self, scene: &SceneFacts, utterance: &str) -> Result<String, TemplateError> {
        let user = format!("{}{utterance}", situation(scene));
        if self.has_system {
            self.template.render(&[Message::system(&*self.system), Message::user(user)])
        } else {
            self.template.render(&[Message::user(format!("{}\n{user}", self.system))])
        }
    }

    /// A session with the prompt `tokens`; their common prefix with earlier turns is not computed again.
    fn session(&self, model: &Model, tokens: &[u32]) -> Result<Session, SessionError> {
        if let Some(prefix) = &*self.prefix.lock().unwrap_or_else(PoisonError::into_inner) {
            return prefix.fork_for(tokens);
        }
        let mut session = Session::new(model, self.capacity);
        session.push(tokens)?;
        Ok(session)
    }

    /// A session with the prompt up to the utterance.
    pub fn scene(&self, model: &Model, scene: &SceneFacts) -> Result<Session, LmError> {
        let text = self.text(scene, "")?;
        let situation = situation(scene);
        let end = text.rfind(situation.trim_end()).map_or(0, |at| at + situation.trim_end().len());
        Ok(self.session(model, &self.tokenizer.encode(&text[..end])?)?)
    }

    /// `scene_session`: a session that has processed the scene, if there is one.
    pub fn turn(
        &self,
        model: &Model,
        scene_session: Option<&Session>,
        scene: &SceneFacts,
        utterance: &str,
    ) -> Result<(Session, ToolCallConstraint), LmError> {
        let tokens = self.prompt(scene, utterance)?;
        let session = match scene_session {
            Some(session) => session.fork_for(&tokens)?,
            None => self.session(model, &tokens)?,
        };
        Ok((session, self.tool_calls.constraint(utterance)?))
    }

    /// A session whose prompt ends after the tool call of `intent`.
    pub fn reply(
        &self,
        model: &Model,
        scene: &SceneFacts,
        utterance: &str,
        intent: &IntentOutput,
    ) -> Result<Session, LmError> {
        let tokens =
            [self.prompt(scene, utterance)?, self.tokenizer.encode_continuation(&self.tool_calls.call(intent))?]
                .concat();
        Ok(self.session(model, &tokens)?)
    }

    /// The tokens between the tool call and the reply.
    pub fn line_break(&self) -> Result<Vec<u32>, TokenizerError> {
        self.tokenizer.encode_continuation("\n")
    }

    /// Keeps what `session` has processed as the common prefix of later turns, unless there is one.
    pub fn cache_prefix(&self, session: &Session) {
        let mut prefix = self.prefix.lock().unwrap_or_else(PoisonError::into_inner);
        if prefix.is_none() {
            *prefix = Some(session.snapshot());
        }
    }
}

fn situation(scene: &SceneFacts) -> String {
    format!("Scene: {}\nDriver: ", scene.preamble())
}
