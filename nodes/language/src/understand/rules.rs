//! The check of an intent: against the catalogue, against what was said, and against the rules of what may be done now.

use super::{dialogue_history::is_reference, numbers::numbers, requests::Request};
use crate::engine::interface::ModelInput;
use auriga_lm::intent::{
    catalogue::{Catalogue, Intent, Kind, OUT_OF_SCOPE, Slot, SlotKind},
    output::IntentOutput,
};
use auriga_msgs::v1;

/// An intent after the check.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CheckedIntent {
    pub output: IntentOutput,
    /// The intent touches the vehicle: it is only proposed to whoever carries it out.
    pub proposal: bool,
    /// The model meant another intent, which it must not answer.
    pub overruled: bool,
    /// Why it is not done; said to the driver.
    pub refusal: Option<String>,
}

/// Where the values of an intent come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SlotSource {
    /// From this utterance, which has to contain the numbers.
    Utterance,
    /// From earlier turns.
    History,
}

/// Checks the output of the model. An intent below `min_confidence` or not in the catalogue becomes out of scope.
pub(crate) fn check_intent(
    catalogue: &Catalogue,
    output: IntentOutput,
    input: &ModelInput,
    min_confidence: f64,
    source: SlotSource,
) -> CheckedIntent {
    let confidence = if output.confidence.is_finite() { output.confidence.clamp(0.0, 1.0) } else { 0.0 };
    let mut output = IntentOutput { confidence, ..output };
    let was_in_scope = output.name != OUT_OF_SCOPE;
    let out_of_scope = || CheckedIntent {
        output: IntentOutput { confidence, ..IntentOutput::new(OUT_OF_SCOPE, &[]) },
        proposal: false,
        overruled: was_in_scope,
        refusal: None,
    };
    let Some(intent) = catalogue.get(&output.name).filter(|_| confidence >= min_confidence) else {
        return out_of_scope();
    };
    // An optional slot with an unresolved reference is left out: "play it" plays any music.
    let unresolved = |slot: &Slot, value: &str| slot.kind == SlotKind::Text && is_reference(value);
    let keep = |name: &str, value: &str| intent.slot(name).is_none_or(|s| s.required || !unresolved(s, value));
    output.slots.retain(|(name, value)| keep(name, value));
    let not_understood = |slot: &&Slot| match output.slot(&slot.name) {
        Some(value) => {
            unresolved(slot, value) || (source == SlotSource::Utterance && !was_said(slot, value, &input.text))
        }
        None => slot.required,
    };
    let refusal = match (out_of_range(intent, &output, &input.text), intent.slots.iter().find(not_understood)) {
        (Some((slot, text)), _) => {
            output.slots.retain(|(name, _)| name != slot);
            Some(text)
        }
        (None, Some(slot)) => {
            output.slots.retain(|(name, _)| *name != slot.name);
            Some(format!("I did not get the {}. Please say it again.", slot.name.replace('_', " ")))
        }
        (None, None) if catalogue.check(&output).is_err() => return out_of_scope(),
        (None, None) => {
            intent.permit(&output.slots, input.facts().speed_mps, input.facts().gear).err().map(str::to_owned)
        }
    };
    CheckedIntent { proposal: intent.touches_vehicle, overruled: false, output, refusal }
}

/// The integer slot for which a number beyond its bounds was said, and what is said then.
fn out_of_range<'a>(intent: &'a Intent, output: &IntentOutput, text: &str) -> Option<(&'a String, String)> {
    intent.slots.iter().find_map(|slot| {
        let SlotKind::Integer { min, max } = slot.kind else { return None };
        let said = numbers(text);
        let bounds = min as f64..=max as f64;
        // One number was said, and it is no value of the slot.
        let is_beyond = said.len() == 1 && !bounds.contains(&said[0].value);
        (is_beyond && output.slot(&slot.name).is_some()).then(|| {
            let what = slot.name.replace('_', " ");
            (&slot.name, format!("I can only set {min} to {max} {what}."))
        })
    })
}

/// Whether the utterance contains the number of an integer slot: a small model may return 20 for "twenty one".
fn was_said(slot: &Slot, value: &str, text: &str) -> bool {
    match slot.kind {
        SlotKind::Integer { .. } => {
            value.parse().is_ok_and(|value: f64| numbers(text).iter().any(|n| n.is_rounded(value)))
        }
        SlotKind::Text | SlotKind::Choice(_) => true,
    }
}

impl CheckedIntent {
    /// An intent that needs no check of what was said.
    pub fn certain(catalogue: &Catalogue, intent: IntentOutput, input: &ModelInput) -> Self {
        check_intent(catalogue, intent, input, 0.0, SlotSource::History)
    }

