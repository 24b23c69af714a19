//! The last turns, and the resolution of references to them: "there", "her", "warmer", "no, the other one", and the question
//! of the node that is open.

use super::{
    numbers::{Number, numbers},
    phrasing::answer::{Answer, parse_answer, request_after_no},
};
use auriga_lm::intent::{
    catalogue::{Catalogue, SlotKind},
    output::IntentOutput,
    prompt::clean_utterance,
};
use auriga_runtime::Nanos;
use std::{collections::VecDeque, time::Duration};

/// Turns that are kept.
const MAX_TURNS: usize = 6;
/// A reference is to something said at most this long ago.
const REFERENCE_WINDOW: Duration = Duration::from_secs(60);
/// An answer to a question is accepted for this long.
const ANSWER_WINDOW: Duration = Duration::from_secs(20);

/// Values of a text slot that refer to what was named before.
const REFERENCES: [&str; 14] = [
    "there",
    "that place",
    "it",
    "that",
    "this",
    "that one",
    "him",
    "her",
    "them",
    "the same",
    "the same place",
    "the same one",
    "the place",
    "the one",
];
/// "The same again."
const MORE: [&str; 12] = [
    "more",
    "a bit more",
    "a little more",
    "some more",
    "even more",
    "again",
    "once more",
    "one more",
    "one more time",
    "and again",
    "do it again",
    "further",
];
/// "A step back."
const LESS: [&str; 7] = ["less", "a bit less", "a little less", "not so much", "too much", "back", "a bit back"];
/// "The other value of the choice."
const OTHER: [&str; 8] = [
    "the other one",
    "no the other one",
    "not that one",
    "no not that one",
    "the other",
    "no the other",
    "other one",
    "the other side",
];
/// Intents that undo each other.
const OPPOSITES: [(&str, &str); 2] = [("volume_up", "volume_down"), ("climate_warmer", "climate_cooler")];
/// A relative intent, the absolute intent and its slot that it changes, and by how much.
const STEPS: [(&str, &str, &str, i64); 2] =
    [("climate_warmer", "set_temperature", "degrees", 1), ("climate_cooler", "set_temperature", "degrees", -1)];
/// Pairs of opposite values of choices.
const OTHERS: [(&str, &str); 5] =
    [("driver", "passenger"), ("front", "rear"), ("up", "down"), ("high", "low"), ("high_beam", "low_beam")];

/// A question of the node that waits for an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// Whether this intent is to be carried out.
    Confirm {
        /// The question as it is said.
        ask: String,
        /// What a yes stands for.
        intent: IntentOutput,
    },
    /// Which telltale is meant.
    WhichTelltale,
}

/// What an utterance is to the open question.
#[derive(Debug, Clone, PartialEq)]
pub enum Reaction {
    /// No answer. The question stays open.
    None,
    /// A yes: this intent is to be carried out. The question is closed.
    Confirmed(IntentOutput),
    /// A no, and a request that follows it. The question is closed.
    Declined(Option<String>),
    /// Neither a yes nor a no: the question is asked again and stays open.
    AskAgain(String),
    /// It may name a telltale. The question stays open.
    Telltale,
}

/// How often a question is asked again.
const MAX_REPEATS: usize = 3;

/// The last intents and the open question.
#[derive(Debug, Default)]
pub struct DialogueHistory {
    /// Intents with their times, oldest first.
    turns: VecDeque<(Nanos, IntentOutput)>,
    question: Option<OpenQuestion>,
}

#[derive(Debug)]
struct OpenQuestion {
    at: Nanos,
    question: Question,
    repeats: usize,
}

impl DialogueHistory {
    /// Adds an intent that was carried out.
    pub fn add(&mut self, intent: &IntentOutput, now: Nanos) {
        if self.turns.len() == MAX_TURNS {
            self.turns.pop_front();
        }
        self.turns.push_back((now, intent.clone()));
    }

    /// The names of the last intents, newest first.
    pub fn recent(&self) -> Vec<String> {
        self.turns.iter().rev().map(|(_, intent)| intent.name.clone()).collect()
    }

    /// The node has asked a question.
    pub fn open_question(&mut self, question: Question, now: Nanos) {
        self.question = Some(OpenQuestion { at: now, question, repeats: 0 });
    }

    /// The question has been answered.
    pub fn close_question(&mut self) {
        self.question = None;
    }

