//! Self-repair: "call Sam, no wait, call Priya".
//!
//! A speaker who goes wrong breaks off, marks it ("no wait", "I mean", "sorry") and says it anew, in full or in part (Shriberg,
//! "Preliminaries to a theory of speech disfluencies", 1994): reparandum, marker, repair. A part replaces the words of its kind:
//! a number the last number, words that go back to an earlier word ("to the airport, no, to the station") what follows that
//! word, and any others the last name.

use super::words::{FILLERS, FUNCTION_WORDS, REQUEST_VERBS, is, longest, words};
use auriga_number_words::parse;

/// What is left of an utterance after its repairs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repaired {
    /// This is meant.
    Meant(String),
    /// The speaker has withdrawn it: "call Sam, no, never mind".
    Withdrawn,
}

/// Repairs of an utterance at most.
const MAX_REPAIRS: usize = 4;

/// These mark a repair wherever they stand after the beginning of a request.
const SURE: &str = "no wait|wait no|no sorry|sorry no|no no|i mean|i meant|make that|scratch that|strike that|correction|\
    or rather|on second thought|on second thoughts|my mistake|what i mean is";
/// These do so if what follows can replace what was said.
const POSSIBLE: &str = "no|sorry|wait|actually|hang on|hold on|oops|make it|not that";
/// After a request these withdraw it.
const WITHDRAW: &str = "never mind|nevermind|forget it|forget that|forget about it|cancel that|cancel it|leave it|leave that|\
    scratch that|strike that|don't|do not|stop|no|no wait|no no|no don't|actually no|please don't";
/// Words between which "no" belongs to what follows: "there is no heat".
const BEFORE_NO: &str = "is|are|was|has|have|had|there|there's|got";
/// After "sorry": an apology.
const AFTER_SORRY: &str = "for|about|to|if|but|that";

/// The utterance after its repairs. Without any it is unchanged but for case and punctuation.
pub fn repaired(text: &str) -> Repaired {
    let mut all = words(text);
    for _ in 0..MAX_REPAIRS {
        if is_withdrawn(&all) {
            return Repaired::Withdrawn;
        }
        match first_repair(&all) {
            Some(repaired) => all = repaired,
            None => break,
        }
    }
    Repaired::Meant(all.join(" "))
}

/// Whether a request ends in words that withdraw it.
fn is_withdrawn(all: &[String]) -> bool {
    (2..all.len()).any(|at| {
        let (before, rest) = all.split_at(at);
        let rest: Vec<String> =
            rest.iter().filter(|w| !is(Some(w), FILLERS) && !is(Some(w), "sorry|please")).cloned().collect();
        let single = rest.len() == 1 && rest[0] == "stop";
        longest(&rest, WITHDRAW) == Some(rest.len()) && !rest.is_empty() && has_request(before) && !single
    })
}

/// The words after the first repair in them.
fn first_repair(all: &[String]) -> Option<Vec<String>> {
    (1..all.len()).find_map(|at| {
        let (before, rest) = all.split_at(at);
        let (length, is_sure) = marker(rest)?;
        let repair = &rest[length..];
        let repair = &repair[repair.iter().take_while(|w| is(Some(w), FILLERS)).count()..];
        let is_allowed = has_request(before) && !repair.is_empty() && is_repair(before, rest, repair, is_sure);
        is_allowed.then(|| replaced(before, repair))
    })
}

/// The words of the markers here, one after another, and whether they surely mark a repair.
fn marker(rest: &[String]) -> Option<(usize, bool)> {
    let (mut length, mut count, mut sure) = (0, 0, false);
    while length < rest.len() {
        let here = &rest[length..];
        let (words, is_sure) = match (longest(here, SURE), longest(here, POSSIBLE)) {
            (Some(words), _) => (words, true),
            // "Make it" is a request of its own unless another marker precedes it.
            (None, Some(words)) => (words, false),
            (None, None) if count > 0 && is(here.first(), FILLERS) => (1, false),
            (None, None) => break,
        };
        length += words;
        count += usize::from(!is(here.first(), FILLERS));
        sure |= is_sure;
    }
    (length > 0).then_some((length, sure || count > 1))
}

