//! What the recogniser is told to expect: the phrasings of the intents and the names of a phone book.
//!
//! libvosk makes a bigram model of the phrases it is given, so words that often follow each other in them are expected
//! to. Words that the model does not hold are left out by it; here they are counted and told.

use crate::{
    config::Config, recognition::model::check::Parts, recognition::wake_word::WakePhrases, turns::attention::Activation,
};
use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read,
    path::Path,
};

/// Which words are heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Vocabulary {
    /// Those of the model.
    Model,
    /// Those of the intents' phrasings and of the phone book.
    Catalogue,
}

/// What a recogniser is made for.
#[derive(Clone, PartialEq, Eq)]
pub enum Phrases {
    /// The model's own language.
    Model,
    These(Vec<String>),
}

/// Stands in Vosk models for all that is no word of them.
const UNKNOWN: &str = "[unk]";
/// Of each phrasing, which is a pattern, this many things that can be said with it.
const SAID_PER_PHRASING: usize = 12;
const MAX_FILE_BYTES: u64 = 16 << 20;
const MAX_PHRASES: usize = 200_000;
/// Words told by name when the model does not hold them.
const WORDS_TOLD: usize = 8;

/// What the recogniser is made for: with `vocabulary = "catalogue"` the phrasings and the phone book's names, as far as
/// they can be read and the model holds their words.
pub(crate) fn phrases(config: &Config, parts: &Parts, remarks: &mut Vec<String>) -> Phrases {
    let wakes = wake_phrases(config, parts, remarks);
    if config.vocabulary == Vocabulary::Model {
        return Phrases::Model;
    }
    if !parts.takes_grammar {
        let text = "the model's graph takes no vocabulary at run time (graph/HCLG.fst): all its words are heard";
        remarks.push(text.into());
        return Phrases::Model;
    }
    let mut names = Vec::new();
    if !config.phone_book.as_os_str().is_empty() {
        match phone_book(&config.phone_book) {
            Ok(found) => names = found,
            Err(e) => remarks.push(format!("{e:#}; no name of it is expected (phone_book)")),
        }
    }
    let mut phrases = match phrasings(&config.phrasings, &names) {
        Ok(phrases) => phrases,
        Err(e) => {
            remarks.push(format!("{e:#}; all the model's words are heard (phrasings)"));
            return Phrases::Model;
        }
    };
    tell_unknown(&phrases, &names, &parts.words, remarks);
    // A phrase with a hole in it would make the words around the hole neighbours.
    phrases.retain(|p| p.split(' ').all(|w| parts.words.contains(w)));
    let asked: Vec<String> =
        wakes.iter().take(1).flat_map(|w| phrases.iter().map(move |p| format!("{w} {p}"))).collect();
    phrases.extend(asked);
    phrases.extend(wakes);
    if parts.words.contains(UNKNOWN) {
        phrases.push(UNKNOWN.into());
    }
    Phrases::These(phrases)
}

/// The wake phrases whose words the model holds.
fn wake_phrases(config: &Config, parts: &Parts, remarks: &mut Vec<String>) -> Vec<String> {
    if config.activation != Activation::WakeWord {
        return Vec::new();
    }
    let known = |phrase: &String| phrase.split(' ').all(|w| parts.words.contains(w));
    let (known, unknown): (Vec<String>, Vec<String>) = WakePhrases::new(&config.wake_phrases).texts().partition(known);
    if !unknown.is_empty() {
        let unknown = unknown.join(", ");
        let text =
            format!("the model does not hold all words of {unknown}: the car does not wake up to it (wake_phrases)");
        remarks.push(text);
    }
    known
}

