//! What is understood is checked by the rules, done and answered.

use crate::{
    IntentTask, LanguageNode, ReplyTask, Request,
    engine::interface::ModelInput,
    reply::{
        canned,
        draft::{Draft, max_words},
        telltales,
        turns::Urgency,
        verbosity::Verbosity,
    },
    understand::dialogue_history::{self, Answer, Question},
};
use auriga_lm::intent::{
    catalogue::{Catalogue, Kind, OUT_OF_SCOPE, Slot, SlotKind},
    output::IntentOutput,
};
use auriga_msgs::{topic, v1};
use auriga_runtime::{Nanos, Outbox};
use std::time::Duration;

/// Intents of the catalogue that the node itself has to know.
const REPEAT: &str = "repeat";
const STOP: &str = "stop";
const WARNING_LAMP: &str = "warning_lamp";

/// "What was that" is about a hazard that was active at most this long ago.
const HAZARD_MEMORY: Duration = Duration::from_secs(30);

/// An intent after the rules.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CheckedIntent {
    pub output: IntentOutput,
    pub proposal: bool,
    /// The model meant something else, which it must not go on to answer.
    pub overruled: bool,
    /// Why it is not done: the driver is told.
    pub refusal: Option<String>,
}

/// Where an intent's values come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SlotSource {
    /// From this utterance: a number has to be one that was said.
    Utterance,
    /// From turns before.
    History,
}

/// Holds what the model understood to the catalogue, to what was said, and to the rules.
pub(crate) fn check_intent(
    catalogue: &Catalogue,
    output: IntentOutput,
    ask: &ModelInput,
    min_confidence: f64,
    origin: SlotSource,
) -> CheckedIntent {
    let confidence = if output.confidence.is_finite() { output.confidence.clamp(0.0, 1.0) } else { 0.0 };
    let mut output = IntentOutput { confidence, ..output };
    let was_meant = output.name != OUT_OF_SCOPE;
    let out_of_scope = || CheckedIntent {
        output: IntentOutput { confidence, ..IntentOutput::new(OUT_OF_SCOPE, &[]) },
        proposal: false,
        overruled: was_meant,
        refusal: None,
    };
    let Some(intent) = catalogue.get(&output.name).filter(|_| confidence >= min_confidence) else {
        return out_of_scope();
    };
    // "Play it", and nothing was named: any music will do.
    let points = |slot: &Slot, value: &str| slot.kind == SlotKind::Text && dialogue_history::points(value);
    let needed = |name: &str, value: &str| intent.slot(name).is_none_or(|s| s.required || !points(s, value));
    output.slots.retain(|(name, value)| needed(name, value));
    let not_understood = |slot: &&Slot| match output.slot(&slot.name) {
        Some(value) => points(slot, value) || (origin == SlotSource::Utterance && !was_said(slot, value, &ask.text)),
        None => slot.required,
    };
    let refusal = match intent.slots.iter().find(not_understood) {
        Some(slot) => {
            output.slots.retain(|(name, _)| *name != slot.name);
            Some(format!("I did not get the {}. Please say it again.", slot.name.replace('_', " ")))
        }
        None if catalogue.check(&output).is_err() => return out_of_scope(),
        None => intent.permit(&output.slots, ask.facts().speed_mps, ask.facts().gear).err().map(str::to_owned),
    };
    CheckedIntent { proposal: intent.touches_vehicle, overruled: false, output, refusal }
}

/// A number has to be one that was said: a small model may hear 20 for twenty one.
fn was_said(slot: &Slot, value: &str, text: &str) -> bool {
    match slot.kind {
        SlotKind::Integer { .. } => value
            .parse()
            .is_ok_and(|value: f64| crate::understand::numbers::numbers(text).iter().any(|n| n.is_rounded(value))),
        SlotKind::Text | SlotKind::Choice(_) => true,
    }
}

impl LanguageNode {
    /// The answer to a question of the node's own needs no model. False: it is none.
    pub(crate) fn is_answer(&mut self, heard: &Request, ask: &ModelInput, now: Nanos, out: &mut Outbox<Self>) -> bool {
        match (self.recall.take_question(now), dialogue_history::answer(&heard.text)) {
            (Some(Question::Confirm(intent)), Some(Answer::Yes)) => {
                let checked = check_intent(&self.catalogue, intent, ask, 0.0, SlotSource::History);
                self.accept(heard, ask, checked, now, out);
                true
            }
            (Some(Question::Confirm(_)), Some(Answer::No)) => {
                let checked =
                    check_intent(&self.catalogue, IntentOutput::new(STOP, &[]), ask, 0.0, SlotSource::History);
                self.accept(heard, ask, checked, now, out);
                true
            }
            (Some(Question::WhichTelltale), _) => {
                let Some(text) = self.lamps.explain(&heard.text, self.talk(now)) else { return false };
                let output = IntentOutput::new(WARNING_LAMP, &[]);
                let checked = check_intent(&self.catalogue, output, ask, 0.0, SlotSource::History);
                publish_intent(heard, &checked, out);
                self.say(heard, &text, Urgency::Deferrable, now, out);
                true
            }
            _ => false,
        }
    }

