//! Phrasings such as `(navigate|drive) to {place:@place}`, and random expansion of them.
//!
//! `(a|b|)` is one of the alternatives, `@name` an entry of a list, `{slot:…}` words that are the value of the slot,
//! `[slot=value]` sets a slot without words. The list entry `words => value` gives its slot that value; `~` in an entry is a
//! word that is invented each time.

use rand::{Rng, seq::IndexedRandom};
use std::collections::BTreeMap;

/// An entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The words.
    pub words: String,
    /// The value of the slot.
    pub value: String,
}

impl Entry {
    /// Parses `words => value`, or `words`, which are the value too.
    pub fn parse(text: &str) -> Self {
        let (words, value) = text.split_once(" => ").unwrap_or((text, text));
        Self { words: words.into(), value: value.into() }
    }
}

/// Lists of entries by name.
pub type Lists = BTreeMap<String, Vec<Entry>>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Words(String),
    List(String),
    OneOf(Vec<Phrase>),
    Slot(String, Phrase),
    Set(String, String),
}

/// A parsed phrasing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Phrase {
    parts: Vec<Part>,
}

/// A word of an utterance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The word.
    pub text: String,
    /// Index in [`Expansion::slots`] of the slot that it belongs to; such words get no noise.
    pub slot: Option<usize>,
}

/// An utterance expanded from a phrasing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expansion {
    /// The words.
    pub words: Vec<Word>,
    /// Names and values of the slots.
    pub slots: Vec<(String, String)>,
}

impl Expansion {
    /// The words, separated by spaces.
    pub fn text(&self) -> String {
        self.words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ")
    }
}

impl Phrase {
    /// Parses a phrasing.
    ///
    /// # Errors
    /// What was expected, and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rest = text;
        let phrase = sequence(&mut rest, 0).map_err(|e| format!("{text:?}: {e}"))?;
        if rest.is_empty() { Ok(phrase) } else { Err(format!("{text:?}: nothing opens what is closed at {rest:?}")) }
    }

    /// A random expansion; every list must be in `lists`.
    pub fn sample(&self, lists: &Lists, rng: &mut impl Rng) -> Expansion {
        let mut expansion = Expansion::default();
        self.expand(lists, rng, None, &mut expansion);
        expansion
    }

    /// Names of the lists, and names and fixed values of the slots, that it uses.
    pub fn names(&self) -> (Vec<&str>, Vec<(&str, Option<&str>)>) {
        let (mut lists, mut slots) = (Vec::new(), Vec::new());
        for part in &self.parts {
            let inner: &[Phrase] = match part {
                Part::Words(_) => &[],
                Part::List(name) => {
                    lists.push(name.as_str());
                    &[]
                }
                Part::OneOf(phrases) => phrases,
                Part::Slot(name, phrase) => {
                    slots.push((name.as_str(), None));
                    std::slice::from_ref(phrase)
                }
                Part::Set(name, value) => {
                    slots.push((name.as_str(), Some(value.as_str())));
                    &[]
                }
            };
            for phrase in inner {
                let (l, s) = phrase.names();
                lists.extend(l);
                slots.extend(s);
            }
        }
        (lists, slots)
    }

    fn expand(&self, lists: &Lists, rng: &mut impl Rng, slot: Option<usize>, out: &mut Expansion) -> Option<String> {
        let mut value = None;
        for part in &self.parts {
            match part {
                Part::Words(words) => push(words, slot, out),
                Part::List(name) => {
                    if let Some(entry) = lists.get(name).and_then(|l| l.choose(rng)) {
                        let is_invented = entry.words.contains(INVENTED);
                        let words = if is_invented { invented_words(&entry.words, rng) } else { entry.words.clone() };
                        push(&words, slot, out);
                        value = Some(if is_invented { words } else { entry.value.clone() });
                    }
                }
                Part::OneOf(phrases) => {
                    if let Some(phrase) = phrases.choose(rng) {
                        value = phrase.expand(lists, rng, slot, out).or(value);
                    }
                }
                Part::Slot(name, phrase) => {
                    let (from, at) = (out.words.len(), out.slots.len());
                    out.slots.push((name.clone(), String::new()));
                    let value = phrase.expand(lists, rng, Some(at), out);
                    let words: Vec<&str> = out.words[from..].iter().map(|w| w.text.as_str()).collect();
                    out.slots[at].1 = value.unwrap_or_else(|| words.join(" "));
                }
                Part::Set(name, value) => out.slots.push((name.clone(), value.clone())),
            }
        }
        value
    }
}

/// Placeholder of an invented word.
pub const INVENTED: char = '~';

/// Replaces the placeholders of an entry by invented words, so that the model learns to copy names that it does not know.
pub(crate) fn invented_words(entry: &str, rng: &mut impl Rng) -> String {
    const STARTS: [&str; 24] = [
        "b", "br", "c", "ch", "d", "f", "fl", "g", "gr", "h", "j", "k", "l", "m", "n", "p", "r", "s", "st", "t", "tr",
        "v", "w", "z",
    ];
    const VOWELS: [&str; 10] = ["a", "e", "i", "o", "u", "ea", "oo", "ai", "y", "ie"];
    const ENDS: [&str; 12] = ["", "", "", "n", "r", "l", "s", "t", "ck", "nd", "rg", "m"];
    let mut text = String::new();
    for c in entry.chars() {
        if c != INVENTED {
            text.push(c);
            continue;
        }
        for _ in 0..rng.random_range(1..4) {
            for part in [&STARTS[..], &VOWELS[..], &ENDS[..]] {
                text += part.choose(rng).copied().unwrap_or_default();
            }
        }
    }
    text
}

