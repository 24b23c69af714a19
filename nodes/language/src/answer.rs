//! What is understood is judged by the rules and answered.

use crate::{
    Heard, IntentWork, LanguageNode, ReplyWork,
    demand::forecast,
    engine::{Ask, Class, EngineError},
    numbers::numbers,
    plain,
    reply::{Draft, Said, max_words},
};
use auriga_lm::{
    catalogue::{Catalogue, OUT_OF_SCOPE, Slot, SlotKind},
    prompt::{IntentOutput, SceneFacts},
};
use auriga_msgs::{topic, v1};
use auriga_runtime::{Nanos, Outbox};
use std::time::Duration;
use v1::Severity;

/// The driver's "say that again".
const REPEAT: &str = "repeat";

/// A reply as it is published, piece by piece.
pub(crate) struct Turn {
    pub heard: Heard,
    id: u64,
    /// What has been said of it; `None` before the first piece.
    said: Option<String>,
}

/// What a piece is to the turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    More,
    Last,
    Interrupted,
}

/// An intent after the rules.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Judged {
    pub output: IntentOutput,
    pub proposal: bool,
    /// The model meant something else, which it must not go on to answer.
    pub overruled: bool,
    /// Why it is not done: the driver is told.
    pub refusal: Option<String>,
}

/// Holds what the model understood to the catalogue, to what was said, and to the rules.
pub(crate) fn judge(catalogue: &Catalogue, output: IntentOutput, ask: &Ask, min_confidence: f64) -> Judged {
    let confidence = if output.confidence.is_finite() { output.confidence.clamp(0.0, 1.0) } else { 0.0 };
    let mut output = IntentOutput { confidence, ..output };
    let was_meant = output.name != OUT_OF_SCOPE;
    let out_of_scope = || Judged {
        output: IntentOutput { confidence, ..IntentOutput::new(OUT_OF_SCOPE, &[]) },
        proposal: false,
        overruled: was_meant,
        refusal: None,
    };
    let Some(intent) = catalogue.get(&output.name).filter(|_| confidence >= min_confidence) else {
        return out_of_scope();
    };
    let not_understood = |slot: &&Slot| match output.slot(&slot.name) {
        Some(value) => !was_said(slot, value, &ask.text),
        None => slot.required,
    };
    let refusal = match intent.slots.iter().find(not_understood) {
        Some(slot) => {
            output.slots.retain(|(name, _)| *name != slot.name);
            Some(format!("I did not get the {}. Please say it again.", slot.name.replace('_', " ")))
        }
        None if catalogue.check(&output).is_err() => return out_of_scope(),
        None => intent.permit(&output.slots, ask.facts.speed_mps, ask.facts.gear).err().map(str::to_owned),
    };
    Judged { proposal: intent.touches_vehicle, overruled: false, output, refusal }
}

/// A number has to be one that was said: a small model may hear 20 for twenty one.
fn was_said(slot: &Slot, value: &str, text: &str) -> bool {
    match slot.kind {
        SlotKind::Integer { .. } => {
            value.parse().is_ok_and(|value: f64| numbers(text).iter().any(|n| n.is_rounded(value)))
        }
        SlotKind::Text | SlotKind::Choice(_) => true,
    }
}

impl LanguageNode {
    /// The intent of an utterance is there: published, forecast from, answered.
    pub(crate) fn understood(&mut self, work: IntentWork, output: IntentOutput, now: Nanos, out: &mut Outbox<Self>) {
        let IntentWork { heard, ask } = work;
        let judged = judge(&self.catalogue, output, &ask, self.config.min_confidence);
        publish_intent(&heard, &judged, out);
        let name = judged.output.name.clone();
        if name != OUT_OF_SCOPE {
            self.habits.note(&name);
        }
        self.publish_demand(&heard, &name, out);
        if name == OUT_OF_SCOPE && self.reply.is_some() {
            // Talk between people: the reply goes on from where it was.
            return;
        }
        self.interrupt_reply(out);
        if let Some(text) = self.plain_answer(&judged, &ask.facts) {
            return self.say(&heard, &text, out);
        }
        let turn = self.turn(&heard);
        let words = max_words(ask.facts.driving_load, self.config.reply_words_calm, self.config.reply_words_busy);
        let Ok(engine) = &mut self.model else { return };
        match engine.begin_reply(self.config.reply_max_tokens) {
            Ok(()) => {
                let draft = Draft::new(ask, judged.output, &spoken_slots(&self.catalogue, &name), words);
                self.reply = Some(ReplyWork { turn, draft, paused: None });
                if !self.queue.is_empty() {
                    // The driver has spoken again already: only the newest request is answered at length.
                    self.interrupt_reply(out);
                }
            }
            Err(e) => self.model_failed(&heard, &e, now, out),
        }
    }