/// Whether what follows a marker replaces what was said before.
fn is_repair(before: &[String], rest: &[String], repair: &[String], is_sure: bool) -> bool {
    if is_sure {
        return true;
    }
    let number = |words: &[String]| parse::first(&strs(words)).map(|(at, ..)| at);
    let replaces_number = number(before).is_some() && number(repair).is_some_and(|at| at <= 1);
    let is_full = is(repair.first(), REQUEST_VERBS);
    let goes_back = before.contains(&repair[0]) && is(repair.first(), FUNCTION_WORDS);
    let last = before.last();
    match rest[0].as_str() {
        "make" => replaces_number,
        "no" => {
            let of_a_name = is(last, FUNCTION_WORDS) || is(last, BEFORE_NO);
            let is_title = before.iter().any(|w| w == "no");
            replaces_number || is_full || goes_back || (!of_a_name && !is_title && repair.len() <= 3)
        }
        "sorry" => {
            let is_apology = is(repair.first(), AFTER_SORRY);
            replaces_number || is_full || (!is_apology && (goes_back || repair.len() <= 3))
        }
        "not" => false,
        _ => replaces_number || is_full || goes_back,
    }
}

/// Whether the words hold a request with its object, as far as one can tell: a verb and what follows it.
fn has_request(before: &[String]) -> bool {
    before.iter().position(|w| is(Some(w), REQUEST_VERBS)).is_some_and(|at| at + 1 < before.len())
}

/// The words with the repair in the place of what it replaces.
fn replaced(before: &[String], repair: &[String]) -> Vec<String> {
    let polite = "please|can you|could you|would you|can we|let's|i want to|i want|i'd like to|just";
    let start = longest(repair, polite).unwrap_or(0);
    let asks = "how|what|where|is|are|do|i|we|don't";
    if is(repair.get(start), REQUEST_VERBS) || (repair.len() > 2 && is(repair.first(), asks)) {
        return repair.to_vec();
    }
    if let Some((from, to)) = last_number(before)
        && let Some((at, count, _)) = parse::first(&strs(repair)).filter(|(at, ..)| *at <= 1)
    {
        // Without a unit of its own the new number has that of the old one.
        let tail = if repair.len() > at + count { &[][..] } else { &before[to..] };
        return [&before[..from], &repair[at..], tail].concat();
    }
    if let Some(at) = before.iter().rposition(|w| *w == repair[0]).filter(|at| *at > 0) {
        return [&before[..at], repair].concat();
    }
    let kept = before.iter().rposition(|w| is(Some(w), FUNCTION_WORDS) || is(Some(w), REQUEST_VERBS));
    // Where nothing follows the last of them, the name before it is meant: "turn the radio off, no, the light".
    let kept = kept.filter(|at| at + 1 < before.len()).map_or(0, |at| at + 1);
    [&before[..kept], repair].concat()
}

/// Where the last number is.
fn last_number(all: &[String]) -> Option<(usize, usize)> {
    let strs = strs(all);
    let (mut at, mut found) = (0, None);
    while let Some((before, count, _)) = parse::first(&strs[at..]) {
        found = Some((at + before, at + before + count));
        at += before + count;
    }
    found
}

