//! Expectations of intents and replies.

use super::check::{Check, Interval, check};
use crate::{
    analysis::{DriveRun, HazardSpan, OUT_OF_SCOPE, Reply, UtteranceRecord},
    scenario::enums::HazardKind,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An intent that must be understood.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntentExpected {
    /// When the utterance begins.
    pub said_s: f64,
    /// Its name in the catalogue.
    pub name: String,
    /// Slots that it must have.
    #[serde(default)]
    pub slots: BTreeMap<String, String>,
    /// What the rule table must decide.
    pub allowed: Option<bool>,
    /// From the end of speech.
    pub within_ms: Option<f64>,
}

/// An utterance that is not for the car.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutOfScope {
    /// When it begins.
    pub said_s: f64,
}

/// A reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplyExpected {
    /// When the utterance that it answers begins.
    pub said_s: f64,
    /// It contains at least one of these.
    #[serde(default)]
    pub mentions: Vec<String>,
    /// It contains none of these.
    #[serde(default)]
    pub never: Vec<String>,
    /// From the end of speech.
    pub first_word_within_ms: Option<f64>,
    /// When the first word may come.
    pub from_s: Option<f64>,
    /// When the first word must have come.
    pub to_s: Option<f64>,
}

/// A reply that a hazard paused must resume and end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResumeExpected {
    /// Kind of the hazard.
    pub after: HazardKind,
    /// When it must have ended.
    pub by_s: f64,
}

/// Tolerance between the time in the scenario and the start of the utterance.
const UTTERANCE_TOLERANCE_S: f64 = 0.75;

/// The utterance at that time.
fn utterance_at(run: &DriveRun, said_s: f64) -> Option<&UtteranceRecord> {
    let distance = |u: &UtteranceRecord| (u.start_s - said_s).abs();
    let nearest = run.observed.utterances.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)));
    nearest.filter(|u| distance(u) <= UTTERANCE_TOLERANCE_S)
}

/// Intents and replies have the end of speech as their stamp.
fn answers(utterance: &UtteranceRecord, speech_end_s: f64) -> bool {
    (utterance.end_s - speech_end_s).abs() < 1e-3
}

impl IntentExpected {
    pub(super) fn evaluate(&self, run: &DriveRun) -> Check {
        let slots = self.slots.iter().map(|(k, v)| format!("{k}={v}"));
        let mut expected = format!("intent {} of the utterance at {} s", self.name, self.said_s);
        if !self.slots.is_empty() {
            expected += &format!(" with {}", slots.collect::<Vec<_>>().join(", "));
        }
        self.allowed.into_iter().for_each(|a| expected += if a { ", allowed" } else { ", refused" });
        self.within_ms.into_iter().for_each(|ms| expected += &format!(", within {ms} ms"));
        let Some(utterance) = utterance_at(run, self.said_s) else {
            return check(expected, false, "no utterance at that time".into());
        };
        let Some(intent) = run.observed.intents.iter().find(|i| answers(utterance, i.speech_end_s)) else {
            return check(expected, false, format!("no intent of \"{}\"", utterance.text));
        };
        let delay_ms = (intent.published_s - intent.speech_end_s) * 1e3;
        let passed = intent.name == self.name
            && self.slots.iter().all(|(k, v)| intent.slots.get(k) == Some(v))
            && self.allowed.is_none_or(|a| intent.allowed == a)
            && self.within_ms.is_none_or(|ms| delay_ms <= ms);
        let slots: Vec<String> = intent.slots.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let decision = if intent.allowed { "allowed" } else { "refused" };
        let found = format!(
            "{} [{}] {decision}, {delay_ms:.0} ms after the end of \"{}\"",
            intent.name,
            slots.join(", "),
            utterance.text
        );
        check(expected, passed, found)
    }
}

impl OutOfScope {
    pub(super) fn evaluate(&self, run: &DriveRun) -> Check {
        let intent = IntentExpected {
            said_s: self.said_s,
            name: OUT_OF_SCOPE.into(),
            slots: BTreeMap::new(),
            allowed: None,
            within_ms: None,
        };
        intent.evaluate(run)
    }
}

impl ReplyExpected {
    pub(super) fn evaluate(&self, run: &DriveRun) -> Check {
        let mut expected = format!("reply to the utterance at {} s", self.said_s);
        if !self.mentions.is_empty() {
            expected += &format!(" mentions {}", self.mentions.join(" or "));
        }
        if !self.never.is_empty() {
            expected += &format!(" never mentions {}", self.never.join(", "));
        }
        self.first_word_within_ms.into_iter().for_each(|ms| expected += &format!(" begins within {ms} ms"));
        let interval = Interval::new(self.from_s, self.to_s);
        if self.from_s.is_some() || self.to_s.is_some() {
            expected += &format!(" begins {}", interval.describe());
        }
        let Some(utterance) = utterance_at(run, self.said_s) else {
            return check(expected, false, "no utterance at that time".into());
        };
        let reply = run.observed.replies.iter().find(|t| answers(utterance, t.speech_end_s));
        let Some((reply, first_s)) = reply.and_then(|t| Some((t, t.first_word_s()?))) else {
            return check(expected, false, format!("no reply to \"{}\"", utterance.text));
        };
        let text = reply.text.to_lowercase();
        let has = |words: &String| text.contains(&words.to_lowercase());
        let delay_ms = (first_s - reply.speech_end_s) * 1e3;
        let passed = (self.mentions.is_empty() || self.mentions.iter().any(has))
            && !self.never.iter().any(has)
            && self.first_word_within_ms.is_none_or(|ms| delay_ms <= ms)
            && interval.contains(first_s);
        let found = format!("\"{}\", first word at {first_s:.3} s, after {delay_ms:.0} ms", reply.text.trim());
        check(expected, passed, found)
    }
}

impl ResumeExpected {
    pub(super) fn evaluate(&self, run: &DriveRun) -> Check {
        let expected =
            format!("the reply that hazard {} paused resumes and ends by {} s", self.after.name(), self.by_s);
        let hazards = run.observed.hazards.iter().filter(|h| h.kind == self.after.to_message());
        let paused = |h: &HazardSpan| run.observed.replies.iter().find(|t| t.spans(h.published_s)).cloned();
        let Some((hazard, reply)) = hazards.filter_map(|h| Some((h, paused(h)?))).next() else {
            return check(expected, false, "no reply was being spoken when it was raised".into());
        };
        let resumed = |t: &Reply| t.pieces_s.iter().find(|p| **p > hazard.published_s).copied();
        let found = format!(
            "paused at {:.3} s, resumed at {:.3} s, {}",
            hazard.published_s,
            resumed(&reply).unwrap_or(f64::NAN),
            reply.ended_s.map_or("never ended".into(), |s| format!("ended at {s:.3} s"))
        );
        check(expected, !reply.interrupted && reply.ended_s.is_some_and(|end| end <= self.by_s), found)
    }
}