    /// What is said without the model: a refusal, a doubt, a value that is not known, what was said before.
    fn plain_answer(&self, judged: &Judged, facts: &SceneFacts) -> Option<String> {
        let name = judged.output.name.as_str();
        if let Some(refusal) = &judged.refusal {
            return Some(refusal.clone());
        }
        if judged.overruled {
            return Some(plain::NOT_SURE.into());
        }
        if name == REPEAT && !self.last_said.is_empty() {
            return Some(self.last_said.clone());
        }
        let plainly = name == REPEAT || self.plain.misses_a_fact(name, facts);
        plainly.then(|| self.plain.sentence(&judged.output, facts))
    }

    fn publish_demand(&mut self, heard: &Heard, intent: &str, out: &mut Outbox<Self>) {
        let lead = Duration::try_from_secs_f64(self.config.habit_lead_s).unwrap_or_default();
        let items = forecast(&self.catalogue, intent, &self.habits, lead);
        out.publish::<topic::LanguageDemand>(v1::Demand { header: Some(heard.header), items });
    }

    /// A whole turn in one plain sentence; it takes the place of a reply under way.
    pub(crate) fn say(&mut self, heard: &Heard, text: &str, out: &mut Outbox<Self>) {
        self.interrupt_reply(out);
        let mut turn = self.turn(heard);
        self.publish_piece(&mut turn, text, Piece::Last, out);
    }

    /// The model broke down at this: said by fault and to the driver.
    pub(crate) fn model_failed(&mut self, heard: &Heard, error: &EngineError, now: Nanos, out: &mut Outbox<Self>) {
        let text = format!("{error}; a request was not answered, check the checkpoint");
        out.fault(now, Severity::Critical, "language-model-failed", "checkpoint", text);
        self.say(heard, plain::MODEL_FAILED, out);
    }

    pub(crate) fn reply_goes_on(&mut self, text: &str, now: Nanos, out: &mut Outbox<Self>) {
        let Some(mut reply) = self.reply.take() else { return };
        match reply.draft.push(text, &self.plain) {
            Said::Nothing => self.reply = Some(reply),
            Said::Sentences(text) => {
                self.publish_piece(&mut reply.turn, &text, Piece::More, out);
                self.reply = Some(reply);
            }
            Said::Last { text, replaced } => self.close_reply(reply, &text, replaced, now, out),
        }
    }

    pub(crate) fn reply_ends(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        let Some(mut reply) = self.reply.take() else { return };
        if let Said::Last { text, replaced } = reply.draft.finish(&self.plain) {
            self.close_reply(reply, &text, replaced, now, out);
        }
    }

    fn close_reply(&mut self, mut reply: ReplyWork, text: &str, replaced: bool, now: Nanos, out: &mut Outbox<Self>) {
        if replaced {
            let text = "the model's reply had a number that is not the scene's, or no sentence short enough; a plain \
                        sentence took its place";
            out.fault(now, Severity::Info, "reply-replaced", "language/turn", text);
        }
        self.publish_piece(&mut reply.turn, text, Piece::Last, out);
        if let Ok(engine) = &mut self.model {
            engine.abandon(Class::Dialogue);
        }
    }

    /// Ends the reply under way, if there is one, before it is whole.
    pub(crate) fn interrupt_reply(&mut self, out: &mut Outbox<Self>) {
        let Some(mut reply) = self.reply.take() else { return };
        self.publish_piece(&mut reply.turn, "", Piece::Interrupted, out);
        if let Ok(engine) = &mut self.model {
            engine.abandon(Class::Dialogue);
        }
    }

    /// A new turn. Its id is the utterance's time, so that a restarted node does not use one again.
    fn turn(&mut self, heard: &Heard) -> Turn {
        self.last_turn = heard.header.stamp_ns.max(self.last_turn.saturating_add(1));
        Turn { heard: heard.clone(), id: self.last_turn, said: None }
    }

