//! What is not wanted, and complaints that name the state to be changed.
//!
//! A negation counts where it has scope over what the intent does: "don't open the windows" forbids opening them, "I can't
//! hear the music" forbids nothing. Its scope ends at the next clause ("but", "just", "instead").

use super::words::{FILLERS, REQUEST_VERBS, expanded, is, longest};

/// For each intent, the words that stand for what it does, or for the state that it is about.
const PREDICATES: [(&str, &[&str]); 22] = [
    ("call", &["call", "calling", "ring", "phone", "dial", "contact", "telephone", "calls"]),
    (
        "navigate_to",
        &[
            "navigate",
            "go",
            "going",
            "drive",
            "take",
            "guide",
            "bring",
            "head",
            "route",
            "directions",
            "navigation",
            "visit",
            "guidance",
        ],
    ),
    ("find_parking", &["park", "parking", "find", "look", "search"]),
    ("find_charging", &["charge", "charging", "charger", "find", "look", "search"]),
    ("window_open", &["open", "opening", "lower", "roll", "wind", "crack"]),
    ("window_close", &["close", "closing", "shut", "raise"]),
    ("set_temperature", &["set", "change", "adjust", "touch"]),
    ("climate_warmer", &["heat", "heating", "warmer", "hotter", "turn", "raise"]),
    ("climate_cooler", &["cool", "cooler", "colder", "turn", "lower"]),
    ("fan", &["fan", "blower", "blow", "turn"]),
    ("defrost", &["defrost", "demist", "clear"]),
    ("seat_heating", &["heat", "seat", "turn", "warm"]),
    ("lights", &["light", "lights", "headlights", "beam", "turn", "switch"]),
    ("play_music", &["play", "music", "hear", "listen", "song", "songs", "radio", "start"]),
    ("stop_music", &["stop", "pause", "mute", "silence", "off"]),
    ("next_track", &["skip", "next", "change"]),
    ("volume_up", &["louder", "raise", "increase", "turn"]),
    ("volume_down", &["quieter", "softer", "lower", "reduce", "turn"]),
    ("hang_up", &["hang", "end"]),
    ("driver_unwell", &["dizzy", "sick", "ill", "hurt", "faint", "nauseous", "unwell", "pain", "injured", "bad"]),
    ("driver_tired", &["tired", "sleepy", "drowsy", "exhausted", "fatigued", "weary", "break", "asleep", "knackered"]),
    (
        "emergency",
        &["emergency", "accident", "crash", "crashed", "ambulance", "fire", "collision", "hurt", "help", "police"],
    ),
];
/// Where the scope of a negation ends.
const ENDS: &str = "but|just|instead|rather|because|although|though|then|only";
/// Verbs whose negation asks for what follows: "don't forget to call Anna".
const REVERSING: &str = "forget|hesitate|wait|worry|be|fail";
/// What may stand before an imperative; anything else is the subject of a statement.
const BEFORE_IMPERATIVE: &str = "please|no|you|do|and|but|or|now|sorry|wait|thanks|okay|ok|right|really|whatever|ever";

/// Words that change nothing in a negation.
const INTENSIFIERS: &str = "really|actually|honestly|definitely|certainly|absolutely|ever";

/// Whether the words say that this intent is not wanted, or that its state does not hold.
pub fn is_negated(text: &str, intent: &str) -> bool {
    let Some((_, predicates)) = PREDICATES.iter().find(|(name, _)| *name == intent) else { return false };
    let all: Vec<String> = expanded(text).into_iter().filter(|w| !is(Some(w), INTENSIFIERS)).collect();
    // "I did not say call Anna" takes back whatever was understood.
    let takes_back = "i did not say|i did not ask|i did not mean|i never said|i never asked";
    if (0..all.len()).any(|at| longest(&all[at..], takes_back).is_some()) {
        return true;
    }
    (0..all.len()).any(|at| {
        let Some(length) = negation(&all, at) else { return false };
        let scope: Vec<&String> = all[at + length..].iter().take_while(|word| !is(Some(word), ENDS)).collect();
        // "Not warm enough" complains.
        let is_lack = scope.iter().any(|word| *word == "enough");
        !is_lack && scope.iter().any(|word| predicates.contains(&word.as_str()))
    })
}