fn push(words: &str, slot: Option<usize>, out: &mut Expansion) {
    out.words.extend(words.split_whitespace().map(|w| Word { text: w.into(), slot }));
}

/// The deepest nesting of brackets.
const MAX_DEPTH: usize = 16;

/// Parses up to `|`, `)`, `}` or `]`, or the end.
fn sequence(rest: &mut &str, depth: usize) -> Result<Phrase, String> {
    if depth > MAX_DEPTH {
        return Err(format!("brackets are nested deeper than {MAX_DEPTH}"));
    }
    let mut parts = Vec::new();
    while let Some(c) = rest.chars().next() {
        match c {
            '|' | ')' | '}' | ']' => break,
            '(' => {
                *rest = &rest[1..];
                let mut phrases = vec![sequence(rest, depth + 1)?];
                while take(rest, '|') {
                    phrases.push(sequence(rest, depth + 1)?);
                }
                expect(rest, ')')?;
                parts.push(Part::OneOf(phrases));
            }
            '{' => {
                *rest = &rest[1..];
                let name = until(rest, ':')?;
                let phrase = sequence(rest, depth + 1)?;
                expect(rest, '}')?;
                parts.push(Part::Slot(name, phrase));
            }
            '[' => {
                *rest = &rest[1..];
                let name = until(rest, '=')?;
                let value = until(rest, ']')?;
                parts.push(Part::Set(name, value));
            }
            '@' => {
                let end = rest[1..].find(|c: char| !(c.is_ascii_lowercase() || c == '_')).map_or(rest.len(), |e| e + 1);
                parts.push(Part::List(rest[1..end].into()));
                *rest = &rest[end..];
            }
            _ => {
                let end = rest.find(['|', '(', ')', '{', '}', '[', ']', '@']).unwrap_or(rest.len());
                parts.push(Part::Words(rest[..end].into()));
                *rest = &rest[end..];
            }
        }
    }
    Ok(Phrase { parts })
}

fn take(rest: &mut &str, sign: char) -> bool {
    match rest.strip_prefix(sign) {
        Some(after) => {
            *rest = after;
            true
        }
        None => false,
    }
}

fn expect(rest: &mut &str, sign: char) -> Result<(), String> {
    if take(rest, sign) { Ok(()) } else { Err(format!("expected `{sign}` at {rest:?}")) }
}

fn until(rest: &mut &str, sign: char) -> Result<String, String> {
    let (name, after) = rest.split_once(sign).ok_or_else(|| format!("expected `{sign}` after {rest:?}"))?;
    *rest = after;
    if name.is_empty() || name.contains(['|', '(', ')', '{', '}', '[', ']', '@']) {
        return Err(format!("expected a plain name before `{sign}`, found {name:?}"));
    }
    Ok(name.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use std::collections::BTreeSet;

    fn all(text: &str) -> BTreeSet<(String, Vec<(String, String)>)> {
        let lists = Lists::from([("n".into(), vec![Entry::parse("twenty one => 21"), Entry::parse("16")])]);
        let phrase = Phrase::parse(text).unwrap();
        let sample = |seed| phrase.sample(&lists, &mut ChaCha8Rng::seed_from_u64(seed));
        (0..200).map(sample).map(|s| (s.text(), s.slots)).collect()
    }

    #[test]
    fn a_phrasing_expands_to_all_alternatives_and_no_others() {
        let slot = |v: &str| vec![("d".to_string(), v.to_string())];
        let expected: BTreeSet<_> = [
            ("set to twenty one".to_string(), slot("21")),
            ("set to 16".into(), slot("16")),
            ("twenty one".into(), slot("21")),
            ("16".into(), slot("16")),
        ]
        .into();
        assert_eq!(all("(set (to)|) {d:@n}"), expected);
        assert_eq!(all("fan off[d=off]"), [("fan off".to_string(), slot("off"))].into());
        assert_eq!(all("go {d:(to work)} now"), [("go to work now".to_string(), slot("to work"))].into());
    }

    #[test]
    fn errors_of_phrasings_state_the_position() {
        assert_eq!(Phrase::parse("(a|b").unwrap_err(), "\"(a|b\": expected `)` at \"\"");
        assert_eq!(Phrase::parse("a)").unwrap_err(), "\"a)\": nothing opens what is closed at \")\"");
        assert!(Phrase::parse("{a b}").unwrap_err().contains("expected `:`"));
        assert!(Phrase::parse("[a]").unwrap_err().contains("expected `=`"));
        assert!(Phrase::parse(&"(".repeat(10_000)).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_a_phrasing_or_an_error(text in "[a-z (){}|:=@\\[\\]ß]{0,30}") {
            if let Ok(phrase) = Phrase::parse(&text) {
                phrase.sample(&Lists::new(), &mut ChaCha8Rng::seed_from_u64(1));
            }
        }
    }
}
