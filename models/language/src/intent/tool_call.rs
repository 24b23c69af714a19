//! An intent as a JSON call, for models that were not trained on the format of [`crate::intent::prompt`]:
//!
//! ```text
//! {"name": "set_temperature", "arguments": {"degrees": 21}}
//! ```
//!
//! What may be said is a regular language made of the catalogue and of the words of the utterance: every call that it has
//! parses, and names an intent with its slots in their order. llguidance holds the decoder to it token by token.

use crate::{
    decoder::constraint::{Allowed, Guide},
    intent::{
        catalogue::{Catalogue, Intent, Slot, SlotKind},
        constrained::{IntentSource, spans},
        output::IntentOutput,
    },
};
use llguidance::{
    Matcher, ParserFactory,
    api::TopLevelGrammar,
    toktrie::{InferenceCapabilities, TokEnv},
};
use serde_json::{Value, json};
use std::{collections::VecDeque, fmt::Write, sync::Arc};

#[derive(Debug, thiserror::Error)]
#[error("the constraint on calls cannot be made: {0}")]
pub struct ToolError(String);

const NAME: &str = "{\"name\": \"";

/// What is made once for a tokenizer and a catalogue.
pub struct Tools {
    factory: ParserFactory,
    catalogue: Arc<Catalogue>,
}

impl Tools {
    pub fn new(tokens: &TokEnv, catalogue: Arc<Catalogue>) -> Result<Self, ToolError> {
        let capabilities = InferenceCapabilities { ff_tokens: true, ..InferenceCapabilities::default() };
        let mut factory = ParserFactory::new(tokens, capabilities, &[]).map_err(|e| ToolError(e.to_string()))?;
        factory.quiet();
        Ok(Self { factory, catalogue })
    }

    /// `utterance`: clean ([`crate::intent::prompt::clean_utterance`]).
    pub fn guide(&self, utterance: &str) -> Result<ToolGuide, ToolError> {
        let grammar = TopLevelGrammar::from_regex(&calls(&self.catalogue, utterance));
        let parser = self.factory.create_parser(grammar).map_err(|e| ToolError(e.to_string()))?;
        let mut guide = ToolGuide {
            matcher: Matcher::new(Ok(parser)),
            tokens: self.factory.tok_env().clone(),
            catalogue: self.catalogue.clone(),
            certain: VecDeque::new(),
            next: Allowed::Done,
            said: Vec::new(),
            confidence: 1.0,
        };
        guide.look_ahead();
        Ok(guide)
    }

    /// An intent as it is written in a call.
    pub fn call(&self, intent: &IntentOutput) -> String {
        let slots = self.catalogue.get(&intent.name).map_or(&[][..], |i| &i.slots);
        let value = |s: &Slot, v: &str| match (&s.kind, v.parse::<i64>()) {
            (SlotKind::Integer { .. }, Ok(number)) => json!(number),
            _ => json!(v),
        };
        let given = slots.iter().filter_map(|s| Some(format!("\"{}\": {}", s.name, value(s, intent.slot(&s.name)?))));
        format!("{NAME}{}\", \"arguments\": {{{}}}}}", intent.name, given.collect::<Vec<_>>().join(", "))
    }

    /// How the calls are told to the model: one line for each intent.
    pub fn description(&self) -> String {
        let mut text = String::new();
        for intent in self.catalogue.intents() {
            let slots: Vec<String> = intent.slots.iter().map(describe).collect();
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}({}): {}", intent.name, slots.join(", "), intent.says);
        }
        text
    }
}

fn describe(slot: &Slot) -> String {
    let kind = match &slot.kind {
        SlotKind::Text => "words of the driver".into(),
        SlotKind::Integer { min, max } => format!("{min} to {max}"),
        SlotKind::Choice(values) => values.join("|"),
    };
    format!("{}{}: {kind}", slot.name, if slot.required { "" } else { "?" })
}