/// Whether a word stands for what an intent does.
pub(super) fn stands_for(intent: &str, word: &str) -> bool {
    PREDICATES.iter().any(|(name, words)| *name == intent && words.contains(&word))
}

/// The words of a negation at this place that forbids, declines or denies.
fn negation(all: &[String], at: usize) -> Option<usize> {
    let (before, rest) = (&all[..at], &all[at..]);
    let previous = before.last();
    if let Some(length) = longest(rest, "do not|never|you must not|you should not|you need not") {
        let after = rest.get(length);
        let is_question = is(previous, "why") || is(after, "you|we");
        let is_imperative = previous.is_none() || is(previous, BEFORE_IMPERATIVE) || is(previous, FILLERS);
        if is_imperative && !is_question && !is(after, REVERSING) {
            return Some(length);
        }
    }
    let declining = "i do not want|i do not need|i do not wish|i do not like|i do not think|i do not believe|\
        i do not feel|i did not say|i did not ask|i did not mean|i did not want|i would not like|\
        i do not have to|we do not want|we do not need|we do not have to|there is no need|no need|\
        i would rather not|i am not|we are not|i was not|this is not|that is not|it is not|there is no|\
        there was no|i have no|nobody is|no one is|i am no longer|without";
    if let Some(length) = longest(rest, declining) {
        return Some(length);
    }
    if is(rest.first(), "no") && previous.is_none_or(|_| !is(previous, "why|or")) {
        // "No music, please"; an answer or a repair takes no noun.
        let noun = is(rest.get(1), "more|music|radio|calls|navigation|heating|lights|songs|directions|guidance");
        return noun.then_some(1);
    }
    // "Could you not open the window": not after "I can".
    let is_ability = is(previous, "can|could|why|or|may|might|does|did|will|would");
    (is(rest.first(), "not") && !is_ability && is(previous, "you|please|to") && is(rest.get(1), REQUEST_VERBS))
        .then_some(1)
}

/// Adjectives and phrases that complain, and what helps.
const COMPLAINTS: [(&str, &str, &[&str]); 4] = [
    ("volume_down", "volume_up", &["loud", "deafening", "blaring", "blasting", "noisy", "earsplitting", "thunderous"]),
    ("volume_up", "volume_down", &["quiet", "faint", "inaudible", "silent"]),
    (
        "climate_cooler",
        "climate_warmer",
        &[
            "hot",
            "boiling",
            "roasting",
            "sweating",
            "sweltering",
            "baking",
            "melting",
            "burning",
            "stifling",
            "scorching",
            "sauna",
            "oven",
        ],
    ),
    (
        "climate_warmer",
        "climate_cooler",
        &["cold", "freezing", "chilly", "shivering", "frozen", "nippy", "icy", "fridge", "freezer", "arctic"],
    ),
];
/// Phrases that complain without an adjective.
const PHRASES: [(&str, &[&str]); 2] = [
    (
        "volume_down",
        &[
            "my ears hurt",
            "hurts my ears",
            "hurting my ears",
            "ears are bleeding",
            "ears are ringing",
            "hear myself think",
        ],
    ),
    (
        "volume_up",
        &[
            "can not hear the music",
            "can not hear the radio",
            "can not hear the song",
            "barely hear",
            "hardly hear",
            "can not hear a thing",
            "can not hear anything",
            "can not hear it",
        ],
    ),
];
const COPULAS: &str = "is|am|are|feels|feel|gets|getting|got|was|like|too|so|bit|sounds";
const DEGREES: &str = "too|so|really|very|bit|little|quite|awfully|damn|far|way|absolutely|rather|pretty|a|an|bloody";
/// What a complaint about sound or air is about.
const SUBJECTS: &str = "it|that|this|i|we|music|radio|volume|song|sound|car|cabin|air|heating|speakers|here|stereo|bass|too|so|you|\
    fingers|feet";