    /// What the text is to the open question.
    pub fn react(&mut self, text: &str, now: Nanos) -> Reaction {
        let Some(open) = self.question.take_if(|open| now.since(open.at) <= ANSWER_WINDOW) else {
            self.question = None;
            return Reaction::None;
        };
        let (answer, question) = (parse_answer(text), open.question.clone());
        match (question, answer) {
            (Question::Confirm { intent, .. }, Some(Answer::Yes)) => return Reaction::Confirmed(intent),
            (Question::Confirm { .. }, Some(Answer::No)) => return Reaction::Declined(request_after_no(text)),
            _ => self.question = Some(open),
        }
        match (self.question.as_ref().map(|open| &open.question), answer) {
            (Some(Question::WhichTelltale), _) => Reaction::Telltale,
            (_, Some(Answer::Unclear)) => self.ask_again(now).map_or(Reaction::None, Reaction::AskAgain),
            _ => Reaction::None,
        }
    }

    /// The open question to be asked again, after an utterance that meant nothing else. `None` if there is none, or it has been
    /// asked often enough.
    pub fn ask_again(&mut self, now: Nanos) -> Option<String> {
        let open = self.question.as_mut().filter(|open| now.since(open.at) <= ANSWER_WINDOW)?;
        let Question::Confirm { ask, .. } = &open.question else { return None };
        if open.repeats == MAX_REPEATS {
            return None;
        }
        (open.at, open.repeats) = (now, open.repeats + 1);
        Some(format!("Please say yes or no. {ask}"))
    }

    /// The intent with its references resolved; `None` if neither the words nor the intent refer to earlier turns.
    pub fn resolve(
        &self,
        text: &str,
        output: &IntentOutput,
        catalogue: &Catalogue,
        now: Nanos,
    ) -> Option<IntentOutput> {
        let (_, last) = self.recent_turns(now).next()?;
        let said = clean_utterance(text);
        let is = |words: &[&str]| words.contains(&said.as_str());
        let meant = match () {
            _ if is(&OTHER) => other(last)?,
            _ if is(&MORE) => step(last, false)?,
            _ if is(&LESS) => step(last, true)?,
            _ => self.relative_step(text, output, now).or_else(|| self.referenced(output, catalogue, now))?,
        };
        catalogue.check(&meant).is_ok().then_some(meant)
    }

    /// Turns that can be referred to, newest first.
    fn recent_turns(&self, now: Nanos) -> impl Iterator<Item = &(Nanos, IntentOutput)> {
        self.turns.iter().rev().filter(move |(at, _)| now.since(*at) <= REFERENCE_WINDOW)
    }

    /// "Warmer" or "two degrees warmer" after a temperature was set: so many degrees more than that.
    fn relative_step(&self, text: &str, output: &IntentOutput, now: Nanos) -> Option<IntentOutput> {
        let (_, of, slot, by) = STEPS.iter().find(|(name, ..)| *name == output.name)?;
        let (_, last) = self.recent_turns(now).next()?;
        let steps = match numbers(text)[..] {
            [] => 1,
            [Number { value, decimals: 0, .. }] if is_difference(text) && value > 0.0 && value < 100.0 => value as i64,
            // Another number that was said is not passed over.
            _ => return None,
        };
        if last.name != *of {
            return None;
        }
        let value: i64 = last.slot(slot)?.parse().ok()?;
        let changed = with(last, slot, &value.checked_add(by.checked_mul(steps)?)?.to_string());
        Some(IntentOutput { confidence: output.confidence, ..changed })
    }

    /// "Navigate there": the place that was named last.
    fn referenced(&self, output: &IntentOutput, catalogue: &Catalogue, now: Nanos) -> Option<IntentOutput> {
        let intent = catalogue.get(&output.name)?;
        let texts = intent.slots.iter().filter(|slot| slot.kind == SlotKind::Text);
        let slot = texts.map(|s| &s.name).find(|name| output.slot(name).is_some_and(|v| REFERENCES.contains(&v)))?;
        let named = self.recent_turns(now).find_map(|(_, turn)| turn.slot(slot))?;
        Some(with(output, slot, named))
    }
}

/// Whether the value of a text slot only refers to something said before.
pub fn is_reference(value: &str) -> bool {
    REFERENCES.contains(&value)
}

/// Whether a number in the text is a difference: "two degrees warmer", "by two".
pub fn is_difference(text: &str) -> bool {
    let said = format!(" {} ", clean_utterance(text));
    let marks = ["warmer", "cooler", "colder", "hotter", "higher", "lower", "more", "less", "up", "down", "by"];
    marks.iter().any(|mark| said.contains(&format!(" {mark} ")))
}

/// The same intent with another value in a slot.
fn with(intent: &IntentOutput, slot: &str, value: &str) -> IntentOutput {
    let mut changed = intent.clone();
    changed.slots.iter_mut().filter(|(name, _)| name == slot).for_each(|(_, v)| *v = value.to_owned());
    changed
}

/// "The other one": the same intent with the opposite value of a choice.
fn other(last: &IntentOutput) -> Option<IntentOutput> {
    let swap = |value: &str| {
        OTHERS.iter().find_map(|&(a, b)| match value {
            v if v == a => Some(b),
            v if v == b => Some(a),
            _ => None,
        })
    };
    let (slot, value) = last.slots.iter().find_map(|(name, value)| Some((name, swap(value)?)))?;
    Some(with(last, slot, value))
}