fn tell_unknown(phrases: &[String], names: &[String], words: &BTreeSet<String>, remarks: &mut Vec<String>) {
    let in_names: BTreeSet<&str> = names.iter().flat_map(|n| n.split(' ')).collect();
    let unknown: BTreeSet<&str> = phrases.iter().flat_map(|p| p.split(' ')).filter(|w| !words.contains(*w)).collect();
    // A name is private: it is counted, not told.
    let (names, others): (Vec<&str>, Vec<&str>) = unknown.into_iter().partition(|w| in_names.contains(w));
    if !others.is_empty() {
        let some = others[..others.len().min(WORDS_TOLD)].join(", ");
        let text = format!("{} words of the phrasings are not in the model and are not heard: {some} …", others.len());
        remarks.push(text);
    }
    if !names.is_empty() {
        remarks.push(format!("{} words of the phone book are not in the model and are not heard", names.len()));
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    file.take(MAX_FILE_BYTES + 1)
        .read_to_string(&mut text)
        .with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(text.len() as u64 <= MAX_FILE_BYTES, "{} is larger than {MAX_FILE_BYTES} bytes", path.display());
    Ok(text)
}

/// The names of a phone book (vCards, as telephones give them: the FN line of each), in lower case.
pub fn phone_book(path: &Path) -> anyhow::Result<Vec<String>> {
    let text = read(path)?;
    ensure!(text.contains("BEGIN:VCARD"), "{}: expected vCards (BEGIN:VCARD …), found none", path.display());
    // A line that is too long goes on in the next one, after a blank.
    let unfolded = text.replace("\r\n", "\n").replace("\n ", "").replace("\n\t", "");
    let mut names = BTreeSet::new();
    for line in unfolded.lines() {
        let Some((property, value)) = line.split_once(':') else { continue };
        let mut parts = property.split(';');
        let is_name = parts.next().is_some_and(|p| p.rsplit('.').next().is_some_and(|p| p.eq_ignore_ascii_case("FN")));
        if is_name && !parts.any(|p| p.to_ascii_uppercase().contains("QUOTED-PRINTABLE")) {
            names.extend(Some(spoken(&value.replace('\\', ""))).filter(|n| !n.is_empty()));
        }
    }
    Ok(names.into_iter().collect())
}

/// Lower case, nothing but words.
fn spoken(text: &str) -> String {
    let plain: String =
        text.to_lowercase().chars().map(|c| if c.is_alphanumeric() || c == '\'' { c } else { ' ' }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// As much of models/language/grammar.toml as says what drivers say.
#[derive(Deserialize)]
struct Grammar {
    around: Around,
    lists: BTreeMap<String, Vec<String>>,
    intent: Vec<Intent>,
}
#[derive(Deserialize)]
struct Around {
    before: Vec<String>,
    after: Vec<String>,
}
#[derive(Deserialize)]
struct Intent {
    train: Vec<String>,
}

/// The list of people in the grammar; the phone book's names are more of them.
const PEOPLE: &str = "who";

/// Things that can be said with the phrasings of a grammar.toml, each alternative and each entry of a list in some.
pub fn phrasings(path: &Path, names: &[String]) -> anyhow::Result<Vec<String>> {
    let text = read(path)?;
    let mut grammar: Grammar =
        toml::from_str(&text).with_context(|| format!("{}: expected the intents' phrasings", path.display()))?;
    for entry in grammar.lists.values_mut().flatten() {
        // "words => value": only words are said.
        entry.truncate(entry.find(" => ").unwrap_or(entry.len()));
    }
    grammar.lists.entry(PEOPLE.into()).or_default().extend(names.iter().cloned());
    let longest = grammar.lists.values().map(Vec::len).max().unwrap_or(0);
    let mut phrases: BTreeSet<String> =
        grammar.around.before.iter().chain(&grammar.around.after).map(|p| spoken(p)).collect();
    for phrasing in grammar.intent.iter().flat_map(|i| &i.train) {
        let rounds = if phrasing.contains('@') { longest.max(SAID_PER_PHRASING) } else { SAID_PER_PHRASING };
        for round in 0..rounds {
            let mut said = String::new();
            let mut rest = phrasing.as_str();
            let mut turn = Turn { round, lists: &grammar.lists };
            turn.sequence(&mut rest, 0, &mut said).with_context(|| format!("{}: {phrasing:?}", path.display()))?;
            ensure!(rest.is_empty(), "{}: {phrasing:?}: nothing opens what is closed at {rest:?}", path.display());
            // A word that is made up each time is none of the model's, nor is a figure, which others say in words.
            if !said.contains('~') && !said.contains(|c: char| c.is_ascii_digit()) && !said.contains(" '") {
                phrases.insert(spoken(&said));
            }
            ensure!(phrases.len() <= MAX_PHRASES, "{}: more than {MAX_PHRASES} phrases", path.display());
        }
    }
    phrases.remove("");
    Ok(phrases.into_iter().collect())
}

/// One round through a phrasing: which of its alternatives are taken depends on the round alone.
struct Turn<'a> {
    round: usize,
    lists: &'a BTreeMap<String, Vec<String>>,
}

const MAX_DEPTH: usize = 16;

impl Turn<'_> {
    /// Up to `|`, `)` or `}`, or the end: `(a|b)`, `{slot:…}`, `[slot=value]`, `@list` and words.
    fn sequence(&mut self, rest: &mut &str, depth: usize, said: &mut String) -> anyhow::Result<()> {
        ensure!(depth <= MAX_DEPTH, "more than {MAX_DEPTH} brackets within each other");
        while let Some(c) = rest.chars().next() {
            match c {
                '|' | ')' | '}' | ']' => break,
                '(' => {
                    let mut choices = Vec::new();
                    while rest.starts_with(['(', '|']) {
                        *rest = &rest[1..];
                        let mut choice = String::new();
                        self.sequence(rest, depth + 1, &mut choice)?;
                        choices.push(choice);
                    }
                    expect(rest, ")")?;
                    // Divided by a prime that grows with the depth, or groups of one size would always agree.
                    said.push_str(&choices[(self.round + self.round / (7 + 4 * depth)) % choices.len()]);
                }
                '{' => {
                    let (_slot, after) = rest.split_once(':').context("expected `:` after a slot's name")?;
                    *rest = after;
                    self.sequence(rest, depth + 1, said)?;
                    expect(rest, "}")?;
                }
                '[' => *rest = rest.split_once(']').context("expected `]`")?.1,
                '@' => {
                    let end = rest[1..].find(|c: char| !(c.is_ascii_lowercase() || c == '_'));
                    let (name, after) = rest[1..].split_at(end.unwrap_or(rest.len() - 1));
                    *rest = after;
                    match self.lists.get(name).map(Vec::as_slice) {
                        None | Some([]) => bail!("there is no list `{name}`"),
                        Some(list) => said.push_str(&list[self.round % list.len()]),
                    }
                }
                _ => {
                    let end = rest.find(['|', '(', ')', '{', '}', '[', ']', '@']).unwrap_or(rest.len());
                    said.push_str(&rest[..end]);
                    *rest = &rest[end..];
                }
            }
        }
        Ok(())
    }
}

fn expect(rest: &mut &str, sign: &str) -> anyhow::Result<()> {
    *rest = rest.strip_prefix(sign).with_context(|| format!("expected `{sign}` at {rest:?}"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    #[test]
    fn the_names_of_a_phone_book_are_those_of_its_cards() {
        let book = "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Berg;Anna;;;\r\nFN:Anna Berg\r\nTEL:+491\r\nEND:VCARD\r\n\
                    BEGIN:VCARD\r\nitem1.FN;CHARSET=utf-8:Dr. José \r\n  O'Neil\\, jun.\r\nEND:VCARD\r\n";
        let (_dir, path) = file(book);
        assert_eq!(phone_book(&path).unwrap(), ["anna berg", "dr josé o'neil jun"]);
        let (_dir, path) = file("Anna;+491\n");
        assert!(phone_book(&path).unwrap_err().to_string().contains("BEGIN:VCARD"));
    }

    #[test]
    fn every_alternative_and_every_name_is_in_some_phrase() {
        let grammar = "around = { before = ['please'], after = [] }\nlists = { who = ['mum', '~'] }\n\
                       [[intent]]\ntrain = ['(call|ring) {who:@who}[x=1] (now|)']\n";
        let (_dir, path) = file(grammar);
        let phrases = phrasings(&path, &["anna berg".into()]).unwrap().join("\n");
        for word in ["please", "call", "ring", "mum", "anna berg", "now"] {
            assert!(phrases.contains(word), "{word}: {phrases}");
        }
        assert!(!phrases.contains(['~', '{', '(', '=']), "{phrases}");
    }

    #[test]
    fn the_shipped_phrasings_are_read() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/language/grammar.toml");
        let phrases = phrasings(&path, &[]).unwrap();
        assert!((1000..MAX_PHRASES).contains(&phrases.len()), "{}", phrases.len());
        assert!(phrases.iter().all(|p| p.chars().all(|c| c.is_alphanumeric() || c == ' ' || c == '\'')));
    }

    proptest! {
        #[test]
        fn any_phrasing_is_expanded_or_refused(text in "[a-c|(){}\\[\\]@=:~ ]{0,40}") {
            let lists = BTreeMap::from([("a".to_owned(), vec!["x".to_owned()])]);
            let mut rest = text.as_str();
            let _ = Turn { round: 3, lists: &lists }.sequence(&mut rest, 0, &mut String::new());
        }
    }
}
