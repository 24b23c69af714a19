//! Names and places as they were said, in full.

use super::words::{FILLERS, FUNCTION_WORDS, is, longest, words};

/// What may not be the end of a name: it goes on.
const OPEN: &str = "a|an|the|my|our|your|his|her|their|some|any|this|that|nearest|closest|next|of|and";
/// What follows a name and is none of it.
const AFTER: &str = "please|now|back|again|for me|for us|right now|at once|quickly|thanks|thank you|up|if you can|if you could|\
    will you|would you|can you|could you|asap|then|straight away|immediately";
/// Places that can be asked for by their kind.
const PLACES: &str = "gas station|petrol station|filling station|service station|restaurant|cafe|coffee shop|coffee|bakery|\
    supermarket|grocery store|shop|store|mall|hotel|motel|toilet|toilets|restroom|bathroom|pharmacy|chemist|\
    hospital|doctor|dentist|bank|atm|cash machine|garage|mechanic|rest area|rest stop|school|airport|\
    train station|station|museum|park|beach|cinema|gym|post office|police station|car wash";
const SEARCHES: &str = "find|find me|find us|look for|search for|search|locate|where is|where's|where can i find|where do i find|\
    is there|are there|i need|we need|i need to find|we need to find|i want|get me to|get us to|show me|\
    i'm looking for|i am looking for|we're looking for|take me to|is there any";

/// What may stand before a search.
const POLITE: &str = "please|can you|could you|would you|i think|quick|we should|let's|excuse me|sorry";
/// What may follow a place: where it is to be, or a word of courtesy.
const NEAR: &str =
    "near|nearby|around|close|closeby|here|along|on|please|now|for|quickly|soon|thanks|ahead|anywhere|somewhere";

/// The value of a slot as it was said in full: "my" of "ring my daughter back" is "my daughter", "anna please" is "anna".
pub fn completed(value: &str, text: &str) -> String {
    let (all, mut name) = (words(text), words(value));
    let Some(at) = (0..all.len()).find(|at| !name.is_empty() && all[*at..].starts_with(&name)) else {
        return value.to_owned();
    };
    let mut end = at + name.len();
    if is(name.last(), OPEN) {
        let goes_on = |at: usize| at < all.len() && longest(&all[at..], AFTER).is_none();
        while goes_on(end) && (end == at + name.len() && is(name.last(), OPEN) || !is(all.get(end), FUNCTION_WORDS)) {
            name.push(all[end].clone());
            end += 1;
        }
    }
    while let Some(from) = (1..name.len()).find(|from| longest(&name[*from..], AFTER) == Some(name.len() - from)) {
        name.truncate(from);
    }
    // "My" belongs to whom it is about.
    if at > 0 && is(all.get(at - 1), "my|our") && name == all[at..at + name.len()] {
        name.insert(0, all[at - 1].clone());
    }
    name.join(" ")
}

/// The place of a search for a kind of place: "a gas station" of "find me a gas station near here". `None` where more is asked
/// than that.
pub fn searched_place(text: &str) -> Option<String> {
    let all = words(text);
    let mut start = 0;
    let is_search = |at: usize| longest(&all[at..], SEARCHES).is_some();
    while !is_search(start) && (is(all.get(start), FILLERS) || longest(&all[start..], POLITE).is_some()) {
        start += longest(&all[start..], POLITE).unwrap_or(1);
    }
    start += longest(&all[start..], SEARCHES)?;
    let qualities = "good|cheap|open|nice|quick|clean|decent|public";
    let before = |w: &&String| is(Some(w), FUNCTION_WORDS) || is(Some(w), OPEN) || is(Some(w), qualities);
    let determiners = all[start..].iter().take_while(before).count();
    let end = start + determiners + longest(&all[start + determiners..], PLACES)?;
    let is_whole = end == all.len() || is(all.get(end), NEAR);
    is_whole.then(|| all[start..end].join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_as_long_as_it_was_said() {
        for (value, text, expected) in [
            ("my", "could you ring my daughter back", "my daughter"),
            ("the", "navigate to the old harbour please", "the old harbour"),
            ("anna please", "call anna please", "anna"),
            ("anna", "call anna back", "anna"),
            ("grandmother", "could you ring my grandmother back", "my grandmother"),
            ("my brother back", "ring my brother back now", "my brother"),
            ("the nearest", "take me to the nearest charging station", "the nearest charging station"),
            ("my", "call my", "my"),
            ("tom", "nothing of the kind", "tom"),
            ("my", "ring my now", "my"),
            ("back", "play back", "back"),
        ] {
            assert_eq!(completed(value, text), expected, "{text}");
        }
    }

    #[test]
    fn a_search_for_a_kind_of_place_names_it() {
        for (text, expected) in [
            ("find me a gas station", Some("a gas station")),
            ("where is the nearest pharmacy please", Some("the nearest pharmacy")),
            ("um is there a toilet near here", Some("a toilet")),
            ("i need some coffee", Some("some coffee")),
            ("look for a good restaurant", Some("a good restaurant")),
            ("find me a good joke", None),
            ("find parking", None),
            ("find a cheap hotel in tokyo for two", None),
            ("how do i say where is the toilet in spanish", None),
            ("i need help", None),
        ] {
            assert_eq!(searched_place(text).as_deref(), expected, "{text}");
        }
    }
}