    fn publish_piece(&mut self, turn: &mut Turn, text: &str, piece: Piece, out: &mut Outbox<Self>) {
        let first = turn.said.is_none();
        out.publish::<topic::LanguageTurn>(v1::DialogueTurn {
            header: Some(turn.heard.header),
            turn_id: turn.id,
            user_text: if first { turn.heard.text.clone() } else { String::new() },
            text: text.to_owned(),
            first,
            last: piece != Piece::More,
            interrupted: piece == Piece::Interrupted,
            from_transcript_track: turn.heard.from_track,
        });
        let said = turn.said.get_or_insert_default();
        said.push_str(text);
        if piece == Piece::Last {
            self.last_said = said.trim().to_owned();
        }
    }
}

/// The slots of an intent that hold words of the utterance.
pub fn spoken_slots<'a>(catalogue: &'a Catalogue, intent: &str) -> Vec<&'a str> {
    let slots = catalogue.get(intent).map_or(&[][..], |i| &i.slots);
    slots.iter().filter(|s| s.kind == SlotKind::Text).map(|s| s.name.as_str()).collect()
}

fn publish_intent(heard: &Heard, judged: &Judged, out: &mut Outbox<LanguageNode>) {
    let slots = judged.output.slots.iter().map(|(name, value)| v1::Slot { name: name.clone(), value: value.clone() });
    out.publish::<topic::LanguageIntent>(v1::Intent {
        header: Some(heard.header),
        name: judged.output.name.clone(),
        slots: slots.collect(),
        confidence: judged.output.confidence as f32,
        utterance: heard.text.clone(),
        proposal: judged.proposal,
        allowed: judged.refusal.is_none() && judged.output.name != OUT_OF_SCOPE,
        refusal: judged.refusal.clone().unwrap_or_default(),
        from_transcript_track: heard.from_track,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use auriga_lm::prompt::Gear;

    fn catalogue() -> Catalogue {
        Catalogue::load(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/language/intents.toml")).unwrap()
    }

    fn judged(name: &str, slots: &[(&str, &str)], confidence: f64, facts: &SceneFacts) -> Judged {
        let ask = Ask { text: "make it twenty one degrees or 99".into(), facts: facts.clone() };
        judge(&catalogue(), IntentOutput { confidence, ..IntentOutput::new(name, slots) }, &ask, 0.5)
    }

    #[test]
    fn what_is_uncertain_or_not_in_the_catalogue_is_not_for_the_car() {
        let facts = SceneFacts::default();
        for (name, slots, confidence) in [
            ("call", vec![("who", "anna")], 0.49),
            ("call", vec![("who", "anna")], f64::NAN),
            ("self_destruct", vec![], 1.0),
            ("set_temperature", vec![("degrees", "99")], 1.0),
            ("thanks", vec![("much", "yes")], 1.0),
        ] {
            let j = judged(name, &slots, confidence, &facts);
            assert_eq!((j.output.name.as_str(), j.output.slots.len(), j.refusal), (OUT_OF_SCOPE, 0, None), "{name}");
        }
        assert_eq!(judged("call", &[("who", "anna")], 0.5, &facts).output.name, "call");
    }

    #[test]
    fn the_rules_decide_not_the_model() {
        let at = |speed, gear| SceneFacts { speed_mps: speed, gear, ..Default::default() };
        let all = [("which", "all")];
        assert_eq!(judged("window_open", &all, 1.0, &at(Some(10.0), None)).refusal, None);
        let fast = judged("window_open", &all, 1.0, &at(Some(30.0), None));
        assert_eq!(fast.refusal.as_deref(), Some("We are too fast to open all windows."));
        assert!(fast.proposal);
        assert!(judged("window_open", &all, 1.0, &at(None, None)).refusal.is_some(), "an unknown speed refuses");
        let off = [("state", "off")];
        assert!(judged("lights", &off, 1.0, &at(Some(0.0), Some(Gear::Drive))).refusal.is_some());
        assert_eq!(judged("lights", &off, 1.0, &at(Some(0.0), Some(Gear::Park))).refusal, None);
    }

    #[test]
    fn a_slot_that_is_missing_or_a_number_nobody_said_is_asked_for() {
        let not_said = [("degrees", "20")];
        for slots in [&[][..], &not_said] {
            let j = judged("set_temperature", slots, 1.0, &SceneFacts::default());
            assert_eq!((j.output.name.as_str(), j.output.slots.len()), ("set_temperature", 0));
            assert_eq!(j.refusal.as_deref(), Some("I did not get the degrees. Please say it again."));
        }
        assert_eq!(judged("set_temperature", &[("degrees", "21")], 1.0, &SceneFacts::default()).refusal, None);
    }
}