    /// The intent of an utterance is there.
    pub(crate) fn understood(&mut self, work: IntentTask, output: IntentOutput, now: Nanos, out: &mut Outbox<Self>) {
        let Some((work, output)) = self.best_reading(work, output, now, out) else { return };
        let IntentTask { heard, ask, .. } = work;
        let min_confidence = self.config.min_confidence;
        let recalled = self.recall.resolve(&heard.text, &output, &self.catalogue, now);
        let mut checked = match recalled {
            Some(meant) => check_intent(&self.catalogue, meant, &ask, min_confidence, SlotSource::History),
            None => check_intent(&self.catalogue, output, &ask, min_confidence, SlotSource::Utterance),
        };
        if let Some(refusal) = self.tools.distraction(&heard.text, ask.facts().speed_mps) {
            checked.refusal = Some(refusal.to_owned());
        }
        self.accept(&heard, &ask, checked, now, out);
    }

    /// An intent that has been checked: published, remembered, forecast from, done and answered.
    fn accept(
        &mut self,
        heard: &Request,
        ask: &ModelInput,
        mut checked: CheckedIntent,
        now: Nanos,
        out: &mut Outbox<Self>,
    ) {
        let intent = self.catalogue.get(&checked.output.name).filter(|_| heard.by_passenger);
        if let Some(refusal) = intent.and_then(|i| i.refusal_to_passenger()) {
            checked.refusal = Some(refusal.to_owned());
        }
        publish_intent(heard, &checked, out);
        let in_scope = checked.output.name != OUT_OF_SCOPE;
        if in_scope {
            self.remember(&checked.output.name, now, out);
        }
        if in_scope && checked.refusal.is_none() {
            self.recall.note(&checked.output, now);
        }
        self.publish_demand(heard.header, now, out);
        if !in_scope && checked.refusal.is_none() && self.reply.is_some() {
            // Verbosity between people: the reply goes on from where it was.
            return;
        }
        self.interrupt_reply(out);
        let urgent = self.catalogue.get(&checked.output.name).is_some_and(|i| i.kind == Kind::Safety);
        let urgency = if urgent { Urgency::Immediate } else { Urgency::Deferrable };
        if let Some(text) = self.plain_answer(heard, ask, &checked, now, out) {
            return self.say(heard, &text, urgency, now, out);
        }
        self.begin_reply(heard, ask.clone(), checked.output, now, out);
    }

    /// What is said without the model: a refusal, a doubt, a question, a value that is not known, what a lamp means, what
    /// was said before.
    fn plain_answer(
        &mut self,
        heard: &Request,
        ask: &ModelInput,
        checked: &CheckedIntent,
        now: Nanos,
        out: &mut Outbox<Self>,
    ) -> Option<String> {
        let name = checked.output.name.as_str();
        if let Some(refusal) = &checked.refusal {
            return Some(refusal.clone());
        }
        if checked.overruled {
            return Some(canned::NOT_SURE.into());
        }
        if let Some(problem) = self.act(heard, checked, now, out) {
            return Some(problem);
        }
        match name {
            REPEAT if !self.last_said.is_empty() => return Some(self.last_said.clone()),
            STOP => self.waiting.clear(),
            WARNING_LAMP => return Some(self.explain_warning(ask, now)),
            _ => {}
        }
        let sentence = |node: &Self| node.plain.sentence(&checked.output, ask.facts());
        if let Some((question, then)) = self.tools.confirm(name) {
            let text = format!("{} {question}", sentence(self));
            self.recall.ask(Question::Confirm(then), now);
            return Some(text);
        }
        let speaks = self.model.as_ref().is_ok_and(|engine| engine.can_reply());
        let plainly = !speaks || name == REPEAT || self.plain.lacks_fact(name, ask.facts());
        plainly.then(|| sentence(self))
    }

    /// The lamp that was named; the warning that has just been given; or a question back.
    fn explain_warning(&mut self, ask: &ModelInput, now: Nanos) -> String {
        if let Some(text) = self.lamps.explain(&ask.text, self.talk(now)) {
            return text;
        }
        let hazard = self.last_hazard.as_ref().filter(|(_, at)| now.since(*at) <= HAZARD_MEMORY);
        if let Some(text) = hazard.and_then(|(kind, _)| self.lamps.hazard(kind)) {
            return text;
        }
        self.recall.ask(Question::WhichTelltale, now);
        telltales::WHICH.into()
    }

