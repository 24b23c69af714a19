//! Utterances, intents and replies, grouped into exchanges by their stamp: the end of speech, which all three carry.

use crate::{drawing::content::DialogueLine, text::truncated};
use auriga_msgs::{Stamped, v1};
use auriga_runtime::Nanos;
use serde::Serialize;
use std::collections::VecDeque;
use v1::TranscriptSource;

/// Exchanges kept.
const MAX_EXCHANGES: usize = 20;
/// Longest utterance or reply, in characters.
const MAX_CHARS: usize = 2000;
/// Slots shown of an intent.
const MAX_SLOTS: usize = 8;

/// The dialogue as the page shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DialogueState {
    /// The partial transcript of an utterance that is not final yet.
    pub partial: Option<String>,
    /// The oldest first.
    pub exchanges: Vec<ExchangeState>,
    /// What the language model does.
    pub model: Option<Model>,
}

/// An utterance with its intent and its reply.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExchangeState {
    /// The end of speech in nanoseconds, hexadecimal: as text, since it is larger than a number of JavaScript.
    pub id: String,
    /// Seconds since the end of speech.
    pub age_s: f64,
    /// The utterance.
    pub user: String,
    /// The reply, as far as it has come.
    pub reply: String,
    /// The reply is not complete yet.
    pub streaming: bool,
    /// The reply was interrupted.
    pub interrupted: bool,
    /// The utterance comes from a transcript track.
    pub transcript_track: bool,
    /// What was understood.
    pub intent: Option<IntentState>,
}

/// What was understood of an utterance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IntentState {
    /// Name in the catalogue of intents.
    pub name: String,
    /// Names and values.
    pub slots: Vec<(String, String)>,
    /// 0 to 1.
    pub confidence: f32,
    /// It touches the vehicle and is only proposed.
    pub proposal: bool,
    /// The rules allow the proposal.
    pub allowed: bool,
    /// Why it was refused; may be empty.
    pub refusal: String,
}

/// The scheduling of the language model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Model {
    /// The workload that runs.
    pub workload: String,
    /// Whether it runs now.
    pub running: bool,
    /// Slices run since the start.
    pub slices: u64,
    /// How often it was preempted.
    pub preemptions: u64,
}

#[derive(Debug, Clone, Default)]
struct Exchange {
    stamp_ns: u64,
    user: String,
    reply: String,
    streaming: bool,
    interrupted: bool,
    transcript_track: bool,
    intent: Option<IntentState>,
}

/// Collects the dialogue.
#[derive(Default)]
pub struct Dialogue {
    exchanges: VecDeque<Exchange>,
    partial: Option<String>,
    model: Option<Model>,
    /// The last utterance came from a transcript track.
    transcript_track: bool,
    line_changed: Nanos,
    line: Option<DialogueLine>,
}