fn strs(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

/// Drops a contrast at the end: "call Tom, not Anna".
pub fn without_contrast(text: &str) -> String {
    let all = words(text);
    let of_a_state = "is|it's|am|i'm|are|do|does|did|would|could|can|will|why|or|if";
    let at = (2..all.len().saturating_sub(1)).find(|at| {
        let goes_on = "too|so|enough|working|now|yet|sure|that|very|really|to";
        all[*at] == "not"
            && has_request(&all[..*at])
            && !is(all.get(at - 1), of_a_state)
            && !is(all.get(at + 1), goes_on)
    });
    // "Not Anna but Tom" goes on after the contrast.
    match at {
        Some(at) if !all[at..].iter().any(|w| w == "but") => all[..at].join(" "),
        _ => all.join(" "),
    }
}

/// Whether the words begin with a marker of a repair; for what is split at other words.
pub(super) fn begins_repair(words: &[String]) -> bool {
    longest(words, SURE).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_repair_replaces_what_it_is_about() {
        for (said, meant) in [
            ("call sam no wait call priya", "call priya"),
            ("call sam no priya", "call priya"),
            ("call sam, sorry, I mean priya", "call priya"),
            ("call sam no tom no wait anna", "call anna"),
            ("make it twenty four sorry i mean twenty two degrees", "make it twenty two degrees"),
            ("set the temperature to twenty degrees no twenty one", "set the temperature to twenty one degrees"),
            ("set it to 24 make that 22", "set it to 22"),
            ("set it to twenty make it twenty two", "set it to twenty two"),
            ("set it to twenty actually nineteen degrees", "set it to nineteen degrees"),
            ("navigate to the airport no to the station", "navigate to the station"),
            ("navigate to london sorry cambridge", "navigate to cambridge"),
            ("open the driver window no the passenger window", "open the passenger window"),
            ("play some jazz or rather some rock", "play some rock"),
            ("play jazz scratch that play rock", "play rock"),
            ("take me to berlin wait take me to hamburg", "take me to hamburg"),
            ("call anna actually call tom", "call tom"),
            ("can you call my mother i mean my sister", "can you call my sister"),
            ("turn it up no wait turn it down", "turn it down"),
            ("call um sam uh no um priya", "call priya"),
        ] {
            assert_eq!(repaired(said), Repaired::Meant(meant.into()), "{said}");
        }
    }

    #[test]
    fn a_request_can_be_withdrawn() {
        for said in [
            "call sam no wait",
            "call anna never mind",
            "navigate to the airport no forget it",
            "play some jazz actually no",
            "open the window scratch that",
            "call tom oh no don't",
            "set it to twenty cancel that please",
        ] {
            assert_eq!(repaired(said), Repaired::Withdrawn, "{said}");
        }
    }

    #[test]
    fn other_words_of_the_same_kind_are_no_repair() {
        for said in [
            "there is no heat in here",
            "is there no charger nearby",
            "play no woman no cry",
            "i have no idea where we are",
            "actually call anna",
            "sorry can you call anna",
            "wait for me",
            "no i do not want to go to the airport",
            "do you know what i mean",
            "make it warmer",
            "call anna please",
            "sorry to bother you",
            "don't stop",
            "stop",
            "i actually feel a bit dizzy",
            "no",
            "call the no name garage",
            "tell me if it is not safe",
        ] {
            assert_eq!(repaired(said), Repaired::Meant(words(said).join(" ")), "{said}");
        }
    }

    #[test]
    fn a_contrast_is_no_part_of_the_request() {
        for (said, meant) in [
            ("call tom not anna", "call tom"),
            ("set it to twenty not twenty one", "set it to twenty"),
            ("it is not warm enough", "it is not warm enough"),
            ("make it not so loud", "make it not so loud"),
            ("tell me why it is not working", "tell me why it is not working"),
            ("do not call anna", "do not call anna"),
        ] {
            assert_eq!(without_contrast(said), meant);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_repaired_to_words_of_its_own(text in "(call|no|wait|sorry|twenty|two|the|i mean|not|anna|to|make it|never mind| |[a-z]{0,4}){0,14}") {
            let own = words(&text);
            if let Repaired::Meant(meant) = repaired(&text) {
                prop_assert!(words(&meant).iter().all(|w| own.contains(w)));
            }
            prop_assert!(words(&without_contrast(&text)).len() <= own.len());
        }
    }
}
