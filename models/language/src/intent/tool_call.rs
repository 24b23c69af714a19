//! An intent as a tool call in JSON, for models that were not trained on the format of [`crate::intent::prompt`]:
//!
//! ```text
//! {"name": "set_temperature", "arguments": {"degrees": 21}}
//! ```
//!
//! The allowed calls are a regular language built from the catalogue and the words of the utterance: each of them parses, and
//! names an intent with its slots in the order of the catalogue. llguidance constrains the decoder to it token by token.

use crate::{
    decoder::constraint::{Allowed, Constraint},
    intent::{
        catalogue::{Catalogue, Intent, Slot, SlotKind},
        constrained::{IntentConstraint, spans},
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

/// The grammar of tool calls cannot be compiled.
#[derive(Debug, thiserror::Error)]
#[error("the grammar of tool calls cannot be compiled: {0}")]
pub struct ToolError(String);

const NAME: &str = "{\"name\": \"";

/// The grammar of tool calls; built once for a tokenizer and a catalogue.
pub struct ToolCallGrammar {
    factory: ParserFactory,
    catalogue: Arc<Catalogue>,
}

impl ToolCallGrammar {
    /// A grammar for the intents of a catalogue.
    ///
    /// # Errors
    /// A tokenizer that llguidance does not support.
    pub fn new(tokens: &TokEnv, catalogue: Arc<Catalogue>) -> Result<Self, ToolError> {
        let capabilities = InferenceCapabilities { ff_tokens: true, ..InferenceCapabilities::default() };
        let mut factory = ParserFactory::new(tokens, capabilities, &[]).map_err(|e| ToolError(e.to_string()))?;
        factory.quiet();
        Ok(Self { factory, catalogue })
    }

    /// The constraint for one utterance, which is normalized ([`crate::intent::prompt::clean_utterance`]).
    ///
    /// # Errors
    /// A grammar that cannot be compiled.
    pub fn constraint(&self, utterance: &str) -> Result<ToolCallConstraint, ToolError> {
        let grammar = TopLevelGrammar::from_regex(&calls(&self.catalogue, utterance));
        let parser = self.factory.create_parser(grammar).map_err(|e| ToolError(e.to_string()))?;
        let mut constraint = ToolCallConstraint {
            matcher: Matcher::new(Ok(parser)),
            tokens: self.factory.tok_env().clone(),
            catalogue: self.catalogue.clone(),
            forced: VecDeque::new(),
            next: Allowed::Done,
            output: Vec::new(),
            confidence: 1.0,
        };
        constraint.look_ahead();
        Ok(constraint)
    }

    /// The tool call of an intent.
    pub fn call(&self, intent: &IntentOutput) -> String {
        let slots = self.catalogue.get(&intent.name).map_or(&[][..], |i| &i.slots);
        let value = |s: &Slot, v: &str| match (&s.kind, v.parse::<i64>()) {
            (SlotKind::Integer { .. }, Ok(number)) => json!(number),
            _ => json!(v),
        };
        let given = slots.iter().filter_map(|s| Some(format!("\"{}\": {}", s.name, value(s, intent.slot(&s.name)?))));
        format!("{NAME}{}\", \"arguments\": {{{}}}}}", intent.name, given.collect::<Vec<_>>().join(", "))
    }

    /// The list of tool calls for the prompt: one line for each intent.
    pub fn description(&self) -> String {
        let mut text = String::new();
        for intent in self.catalogue.intents() {
            let slots: Vec<String> = intent.slots.iter().map(describe).collect();
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}({}): {}", intent.name, slots.join(", "), intent.description);
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

/// The expression of these slots; `after`: whether a slot precedes them.
fn slots(rest: &[Slot], text: &str, after: bool) -> String {
    let Some((slot, rest)) = rest.split_first() else { return String::new() };
    let value = match &slot.kind {
        SlotKind::Text => format!("\"{text}\""),
        SlotKind::Integer { min, max } => one_of((*min..=*max).map(|v| literal(&v.to_string()))),
        SlotKind::Choice(values) => format!("\"{}\"", one_of(values.iter().map(|v| literal(v)))),
    };
    let separator = if after { ", " } else { "" };
    let given = format!("{separator}{}{value}{}", literal(&format!("\"{}\": ", slot.name)), slots(rest, text, true));
    if slot.required { given } else { one_of([given, slots(rest, text, after)].into_iter()) }
}

fn one_of(expressions: impl Iterator<Item = String>) -> String {
    format!("({})", expressions.collect::<Vec<_>>().join("|"))
}

/// An expression that matches exactly this text.
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

/// Constrains the decoder to one tool call.
pub struct ToolCallConstraint {
    matcher: Matcher,
    tokens: TokEnv,
    catalogue: Arc<Catalogue>,
    /// Tokens that the grammar determines.
    forced: VecDeque<u32>,
    next: Allowed,
    output: Vec<u8>,
    confidence: f64,
}

impl IntentConstraint for ToolCallConstraint {
    fn output(&self) -> Option<IntentOutput> {
        if self.next != Allowed::Done {
            return None;
        }
        let call: Value = serde_json::from_slice(&self.output).ok()?;
        let (name, arguments) = (call.get("name")?.as_str()?, call.get("arguments")?.as_object()?);
        let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), String::from);
        let slots = self.catalogue.get(name)?.slots.iter();
        let slots = slots.filter_map(|s| Some((s.name.clone(), text(arguments.get(&s.name)?)))).collect();
        Some(IntentOutput { name: name.into(), slots, confidence: self.confidence })
    }
}

impl ToolCallConstraint {
    /// Whether more than one intent is still possible.
    fn is_ambiguous(&self) -> bool {
        let call = |i: &Intent| format!("{NAME}{}\"", i.name);
        let possible = |i: &&Intent| call(i).as_bytes().starts_with(&self.output);
        self.catalogue.intents().iter().filter(possible).nth(1).is_some()
    }

    fn look_ahead(&mut self) {
        if self.forced.is_empty() && !self.matcher.is_stopped() {
            self.forced.extend(self.matcher.compute_ff_tokens());
        }
        self.next = match self.forced.front() {
            Some(token) => Allowed::Only(vec![*token]),
            // No call is a prefix of another: where one may end, it ends.
            None if self.matcher.is_stopped() || self.matcher.is_accepting().unwrap_or(true) => Allowed::Done,
            None => match self.matcher.compute_mask().map(|mask| mask.to_list()) {
                Ok(tokens) if !tokens.is_empty() => Allowed::Only(tokens),
                _ => Allowed::Done,
            },
        };
    }
}

impl Constraint for ToolCallConstraint {
    fn allowed(&self) -> Allowed {
        self.next.clone()
    }

    fn advance(&mut self, token: u32, probability: f64) {
        if self.is_ambiguous() {
            self.confidence *= probability;
        }
        if self.forced.front() == Some(&token) {
            self.forced.pop_front();
        }
        self.output.extend_from_slice(self.tokens.tok_trie().token(token));
        // After a token that was not allowed there is no output.
        if self.matcher.consume_token(token).is_err() {
            self.output.clear();
        }
        self.look_ahead();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn punctuation_is_escaped_in_literals() {
        assert_eq!(literal("a.b {\"c\"}|d's"), "a\\.b \\{\"c\"\\}\\|d's");
    }
}