/// "A bit more": the same step again, or with `back` the step that undoes it. `None` for intents without steps.
fn step(last: &IntentOutput, back: bool) -> Option<IntentOutput> {
    if let Some((name, ..)) = STEPS.iter().find(|(_, of, _, by)| *of == last.name && (*by < 0) == back) {
        let (_, _, slot, by) = STEPS.iter().find(|s| s.0 == *name)?;
        let value: i64 = last.slot(slot)?.parse().ok()?;
        return Some(with(last, slot, &value.checked_add(*by)?.to_string()));
    }
    if let Some((_, value)) = last.slots.iter().find(|(_, v)| matches!(v.as_str(), "up" | "down")) {
        let opposite = if value == "up" { "down" } else { "up" };
        let (slot, _) = last.slots.iter().find(|(_, v)| v == value)?;
        return Some(if back { with(last, slot, opposite) } else { last.clone() });
    }
    let opposite = OPPOSITES.iter().find_map(|&(a, b)| match last.name.as_str() {
        name if name == a => Some(b),
        name if name == b => Some(a),
        _ => None,
    });
    match (opposite, back) {
        (Some(name), true) => Some(IntentOutput { name: name.into(), ..last.clone() }),
        (Some(_), false) => Some(last.clone()),
        (None, false) if last.name == "next_track" => Some(last.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn catalogue() -> Catalogue {
        Catalogue::load(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/language/intents.toml")).unwrap()
    }

    fn s(t: u64) -> Nanos {
        Nanos::from_millis(1000 * t)
    }

    /// The resolved intent of `text` with the model's `output`, after these intents at 0, 1, 2 … s.
    fn resolved(before: &[&str], text: &str, output: &str) -> Option<String> {
        let mut history = DialogueHistory::default();
        for (i, intent) in before.iter().enumerate() {
            history.add(&IntentOutput::parse(intent).unwrap(), s(i as u64));
        }
        let output = IntentOutput::parse(output).unwrap();
        history.resolve(text, &output, &catalogue(), s(10)).map(|o| o.to_string())
    }

    #[test]
    fn a_reference_resolves_to_what_was_named_last() {
        let before = ["navigate_to place=the harbour;", "call who=anna;", "volume_up"];
        let there = resolved(&before, "navigate there", "navigate_to place=there;");
        assert_eq!(there.as_deref(), Some("navigate_to place=the harbour;"));
        assert_eq!(resolved(&before, "call her again", "call who=her;").as_deref(), Some("call who=anna;"));
        assert_eq!(resolved(&before, "play it", "play_music what=it;"), None, "no music was named");
        assert_eq!(resolved(&before, "call tom", "call who=tom;"), None, "there is no reference");
        assert_eq!(resolved(&[], "navigate there", "navigate_to place=there;"), None);
    }

    #[test]
    fn a_relative_intent_starts_from_the_value_that_was_set() {
        let set = ["set_temperature degrees=21;"];
        assert_eq!(resolved(&set, "warmer", "climate_warmer").as_deref(), Some("set_temperature degrees=22;"));
        assert_eq!(resolved(&set, "it is too warm", "climate_cooler").as_deref(), Some("set_temperature degrees=20;"));
        assert_eq!(resolved(&set, "a bit more", "out_of_scope").as_deref(), Some("set_temperature degrees=22;"));
        assert_eq!(resolved(&set, "a bit less", "out_of_scope").as_deref(), Some("set_temperature degrees=20;"));
        assert_eq!(resolved(&["set_temperature degrees=28;"], "warmer", "climate_warmer"), None, "28 is the maximum");
        assert_eq!(resolved(&["volume_up"], "warmer", "climate_warmer"), None);
    }

    #[test]
    fn more_and_less_repeat_or_undo_the_last_step() {
        for (before, text, expected) in [
            ("volume_up", "more", Some("volume_up")),
            ("volume_up", "too much", Some("volume_down")),
            ("climate_cooler", "A bit more!", Some("climate_cooler")),
            ("climate_cooler", "less", Some("climate_warmer")),
            ("fan level=up;", "again", Some("fan level=up;")),
            ("fan level=up;", "less", Some("fan level=down;")),
            ("next_track", "again", Some("next_track")),
            ("next_track", "less", None),
            ("call who=anna;", "more", None),
        ] {
            assert_eq!(resolved(&[before], text, "out_of_scope").as_deref(), expected, "{before}: {text}");
        }
    }

    #[test]
    fn the_other_one_is_the_opposite_value() {
        for (before, expected) in [
            ("window_open which=driver;", Some("window_open which=passenger;")),
            ("defrost where=rear;", Some("defrost where=front;")),
            ("window_open which=all;", None),
            ("call who=anna;", None),
        ] {
            assert_eq!(resolved(&[before], "no, the other one", "out_of_scope").as_deref(), expected, "{before}");
        }
    }

    #[test]
    fn old_turns_are_not_referred_to() {
        let mut history = DialogueHistory::default();
        history.add(&IntentOutput::new("volume_up", &[]), s(0));
        let none = IntentOutput::new("out_of_scope", &[]);
        assert!(history.resolve("more", &none, &catalogue(), s(60)).is_some());
        assert_eq!(history.resolve("more", &none, &catalogue(), s(61)), None);
    }

    #[test]
    fn a_question_stays_open_until_it_is_answered_or_too_old() {
        let mut history = DialogueHistory::default();
        let call = IntentOutput::new("call", &[("who", "anna")]);
        let ask = || Question::Confirm { ask: "Shall I?".into(), intent: call.clone() };
        history.open_question(ask(), s(0));
        assert_eq!(history.react("play some jazz", s(5)), Reaction::None);
        for at in [10, 20, 30] {
            assert_eq!(history.react("maybe", s(at)), Reaction::AskAgain("Please say yes or no. Shall I?".into()));
        }
        assert_eq!(history.react("maybe", s(31)), Reaction::None, "it is not asked for ever");
        assert_eq!(history.react("yes please call her", s(32)), Reaction::Confirmed(call.clone()));
        assert_eq!(history.react("yes", s(32)), Reaction::None, "it is closed");
        history.open_question(ask(), s(40));
        assert_eq!(history.react("no call tom", s(60)), Reaction::Declined(Some("call tom".into())));
        history.open_question(ask(), s(70));
        assert_eq!(history.react("yes", s(91)), Reaction::None);
        assert_eq!(history.ask_again(s(91)), None);
    }

    #[test]
    fn a_number_that_was_said_is_not_passed_over() {
        let set = ["set_temperature degrees=21;"];
        assert_eq!(resolved(&set, "set it to fifteen", "climate_warmer"), None);
        let two = resolved(&set, "two degrees warmer", "climate_warmer");
        assert_eq!(two.as_deref(), Some("set_temperature degrees=23;"));
        assert_eq!(resolved(&set, "cooler by three", "climate_cooler").as_deref(), Some("set_temperature degrees=18;"));
        let mut history = DialogueHistory::default();
        history.add(&IntentOutput::parse(set[0]).unwrap(), s(0));
        let unsure = IntentOutput { confidence: 0.4, ..IntentOutput::new("climate_warmer", &[]) };
        let resolved = history.resolve("warmer", &unsure, &catalogue(), s(1)).unwrap();
        assert_eq!(resolved.confidence, 0.4, "the confidence is that of this utterance");
    }

    #[test]
    fn the_tables_name_intents_and_values_of_the_catalogue() {
        let catalogue = catalogue();
        let steps = STEPS.iter().flat_map(|(a, b, ..)| [*a, *b]);
        for name in steps.chain(OPPOSITES.iter().flat_map(|(a, b)| [*a, *b])).chain(["next_track"]) {
            assert!(catalogue.get(name).is_some(), "{name}");
        }
        let slots = || catalogue.intents().iter().flat_map(|i| &i.slots);
        for value in OTHERS.iter().flat_map(|(a, b)| [*a, *b]) {
            let holds = |k: &SlotKind| matches!(k, SlotKind::Choice(values) if values.iter().any(|v| v == value));
            assert!(slots().any(|s| holds(&s.kind)), "{value}");
        }
    }

    proptest! {
        #[test]
        fn a_resolved_intent_is_always_valid_in_the_catalogue(
            before in prop::collection::vec(0usize..39, 0..10), now in 0usize..39, text in "(more|less|there|the other one|\\PC{0,20})",
        ) {
            let catalogue = catalogue();
            let intent = |i: usize| {
                let intent = &catalogue.intents()[i];
                let value = |k: &SlotKind| match k {
                    SlotKind::Text => "there".to_owned(),
                    SlotKind::Integer { max, .. } => max.to_string(),
                    SlotKind::Choice(values) => values[0].clone(),
                };
                let slots = intent.slots.iter().map(|s| (s.name.clone(), value(&s.kind))).collect();
                IntentOutput { name: intent.name.clone(), slots, confidence: 1.0 }
            };
            let mut history = DialogueHistory::default();
            before.iter().for_each(|&i| history.add(&intent(i), s(0)));
            if let Some(meant) = history.resolve(&text, &intent(now), &catalogue, s(1)) {
                prop_assert!(catalogue.check(&meant).is_ok(), "{}", meant);
            }
        }
    }
}
