//! What is expected of the cabin: what is understood, what is answered.

use super::check::{Check, Seen, check, window};
use crate::{
    analysis::{HazardSpan, OUT_OF_SCOPE, Turn, UtteranceHeard},
    scenario::enums::HazardKind,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What must be understood of what is said at a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntentExpected {
    pub said_s: f64,
    pub name: String,
    #[serde(default)]
    pub slots: BTreeMap<String, String>,
    /// What the rule table must have said.
    #[serde(default)]
    pub allowed: Option<bool>,
    /// From the end of speech.
    #[serde(default)]
    pub within_ms: Option<f64>,
}

/// Something said that is not for the car.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutOfScope {
    pub said_s: f64,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplyExpected {
    pub said_s: f64,
    /// At least one of these words is in it.
    #[serde(default)]
    pub mentions: Vec<String>,
    #[serde(default)]
    pub never: Vec<String>,
    #[serde(default)]
    pub first_word_within_ms: Option<f64>,
    /// When the first word must come.
    #[serde(default)]
    pub from_s: Option<f64>,
    #[serde(default)]
    pub to_s: Option<f64>,
}

/// A reply that a hazard stopped must go on and end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResumeExpected {
    pub after: HazardKind,
    pub by_s: f64,
}

/// How far a script's time of an utterance may be from the sound.
const SAID_S: f64 = 0.75;

/// What was said at that time, as it was heard.
fn said<'a>(seen: &Seen<'a>, said_s: f64) -> Option<&'a UtteranceHeard> {
    let distance = |u: &UtteranceHeard| (u.start_s - said_s).abs();
    let nearest = seen.observed.utterances.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)));
    nearest.filter(|u| distance(u) <= SAID_S)
}

/// Stamps of what answers an utterance are its end of speech.
fn answers(utterance: &UtteranceHeard, speech_end_s: f64) -> bool {
    (utterance.end_s - speech_end_s).abs() < 1e-3
}

impl IntentExpected {
    pub(super) fn evaluate(&self, seen: &Seen<'_>) -> Check {
        let slots = self.slots.iter().map(|(k, v)| format!("{k}={v}"));
        let mut expected = format!("intent {} of what is said at {} s", self.name, self.said_s);
        if !self.slots.is_empty() {
            expected += &format!(" with {}", slots.collect::<Vec<_>>().join(", "));
        }
        self.allowed.into_iter().for_each(|a| expected += if a { ", allowed" } else { ", refused" });
        self.within_ms.into_iter().for_each(|ms| expected += &format!(", within {ms} ms"));
        let Some(utterance) = said(seen, self.said_s) else {
            return check(expected, false, "nothing was heard then".into());
        };
        let Some(intent) = seen.observed.intents.iter().find(|i| answers(utterance, i.speech_end_s)) else {
            return check(expected, false, format!("no intent of \"{}\"", utterance.text));
        };
        let delay_ms = (intent.published_s - intent.speech_end_s) * 1e3;
        let passed = intent.name == self.name
            && self.slots.iter().all(|(k, v)| intent.slots.get(k) == Some(v))
            && self.allowed.is_none_or(|a| intent.allowed == a)
            && self.within_ms.is_none_or(|ms| delay_ms <= ms);
        let slots: Vec<String> = intent.slots.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let verdict = if intent.allowed { "allowed" } else { "refused" };
        let found = format!(
            "{} [{}] {verdict}, {delay_ms:.0} ms after the end of \"{}\"",
            intent.name,
            slots.join(", "),
            utterance.text
        );
        check(expected, passed, found)
    }
}

impl OutOfScope {
    pub(super) fn evaluate(&self, seen: &Seen<'_>) -> Check {
        let intent = IntentExpected {
            said_s: self.said_s,
            name: OUT_OF_SCOPE.into(),
            slots: BTreeMap::new(),
            allowed: None,
            within_ms: None,
        };
        intent.evaluate(seen)
    }
}

impl ReplyExpected {
    pub(super) fn evaluate(&self, seen: &Seen<'_>) -> Check {
        let mut expected = format!("reply to what is said at {} s", self.said_s);
        if !self.mentions.is_empty() {
            expected += &format!(" mentions {}", self.mentions.join(" or "));
        }
        if !self.never.is_empty() {
            expected += &format!(" never mentions {}", self.never.join(", "));
        }
        self.first_word_within_ms.into_iter().for_each(|ms| expected += &format!(" begins within {ms} ms"));
        let window = window(self.from_s, self.to_s);
        if self.from_s.is_some() || self.to_s.is_some() {
            expected += &format!(" begins {}", window.words());
        }
        let Some(utterance) = said(seen, self.said_s) else {
            return check(expected, false, "nothing was heard then".into());
        };
        let turn = seen.observed.turns.iter().find(|t| answers(utterance, t.speech_end_s));
        let Some((turn, first_s)) = turn.and_then(|t| Some((t, t.first_word_s()?))) else {
            return check(expected, false, format!("no reply to \"{}\"", utterance.text));
        };
        let text = turn.text.to_lowercase();
        let has = |words: &String| text.contains(&words.to_lowercase());
        let delay_ms = (first_s - turn.speech_end_s) * 1e3;
        let passed = (self.mentions.is_empty() || self.mentions.iter().any(has))
            && !self.never.iter().any(has)
            && self.first_word_within_ms.is_none_or(|ms| delay_ms <= ms)
            && window.has(first_s);
        let found = format!("\"{}\", first word at {first_s:.3} s, after {delay_ms:.0} ms", turn.text.trim());
        check(expected, passed, found)
    }
}

impl ResumeExpected {
    pub(super) fn evaluate(&self, seen: &Seen<'_>) -> Check {
        let expected =
            format!("the reply that hazard {} stopped goes on and ends by {} s", self.after.name(), self.by_s);
        let hazards = seen.observed.hazards.iter().filter(|h| h.kind == self.after.of_message());
        let stopped = |h: &HazardSpan| seen.observed.turns.iter().find(|t| t.spans(h.published_s)).cloned();
        let Some((hazard, turn)) = hazards.filter_map(|h| Some((h, stopped(h)?))).next() else {
            return check(expected, false, "no reply was under way when it was raised".into());
        };
        let on = |t: &Turn| t.pieces_s.iter().find(|p| **p > hazard.published_s).copied();
        let found = format!(
            "stopped at {:.3} s, went on at {:.3} s, {}",
            hazard.published_s,
            on(&turn).unwrap_or(f64::NAN),
            turn.ended_s.map_or("never ended".into(), |s| format!("ended at {s:.3} s"))
        );
        check(expected, !turn.interrupted && turn.ended_s.is_some_and(|end| end <= self.by_s), found)
    }
}
