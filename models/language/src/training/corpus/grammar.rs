//! Phrasings: `(navigate|drive) to {place:@place}` and what can be said with them.
//!
//! `(a|b|)` is one of these, `@name` an entry of a list, `{slot:…}` words that are the slot's value, `[slot=value]` sets a
//! slot and says nothing. A list's entry `words => value` gives its slot that value; `~` in an entry is a word that is made
//! up each time.

use rand::{Rng, seq::IndexedRandom};
use std::collections::BTreeMap;

/// A phrase of a list: what is said and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub said: String,
    pub value: String,
}

impl Entry {
    pub fn parse(text: &str) -> Self {
        let (said, value) = text.split_once(" => ").unwrap_or((text, text));
        Self { said: said.into(), value: value.into() }
    }
}

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

/// A word as it is said, and the slot that it belongs to, where noise must not reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    /// Among [`Said::slots`].
    pub slot: Option<usize>,
}

/// One thing that can be said with a phrasing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    pub words: Vec<Word>,
    pub slots: Vec<(String, String)>,
}

impl Said {
    pub fn text(&self) -> String {
        self.words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ")
    }
}

impl Phrase {
    /// The error says what was expected where.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rest = text;
        let phrase = sequence(&mut rest, 0).map_err(|e| format!("{text:?}: {e}"))?;
        if rest.is_empty() { Ok(phrase) } else { Err(format!("{text:?}: nothing opens what is closed at {rest:?}")) }
    }

    /// Something that can be said with it; every list must be in `lists`.
    pub fn say(&self, lists: &Lists, rng: &mut impl Rng) -> Said {
        let mut said = Said::default();
        self.expand(lists, rng, None, &mut said);
        said
    }

    /// Names of the lists and slots that it uses.
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

    fn expand(&self, lists: &Lists, rng: &mut impl Rng, slot: Option<usize>, out: &mut Said) -> Option<String> {
        let mut value = None;
        for part in &self.parts {
            match part {
                Part::Words(words) => push(words, slot, out),
                Part::List(name) => {
                    if let Some(entry) = lists.get(name).and_then(|l| l.choose(rng)) {
                        let made_up = entry.said.contains(INVENTED);
                        let said = if made_up { invent(&entry.said, rng) } else { entry.said.clone() };
                        push(&said, slot, out);
                        value = Some(if made_up { said } else { entry.value.clone() });
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
                    let said: Vec<&str> = out.words[from..].iter().map(|w| w.text.as_str()).collect();
                    out.slots[at].1 = value.unwrap_or_else(|| said.join(" "));
                }
                Part::Set(name, value) => out.slots.push((name.clone(), value.clone())),
            }
        }
        value
    }
}

/// Stands for a word that is made up.
pub const INVENTED: char = '~';

/// An entry with its made-up words: names the model cannot know, so that it learns to copy what was said.
pub(crate) fn invent(said: &str, rng: &mut impl Rng) -> String {
    const STARTS: [&str; 24] = [
        "b", "br", "c", "ch", "d", "f", "fl", "g", "gr", "h", "j", "k", "l", "m", "n", "p", "r", "s", "st", "t", "tr",
        "v", "w", "z",
    ];
    const VOWELS: [&str; 10] = ["a", "e", "i", "o", "u", "ea", "oo", "ai", "y", "ie"];
    const ENDS: [&str; 12] = ["", "", "", "n", "r", "l", "s", "t", "ck", "nd", "rg", "m"];
    let mut text = String::new();
    for c in said.chars() {
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

fn push(words: &str, slot: Option<usize>, out: &mut Said) {
    out.words.extend(words.split_whitespace().map(|w| Word { text: w.into(), slot }));
}

/// Nobody writes a phrasing deeper than this.
const MAX_DEPTH: usize = 16;

/// Up to `|`, `)` or `}`, or the end.
fn sequence(rest: &mut &str, depth: usize) -> Result<Phrase, String> {
    if depth > MAX_DEPTH {
        return Err(format!("more than {MAX_DEPTH} brackets within each other"));
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
        let said = |seed| phrase.say(&lists, &mut ChaCha8Rng::seed_from_u64(seed));
        (0..200).map(said).map(|s| (s.text(), s.slots)).collect()
    }

    #[test]
    fn a_phrasing_says_all_that_it_can_and_nothing_else() {
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
    fn a_broken_phrasing_says_where() {
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
                phrase.say(&Lists::new(), &mut ChaCha8Rng::seed_from_u64(1));
            }
        }
    }
}