impl Dialogue {
    /// Takes a partial or final utterance.
    pub fn on_utterance(&mut self, utterance: &v1::Utterance, now: Nanos) {
        self.transcript_track = utterance.source() == TranscriptSource::Track;
        let track = self.transcript_track;
        let text = truncated(&utterance.text, MAX_CHARS);
        self.set_line("YOU", text.clone(), now);
        if !utterance.r#final {
            self.partial = Some(text);
            return;
        }
        self.partial = None;
        let exchange = self.exchange(utterance.header_copy().stamp_ns);
        exchange.user = text;
        exchange.transcript_track |= track;
    }

    /// Takes an intent.
    pub fn on_intent(&mut self, intent: &v1::Intent, now: Nanos) {
        let slots = intent.slots.iter().take(MAX_SLOTS);
        let state = IntentState {
            name: truncated(&intent.name, 60),
            slots: slots.map(|s| (truncated(&s.name, 60), truncated(&s.value, 120))).collect(),
            confidence: if intent.confidence.is_finite() { intent.confidence.clamp(0.0, 1.0) } else { 0.0 },
            proposal: intent.proposal,
            allowed: intent.allowed,
            refusal: truncated(&intent.refusal, 200),
        };
        if !state.refusal.is_empty() {
            self.set_line("AURIGA", state.refusal.clone(), now);
        }
        let exchange = self.exchange(intent.header_copy().stamp_ns);
        if exchange.user.is_empty() {
            exchange.user = truncated(&intent.utterance, MAX_CHARS);
        }
        exchange.transcript_track |= intent.from_transcript_track;
        exchange.intent = Some(state);
    }

    /// Takes a part of a reply.
    pub fn on_turn(&mut self, turn: &v1::DialogueTurn, now: Nanos) {
        let exchange = self.exchange(turn.header_copy().stamp_ns);
        if exchange.user.is_empty() {
            exchange.user = truncated(&turn.user_text, MAX_CHARS);
        }
        if turn.first {
            exchange.reply.clear();
        }
        let room = MAX_CHARS.saturating_sub(exchange.reply.chars().count());
        exchange.reply += &truncated(&turn.text, room);
        exchange.streaming = !turn.last;
        exchange.interrupted |= turn.interrupted;
        exchange.transcript_track |= turn.from_transcript_track;
        let reply = exchange.reply.clone();
        if !reply.trim().is_empty() {
            self.set_line("AURIGA", reply, now);
        }
    }

    /// Takes the scheduling status of the language model.
    pub fn on_slices(&mut self, status: &v1::SliceStatus) {
        self.model = Some(Model {
            workload: truncated(&status.workload, 60),
            running: status.running,
            slices: status.slices,
            preemptions: status.preemptions,
        });
    }

    /// The line for the HUD, for `shown` after its last change.
    pub fn line(&self, now: Nanos, shown: std::time::Duration) -> Option<&DialogueLine> {
        self.line.as_ref().filter(|_| now.since(self.line_changed) <= shown)
    }

    /// Whether the last utterance came from a transcript track.
    pub fn uses_transcript_track(&self) -> bool {
        self.transcript_track
    }

    fn set_line(&mut self, speaker: &'static str, text: String, now: Nanos) {
        self.line = Some(DialogueLine { speaker, text });
        self.line_changed = now;
    }

    /// The exchange with this end of speech, new if there is none.
    fn exchange(&mut self, stamp_ns: u64) -> &mut Exchange {
        let index = self.exchanges.iter().position(|e| e.stamp_ns == stamp_ns).unwrap_or_else(|| {
            if self.exchanges.len() == MAX_EXCHANGES {
                self.exchanges.pop_front();
            }
            self.exchanges.push_back(Exchange { stamp_ns, ..Default::default() });
            self.exchanges.len() - 1
        });
        &mut self.exchanges[index]
    }

    /// The dialogue at `now`.
    pub(super) fn state(&self, now: Nanos) -> DialogueState {
        let state = |e: &Exchange| ExchangeState {
            id: format!("{:x}", e.stamp_ns),
            age_s: now.since(Nanos(e.stamp_ns)).as_secs_f64(),
            user: e.user.clone(),
            reply: e.reply.clone(),
            streaming: e.streaming,
            interrupted: e.interrupted,
            transcript_track: e.transcript_track,
            intent: e.intent.clone(),
        };
        let exchanges = self.exchanges.iter().map(state).collect();
        DialogueState { partial: self.partial.clone(), exchanges, model: self.model.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(stamp: u64) -> Option<v1::Header> {
        Some(v1::Header::new(stamp, 0))
    }

    #[test]
    fn utterance_intent_and_streamed_reply_with_the_same_stamp_are_one_exchange() {
        let mut dialogue = Dialogue::default();
        let text = "how far can i still go".to_owned();
        let track = TranscriptSource::Track.into();
        let utterance = v1::Utterance { header: header(7), text, r#final: true, source: track, ..Default::default() };
        dialogue.on_utterance(&utterance, Nanos(10));
        let slots = vec![v1::Slot { name: "what".into(), value: "range".into() }];
        let intent =
            v1::Intent { header: header(7), name: "range".into(), slots, confidence: 0.9, ..Default::default() };
        dialogue.on_intent(&intent, Nanos(11));
        for (text, first, last) in [("About ", true, false), ("250 km.", false, true)] {
            let turn = v1::DialogueTurn { header: header(7), text: text.into(), first, last, ..Default::default() };
            dialogue.on_turn(&turn, Nanos(12));
        }
        let now = dialogue.state(Nanos(20));
        let [exchange] = now.exchanges.as_slice() else { panic!("{now:?}") };
        assert_eq!((exchange.user.as_str(), exchange.reply.as_str()), ("how far can i still go", "About 250 km."));
        assert!(!exchange.streaming && exchange.transcript_track && dialogue.uses_transcript_track());
        assert_eq!(exchange.intent.as_ref().unwrap().slots, [("what".to_owned(), "range".to_owned())]);
        let line = dialogue.line(Nanos(12), std::time::Duration::from_nanos(5)).unwrap();
        assert_eq!((line.speaker, line.text.as_str()), ("AURIGA", "About 250 km."));
        assert!(dialogue.line(Nanos(18), std::time::Duration::from_nanos(5)).is_none());
    }

    #[test]
    fn the_number_and_the_length_of_exchanges_are_bounded() {
        let mut dialogue = Dialogue::default();
        for i in 0..100 {
            let text = "word ".repeat(1000);
            let turn = v1::DialogueTurn { header: header(i / 2), text, ..Default::default() };
            dialogue.on_turn(&turn, Nanos(i));
        }
        let now = dialogue.state(Nanos(100));
        assert_eq!(now.exchanges.len(), MAX_EXCHANGES);
        assert!(now.exchanges.iter().all(|e| e.reply.chars().count() <= MAX_CHARS));
    }
}