    /// A request that this car cannot carry out, with what is said about it. `intent`: what it belongs to, if anything.
    pub fn beyond(intent: Option<&str>, confidence: f64, answer: &str) -> Self {
        let output = IntentOutput { confidence, ..IntentOutput::new(intent.unwrap_or(OUT_OF_SCOPE), &[]) };
        Self { output, proposal: false, overruled: false, refusal: Some(answer.to_owned()) }
    }

    /// Refuses what only the driver may ask for, if a passenger asked.
    pub fn restrict_passenger(&mut self, catalogue: &Catalogue, request: &Request) {
        let intent = catalogue.get(&self.output.name).filter(|_| request.by_passenger);
        if let Some(refusal) = intent.and_then(|intent| intent.refusal_to_passenger()) {
            self.refusal = Some(refusal.to_owned());
        }
    }

    /// Whether the utterance was meant for the car.
    pub fn is_in_scope(&self) -> bool {
        self.output.name != OUT_OF_SCOPE
    }

    /// Whether the driver or the vehicle is in trouble.
    pub fn is_safety(&self, catalogue: &Catalogue) -> bool {
        catalogue.get(&self.output.name).is_some_and(|intent| intent.kind == Kind::Safety)
    }

    /// The slots as a message has them.
    pub fn slots(&self) -> Vec<v1::Slot> {
        let slots = self.output.slots.iter();
        slots.map(|(name, value)| v1::Slot { name: name.clone(), value: value.clone() }).collect()
    }

    /// For `language/intent`.
    pub fn message(&self, request: &Request) -> v1::Intent {
        v1::Intent {
            header: Some(request.header),
            name: self.output.name.clone(),
            slots: self.slots(),
            confidence: self.output.confidence as f32,
            utterance: request.text.clone(),
            proposal: self.proposal,
            allowed: self.refusal.is_none() && self.is_in_scope(),
            refusal: self.refusal.clone().unwrap_or_default(),
            from_transcript_track: request.from_track,
        }
    }
}

/// The slots of an intent that hold words of the utterance.
pub fn spoken_slots<'a>(catalogue: &'a Catalogue, intent: &str) -> Vec<&'a str> {
    let slots = catalogue.get(intent).map_or(&[][..], |i| &i.slots);
    slots.iter().filter(|s| s.kind == SlotKind::Text).map(|s| s.name.as_str()).collect()
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
        let input = ModelInput { text: "make it twenty one degrees or 99".into(), context };
        let output = IntentOutput { confidence, ..IntentOutput::new(name, slots) };
        check_intent(&catalogue(), output, &input, 0.5, SlotSource::Utterance)
    }

    #[test]
    fn an_uncertain_or_unknown_intent_becomes_out_of_scope() {
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
    fn the_rules_decide_what_may_be_done() {
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
    fn a_missing_slot_or_a_number_that_was_not_said_is_asked_for() {
        let not_said = [("degrees", "20")];
        for slots in [&[][..], &not_said] {
            let j = checked("set_temperature", slots, 1.0, &SceneFacts::default());
            assert_eq!((j.output.name.as_str(), j.output.slots.len()), ("set_temperature", 0));
            assert_eq!(j.refusal.as_deref(), Some("I did not get the degrees. Please say it again."));
        }
        assert_eq!(checked("set_temperature", &[("degrees", "21")], 1.0, &SceneFacts::default()).refusal, None);
    }

    #[test]
    fn a_number_beyond_the_bounds_is_answered_with_them() {
        for (text, value) in [("set it to fifteen", "15"), ("set it to fifteen", "16"), ("make it 45 degrees", "28")] {
            let input = ModelInput { text: text.into(), context: Context::default() };
            let output = IntentOutput::new("set_temperature", &[("degrees", value)]);
            let checked = check_intent(&catalogue(), output, &input, 0.5, SlotSource::Utterance);
            assert_eq!(checked.refusal.as_deref(), Some("I can only set 16 to 28 degrees."), "{text}");
            assert_eq!((checked.output.name.as_str(), checked.output.slots.len()), ("set_temperature", 0));
        }
    }

    #[test]
    fn an_unresolved_reference_is_asked_for_in_a_required_slot_and_left_out_of_an_optional_one() {
        let there = checked("navigate_to", &[("place", "there")], 1.0, &SceneFacts::default());
        assert_eq!(there.refusal.as_deref(), Some("I did not get the place. Please say it again."));
        let it = checked("play_music", &[("what", "it")], 1.0, &SceneFacts::default());
        assert_eq!((it.output.slots.len(), it.refusal), (0, None));
    }
}