    fn begin_reply(
        &mut self,
        heard: &Request,
        ask: ModelInput,
        intent: IntentOutput,
        now: Nanos,
        out: &mut Outbox<Self>,
    ) {
        let turn = self.turn(heard);
        let (calm, busy) = (self.config.reply_words_calm, self.config.reply_words_busy);
        let words = match self.talk(now) {
            Verbosity::Full => max_words(ask.facts().driving_load, calm, busy),
            Verbosity::Brief | Verbosity::Silent => busy,
        };
        let Ok(engine) = &mut self.model else { return };
        match engine.begin_reply(&ask, &intent, self.config.reply_max_tokens) {
            Ok(()) => {
                let spoken = spoken_slots(&self.catalogue, &intent.name);
                let draft = Draft::new(ask, intent, &spoken, words);
                self.reply = Some(ReplyTask { turn, draft, paused: None });
                if !self.queue.is_empty() {
                    // The driver has spoken again already: only the newest request is answered at length.
                    self.interrupt_reply(out);
                }
            }
            Err(e) => self.model_failed(heard, &e, now, out),
        }
    }
}

/// The slots of an intent that hold words of the utterance.
pub fn spoken_slots<'a>(catalogue: &'a Catalogue, intent: &str) -> Vec<&'a str> {
    let slots = catalogue.get(intent).map_or(&[][..], |i| &i.slots);
    slots.iter().filter(|s| s.kind == SlotKind::Text).map(|s| s.name.as_str()).collect()
}

fn publish_intent(heard: &Request, checked: &CheckedIntent, out: &mut Outbox<LanguageNode>) {
    let slots = checked.output.slots.iter().map(|(name, value)| v1::Slot { name: name.clone(), value: value.clone() });
    out.publish::<topic::LanguageIntent>(v1::Intent {
        header: Some(heard.header),
        name: checked.output.name.clone(),
        slots: slots.collect(),
        confidence: checked.output.confidence as f32,
        utterance: heard.text.clone(),
        proposal: checked.proposal,
        allowed: checked.refusal.is_none() && checked.output.name != OUT_OF_SCOPE,
        refusal: checked.refusal.clone().unwrap_or_default(),
        from_transcript_track: heard.from_track,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use auriga_lm::intent::{
        classifier::context::Context,
        scene::{Gear, SceneFacts},
    };

    fn catalogue() -> Catalogue {
        Catalogue::load(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/language/intents.toml")).unwrap()
    }

    fn checked(name: &str, slots: &[(&str, &str)], confidence: f64, facts: &SceneFacts) -> CheckedIntent {
        let context = Context { scene: facts.clone(), ..Default::default() };
        let ask = ModelInput { text: "make it twenty one degrees or 99".into(), context };
        let output = IntentOutput { confidence, ..IntentOutput::new(name, slots) };
        check_intent(&catalogue(), output, &ask, 0.5, SlotSource::Utterance)
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
            let j = checked(name, &slots, confidence, &facts);
            assert_eq!((j.output.name.as_str(), j.output.slots.len(), j.refusal), (OUT_OF_SCOPE, 0, None), "{name}");
        }
        assert_eq!(checked("call", &[("who", "anna")], 0.5, &facts).output.name, "call");
    }

    #[test]
    fn the_rules_decide_not_the_model() {
        let at = |speed, gear| SceneFacts { speed_mps: speed, gear, ..Default::default() };
        let all = [("which", "all")];
        assert_eq!(checked("window_open", &all, 1.0, &at(Some(10.0), None)).refusal, None);
        let fast = checked("window_open", &all, 1.0, &at(Some(30.0), None));
        assert_eq!(fast.refusal.as_deref(), Some("We are too fast to open all windows."));
        assert!(fast.proposal);
        assert!(checked("window_open", &all, 1.0, &at(None, None)).refusal.is_some(), "an unknown speed refuses");
        let off = [("state", "off")];
        assert!(checked("lights", &off, 1.0, &at(Some(0.0), Some(Gear::Drive))).refusal.is_some());
        assert_eq!(checked("lights", &off, 1.0, &at(Some(0.0), Some(Gear::Park))).refusal, None);
        assert_eq!(checked("read_messages", &[], 1.0, &at(Some(13.0), None)).refusal, None);
        assert!(checked("read_messages", &[], 1.0, &at(Some(14.0), None)).refusal.is_some());
    }

    #[test]
    fn a_slot_that_is_missing_or_a_number_nobody_said_is_asked_for() {
        let not_said = [("degrees", "20")];
        for slots in [&[][..], &not_said] {
            let j = checked("set_temperature", slots, 1.0, &SceneFacts::default());
            assert_eq!((j.output.name.as_str(), j.output.slots.len()), ("set_temperature", 0));
            assert_eq!(j.refusal.as_deref(), Some("I did not get the degrees. Please say it again."));
        }
        assert_eq!(checked("set_temperature", &[("degrees", "21")], 1.0, &SceneFacts::default()).refusal, None);
    }

    #[test]
    fn a_word_that_points_at_nothing_is_asked_for_where_it_is_needed_and_left_out_where_not() {
        let there = checked("navigate_to", &[("place", "there")], 1.0, &SceneFacts::default());
        assert_eq!(there.refusal.as_deref(), Some("I did not get the place. Please say it again."));
        let it = checked("play_music", &[("what", "it")], 1.0, &SceneFacts::default());
        assert_eq!((it.output.slots.len(), it.refusal), (0, None));
    }
}