/// The regular expression of all calls.
fn calls(catalogue: &Catalogue, utterance: &str) -> String {
    let text = one_of(spans(utterance).iter().map(|s| literal(s)));
    let calls = catalogue.intents().iter().map(|i| {
        format!("{}{}\\}}\\}}", literal(&format!("{}\", \"arguments\": {{", i.name)), slots(&i.slots, &text, false))
    });
    format!("{}{}", literal(NAME), one_of(calls))
}

/// The slots from the first of these on; `after`: whether one came before.
fn slots(rest: &[Slot], text: &str, after: bool) -> String {
    let Some((slot, rest)) = rest.split_first() else { return String::new() };
    let value = match &slot.kind {
        SlotKind::Text => format!("\"{text}\""),
        SlotKind::Integer { min, max } => one_of((*min..=*max).map(|v| literal(&v.to_string()))),
        SlotKind::Choice(values) => format!("\"{}\"", one_of(values.iter().map(|v| literal(v)))),
    };
    let gap = if after { ", " } else { "" };
    let given = format!("{gap}{}{value}{}", literal(&format!("\"{}\": ", slot.name)), slots(rest, text, true));
    if slot.required { given } else { one_of([given, slots(rest, text, after)].into_iter()) }
}

fn one_of(expressions: impl Iterator<Item = String>) -> String {
    format!("({})", expressions.collect::<Vec<_>>().join("|"))
}

/// An expression of this text alone.
fn literal(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if c.is_ascii_punctuation() && !matches!(c, '"' | '\'' | ':' | ',' | '_' | '%' | '@' | '!' | ';' | '=' | '`') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// Leads through one call.
pub struct ToolGuide {
    matcher: Matcher,
    tokens: TokEnv,
    catalogue: Arc<Catalogue>,
    /// Tokens that follow whatever the model would say.
    certain: VecDeque<u32>,
    next: Allowed,
    said: Vec<u8>,
    confidence: f64,
}

impl IntentSource for ToolGuide {
    fn output(&self) -> Option<IntentOutput> {
        if self.next != Allowed::Done {
            return None;
        }
        let call: Value = serde_json::from_slice(&self.said).ok()?;
        let (name, arguments) = (call.get("name")?.as_str()?, call.get("arguments")?.as_object()?);
        let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), String::from);
        let slots = self.catalogue.get(name)?.slots.iter();
        let slots = slots.filter_map(|s| Some((s.name.clone(), text(arguments.get(&s.name)?)))).collect();
        Some(IntentOutput { name: name.into(), slots, confidence: self.confidence })
    }
}

impl ToolGuide {
    /// Whether more than one intent can still be meant.
    fn undecided(&self) -> bool {
        let call = |i: &Intent| format!("{NAME}{}\"", i.name);
        let meant = |i: &&Intent| call(i).as_bytes().starts_with(&self.said);
        self.catalogue.intents().iter().filter(meant).nth(1).is_some()
    }

    fn look_ahead(&mut self) {
        if self.certain.is_empty() && !self.matcher.is_stopped() {
            self.certain.extend(self.matcher.compute_ff_tokens());
        }
        self.next = match self.certain.front() {
            Some(token) => Allowed::Only(vec![*token]),
            // No call is the beginning of another: where one may end, it does.
            None if self.matcher.is_stopped() || self.matcher.is_accepting().unwrap_or(true) => Allowed::Done,
            None => match self.matcher.compute_mask().map(|mask| mask.to_list()) {
                Ok(tokens) if !tokens.is_empty() => Allowed::Only(tokens),
                _ => Allowed::Done,
            },
        };
    }
}

impl Guide for ToolGuide {
    fn allowed(&self) -> Allowed {
        self.next.clone()
    }

    fn advance(&mut self, token: u32, probability: f64) {
        if self.undecided() {
            self.confidence *= probability;
        }
        if self.certain.front() == Some(&token) {
            self.certain.pop_front();
        }
        self.said.extend_from_slice(self.tokens.tok_trie().token(token));
        // A token that was not allowed ends the call: there is no output then.
        if self.matcher.consume_token(token).is_err() {
            self.said.clear();
        }
        self.look_ahead();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_means_itself_alone() {
        assert_eq!(literal("a.b {\"c\"}|d's"), "a\\.b \\{\"c\"\\}\\|d's");
    }
}