/// The intent that a complaint asks for; `None` if the words are none.
pub fn remedy(text: &str) -> Option<&'static str> {
    let all = expanded(text);
    let joined = format!(" {} ", all.join(" "));
    if let Some((intent, _)) = PHRASES.iter().find(|(_, list)| list.iter().any(|p| joined.contains(&format!(" {p} "))))
    {
        return Some(intent);
    }
    COMPLAINTS.iter().find_map(|(remedy, opposite, adjectives)| {
        let at = all.iter().position(|word| adjectives.contains(&word.as_str()))?;
        let degree = all[..at].iter().rev().take_while(|word| is(Some(word), DEGREES)).count();
        let head = &all[..at - degree];
        let denied = is(head.last(), "not");
        let verb = if denied { head.get(head.len().wrapping_sub(2)) } else { head.last() };
        let has_copula = is(verb, COPULAS) || (degree > 0 && all[at - degree..at].iter().any(|w| w == "too"));
        let has_subject = head.is_empty() || head.iter().any(|word| is(Some(word), SUBJECTS));
        let lacks = is(all.get(at + 1), "enough");
        match (has_copula && has_subject, denied) {
            (true, false) if !lacks => Some(*remedy),
            // "It is not loud enough" asks for the opposite.
            (true, true) if lacks => Some(*opposite),
            _ => None,
        }
    })
}

/// Whether an intent is one of those between which a complaint decides.
pub fn is_of_complaints(intent: &str) -> bool {
    COMPLAINTS.iter().any(|(remedy, ..)| *remedy == intent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_negation_of_what_an_intent_does_is_found() {
        for (text, intent) in [
            ("don't call anna", "call"),
            ("please do not ring my mother now", "call"),
            ("whatever you do do not open the windows", "window_open"),
            ("no i do not want to go to the airport", "navigate_to"),
            ("i'm not tired at all thanks", "driver_tired"),
            ("i don't think i'm tired", "driver_tired"),
            ("i am no longer dizzy", "driver_unwell"),
            ("this is not an emergency", "emergency"),
            ("never play that again", "play_music"),
            ("no music please", "play_music"),
            ("there's no need to call anybody", "call"),
            ("i didn't say call tom", "call"),
            ("could you not open the window", "window_open"),
            ("you don't need to find parking no need to find any", "find_parking"),
            ("i don't need directions", "navigate_to"),
            ("please don't stop the music", "stop_music"),
            ("i'd rather not call him", "call"),
            ("i really don't want to drive to work", "navigate_to"),
            ("i did not say call the office", "hang_up"),
            ("don't you dare call her no don't call her", "call"),
        ] {
            assert!(is_negated(text, intent), "{text}: {intent}");
        }
    }

    #[test]
    fn other_negations_forbid_nothing() {
        for (text, intent) in [
            ("call anna", "call"),
            ("don't forget to call anna", "call"),
            ("why don't you call anna", "call"),
            ("can't you open the window", "window_open"),
            ("couldn't you play some jazz", "play_music"),
            ("i can't hear the music", "volume_up"),
            ("it's not warm enough", "climate_warmer"),
            ("i don't want to hear this song", "next_track"),
            ("the window does not close open it", "window_open"),
            ("i don't feel well", "driver_unwell"),
            ("i'm not feeling well", "driver_unwell"),
            ("i can't keep my eyes open", "driver_tired"),
            ("don't call anna but play some jazz", "play_music"),
            ("i don't know how far i can go", "range_query"),
            ("no call anna", "call"),
            ("why not call anna", "call"),
            ("do not hesitate to call the police", "emergency"),
            ("not so loud", "volume_down"),
        ] {
            assert!(!is_negated(text, intent), "{text}: {intent}");
        }
    }

    #[test]
    fn a_complaint_asks_for_its_remedy() {
        for (text, expected) in [
            ("blimey that's deafening", Some("volume_down")),
            ("the music is way too loud", Some("volume_down")),
            ("it is not loud enough", Some("volume_up")),
            ("it's so quiet", Some("volume_up")),
            ("i can barely hear it", Some("volume_up")),
            ("it's boiling in here", Some("climate_cooler")),
            ("i'm freezing", Some("climate_warmer")),
            ("we are absolutely roasting", Some("climate_cooler")),
            ("it's like a sauna in here", Some("climate_cooler")),
            ("too cold", Some("climate_warmer")),
            ("it is not hot enough in here", Some("climate_warmer")),
            ("it is not cold", None),
            ("make it hot", None),
            ("i want it loud", None),
            ("turn the hot air on", None),
            ("call the cold store", None),
            ("louder", None),
            ("", None),
        ] {
            assert_eq!(remedy(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(not|do|i|don't|never|call|is|too|loud|no|enough| |[a-z]{0,5}){0,12}", which in 0..PREDICATES.len()) {
            is_negated(&text, PREDICATES[which].0);
            remedy(&text);
        }
    }
}
