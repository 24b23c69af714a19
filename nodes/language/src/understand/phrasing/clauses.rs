//! Several requests in one utterance: "turn it up and call Anna", "don't call Anna, call Tom".

use super::{
    answer::{Answer, parse_answer},
    repair::begins_repair,
    words::{FUNCTION_WORDS, REQUEST_VERBS, is, longest, words},
};

/// Requests of an utterance at most; what follows belongs to the last.
const MAX_CLAUSES: usize = 4;
/// These join two requests.
const CONNECTORS: &str = "and then|and also|and after that|and afterwards|and please|and|then|but|but please|but instead|instead|plus|\
    after that|also|oh and";
/// What may stand before the verb of a request.
const POLITE: &str = "please|just|can you|could you|would you|will you|do not|don't|never";
/// Verbs that are as often part of a title or of another phrase: "come and get it".
const WEAK_VERBS: &str = "get|give|go|make|say|take|stop|start|bring|drive|ring|clear|end|heat|warm|cut";
/// Verbs that are complete requests by themselves.
const COMPLETE: &str = "mute|pause|repeat|resume|silence|skip";

/// The requests of an utterance, in order; the utterance itself if it is one.
pub fn clauses(text: &str) -> Vec<String> {
    let all = words(text);
    let (mut found, mut from, mut at) = (Vec::new(), 0, 1);
    while at < all.len() && found.len() + 1 < MAX_CLAUSES {
        match boundary(&all[from..at], &all[at..]) {
            Some(skipped) => {
                found.push(all[from..at].join(" "));
                from = at + skipped;
                at = from + 1;
            }
            None => at += 1,
        }
    }
    if found.is_empty() {
        return vec![text.to_owned()];
    }
    found.push(all[from..].join(" "));
    found
}

/// Whether another request begins here, and the words that join it to the one before.
fn boundary(before: &[String], rest: &[String]) -> Option<usize> {
    let joined = longest(rest, CONNECTORS);
    let skipped = joined.unwrap_or(0);
    let mut request = &rest[skipped..];
    while let Some(polite) = longest(request, POLITE) {
        request = &request[polite..];
    }
    let verb = request.first()?;
    let is_request = is(Some(verb), REQUEST_VERBS) && (request.len() > 1 || is(Some(verb), COMPLETE));
    // "Yes and call Anna": an answer, and a request.
    let is_answer = || matches!(parse_answer(&before.join(" ")), Some(Answer::Yes | Answer::No));
    if !is_request || begins_repair(rest) || (before.len() < 2 && !is_answer()) {
        return None;
    }
    // "Find some jazz and play it" is one request, and so are "be so kind and pause the radio" and "go ahead and turn it up".
    let is_completed = is(Some(verb), "play|start|put")
        && is(request.get(1), "it|that|them|this")
        && before.iter().any(|w| is(Some(w), "find|look|search|get|choose|pick"));
    let is_opening = longest(before, "go ahead|please go ahead|just go ahead") == Some(before.len());
    if is_completed || is_opening || before.iter().any(|w| w == "kind") {
        return None;
    }
    let is_weak = is(Some(verb), WEAK_VERBS);
    match joined {
        // Titles join verbs as well: "play stop and go".
        Some(_) => (!is_weak || !before.iter().any(|w| w == "play")).then_some(skipped),
        // "Don't call Anna call Tom": a prohibition, and another verb that nothing joins to it.
        None => {
            let is_prohibition = longest(before, "do not|don't|never|no don't|please don't").is_some();
            let has_object =
                before.len() > 2 && !is(before.last(), FUNCTION_WORDS) && !is(before.last(), REQUEST_VERBS);
            (is_prohibition && has_object && !is_weak && !is(before.last(), "and|or|not")).then_some(0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_are_separated_where_another_verb_begins_one() {
        for (said, expected) in [
            ("turn it up and call anna", vec!["turn it up", "call anna"]),
            ("call mum and tell her i'll be late", vec!["call mum", "tell her i'll be late"]),
            ("navigate to the harbour and then find parking", vec!["navigate to the harbour", "find parking"]),
            ("don't call anna call tom", vec!["don't call anna", "call tom"]),
            ("don't open the window but turn on the fan", vec!["don't open the window", "turn on the fan"]),
            (
                "open the window please and can you play some jazz",
                vec!["open the window please", "can you play some jazz"],
            ),
            ("yes and call anna", vec!["yes", "call anna"]),
            ("i'm cold and call anna then skip", vec!["i'm cold", "call anna", "skip"]),
            (
                "play some jazz also set it to twenty one degrees",
                vec!["play some jazz", "set it to twenty one degrees"],
            ),
        ] {
            assert_eq!(clauses(said), expected, "{said}");
        }
    }

    #[test]
    fn names_titles_and_lists_are_not_separated() {
        for said in [
            "play rock and roll",
            "call mum and dad",
            "navigate to bed bath and beyond",
            "play come and get it",
            "defrost the front and the rear",
            "do you want to call anna",
            "play stop and go",
            "and call anna",
            "find some jazz and play it please",
            "go ahead and turn it up",
            "please be so kind and pause the radio",
            "don't forget to call anna",
            "set it to a hundred and five",
            "find me a place to eat and drink",
        ] {
            assert_eq!(clauses(said), [said], "{said}");
        }
    }

    proptest! {
        #[test]
        fn no_word_but_the_connectors_is_lost(text in "(and|then|call|play|anna|turn|it|up|don't|but|also| |[a-z]{1,5}){0,16}") {
            let parts = clauses(&text);
            prop_assert!(!parts.is_empty() && parts.len() <= MAX_CLAUSES);
            let kept: Vec<String> = parts.iter().flat_map(|p| words(p)).collect();
            let joining = ["and", "then", "but", "also", "after", "that", "please", "instead", "plus", "oh", "can", "you", "afterwards"];
            let mut rest = kept.iter();
            let mut next = rest.next();
            for word in words(&text) {
                if next == Some(&word) {
                    next = rest.next();
                } else {
                    prop_assert!(joining.contains(&word.as_str()), "{word}");
                }
            }
            prop_assert_eq!(next, None);
        }
    }
}
