//! What was said, understood and answered: one exchange for each utterance, told apart by the end of speech, which
//! utterance, intent and reply all carry as their stamp.

use super::page_state::clipped;
use crate::drawing::overlay::Spoken;
use auriga_msgs::{Stamped, v1};
use auriga_runtime::Nanos;
use serde::Serialize;
use std::collections::VecDeque;
use v1::TranscriptSource;

const MAX_EXCHANGES: usize = 20;
const MAX_LETTERS: usize = 2000;
const MAX_SLOTS: usize = 8;

/// The dialogue as the page shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Now {
    /// What is being heard and not final yet.
    pub hearing: Option<String>,
    pub exchanges: Vec<ExchangeState>,
    /// The language model's slices: running, and how often it has left the processor.
    pub model: Option<Model>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExchangeState {
    /// Names the exchange; as text, since it is larger than a page's numbers.
    pub id: String,
    pub age_s: f64,
    pub user: String,
    pub reply: String,
    /// The reply is still coming.
    pub streaming: bool,
    pub interrupted: bool,
    pub transcript_track: bool,
    pub intent: Option<IntentState>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IntentState {
    pub name: String,
    pub slots: Vec<(String, String)>,
    pub confidence: f32,
    pub proposal: bool,
    pub allowed: bool,
    pub refusal: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Model {
    pub workload: String,
    pub running: bool,
    pub slices: u64,
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

#[derive(Default)]
pub struct Dialogue {
    exchanges: VecDeque<Exchange>,
    hearing: Option<String>,
    model: Option<Model>,
    /// The last word heard came from a transcript track.
    transcript_track: bool,
    changed: Nanos,
    line: Option<Spoken>,
}

impl Dialogue {
    pub fn on_utterance(&mut self, utterance: &v1::Utterance, now: Nanos) {
        self.transcript_track = utterance.source() == TranscriptSource::Track;
        let track = self.transcript_track;
        let text = clipped(&utterance.text, MAX_LETTERS);
        self.say("YOU", text.clone(), now);
        if !utterance.r#final {
            self.hearing = Some(text);
            return;
        }
        self.hearing = None;
        let exchange = self.exchange(utterance.header_copy().stamp_ns);
        exchange.user = text;
        exchange.transcript_track |= track;
    }

    pub fn on_intent(&mut self, intent: &v1::Intent, now: Nanos) {
        let slots = intent.slots.iter().take(MAX_SLOTS);
        let state = IntentState {
            name: clipped(&intent.name, 60),
            slots: slots.map(|s| (clipped(&s.name, 60), clipped(&s.value, 120))).collect(),
            confidence: if intent.confidence.is_finite() { intent.confidence.clamp(0.0, 1.0) } else { 0.0 },
            proposal: intent.proposal,
            allowed: intent.allowed,
            refusal: clipped(&intent.refusal, 200),
        };
        if !state.refusal.is_empty() {
            self.say("AURIGA", state.refusal.clone(), now);
        }
        let exchange = self.exchange(intent.header_copy().stamp_ns);
        if exchange.user.is_empty() {
            exchange.user = clipped(&intent.utterance, MAX_LETTERS);
        }
        exchange.transcript_track |= intent.from_transcript_track;
        exchange.intent = Some(state);
    }

    pub fn on_turn(&mut self, turn: &v1::DialogueTurn, now: Nanos) {
        let exchange = self.exchange(turn.header_copy().stamp_ns);
        if exchange.user.is_empty() {
            exchange.user = clipped(&turn.user_text, MAX_LETTERS);
        }
        if turn.first {
            exchange.reply.clear();
        }
        let room = MAX_LETTERS.saturating_sub(exchange.reply.chars().count());
        exchange.reply += &clipped(&turn.text, room);
        exchange.streaming = !turn.last;
        exchange.interrupted |= turn.interrupted;
        exchange.transcript_track |= turn.from_transcript_track;
        let reply = exchange.reply.clone();
        if !reply.trim().is_empty() {
            self.say("AURIGA", reply, now);
        }
    }

    pub fn on_slices(&mut self, status: &v1::SliceStatus) {
        self.model = Some(Model {
            workload: clipped(&status.workload, 60),
            running: status.running,
            slices: status.slices,
            preemptions: status.preemptions,
        });
    }

    /// The line for the HUD, while it is not older than `shown`.
    pub fn line(&self, now: Nanos, shown: std::time::Duration) -> Option<&Spoken> {
        self.line.as_ref().filter(|_| now.since(self.changed) <= shown)
    }

    pub fn hears_transcript_track(&self) -> bool {
        self.transcript_track
    }

    fn say(&mut self, by: &'static str, text: String, now: Nanos) {
        self.line = Some(Spoken { by, text });
        self.changed = now;
    }

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

    pub(super) fn now(&self, now: Nanos) -> Now {
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
        Now { hearing: self.hearing.clone(), exchanges, model: self.model.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(stamp: u64) -> Option<v1::Header> {
        Some(v1::Header::new(stamp, 0))
    }

    #[test]
    fn utterance_intent_and_streamed_reply_of_one_end_of_speech_are_one_exchange() {
        let mut dialogue = Dialogue::default();
        let text = "how far can i still go".to_owned();
        let track = TranscriptSource::Track.into();
        let heard = v1::Utterance { header: header(7), text, r#final: true, source: track, ..Default::default() };
        dialogue.on_utterance(&heard, Nanos(10));
        let slots = vec![v1::Slot { name: "what".into(), value: "range".into() }];
        let intent =
            v1::Intent { header: header(7), name: "range".into(), slots, confidence: 0.9, ..Default::default() };
        dialogue.on_intent(&intent, Nanos(11));
        for (text, first, last) in [("About ", true, false), ("250 km.", false, true)] {
            let turn = v1::DialogueTurn { header: header(7), text: text.into(), first, last, ..Default::default() };
            dialogue.on_turn(&turn, Nanos(12));
        }
        let now = dialogue.now(Nanos(20));
        let [exchange] = now.exchanges.as_slice() else { panic!("{now:?}") };
        assert_eq!((exchange.user.as_str(), exchange.reply.as_str()), ("how far can i still go", "About 250 km."));
        assert!(!exchange.streaming && exchange.transcript_track && dialogue.hears_transcript_track());
        assert_eq!(exchange.intent.as_ref().unwrap().slots, [("what".to_owned(), "range".to_owned())]);
        let line = dialogue.line(Nanos(12), std::time::Duration::from_nanos(5)).unwrap();
        assert_eq!((line.by, line.text.as_str()), ("AURIGA", "About 250 km."));
        assert!(dialogue.line(Nanos(18), std::time::Duration::from_nanos(5)).is_none());
    }

    #[test]
    fn endless_talk_is_bounded() {
        let mut dialogue = Dialogue::default();
        for i in 0..100 {
            let text = "word ".repeat(1000);
            let turn = v1::DialogueTurn { header: header(i / 2), text, ..Default::default() };
            dialogue.on_turn(&turn, Nanos(i));
        }
        let now = dialogue.now(Nanos(100));
        assert_eq!(now.exchanges.len(), MAX_EXCHANGES);
        assert!(now.exchanges.iter().all(|e| e.reply.chars().count() <= MAX_LETTERS));
    }
}
