//! The recogniser's vocabulary at run time: the phrasings of the intents and the names of a phone book.
//!
//! libvosk makes a bigram model of the given phrases, so words that often follow each other in them are expected to. It
//! leaves out words that the model does not have; they are counted and reported here.

use crate::{
    config::Config,
    recognition::{
        model::check::ModelInfo,
        types::{LanguageModel, Vocabulary},
        wake_word::WakePhrases,
    },
    turns::attention::Activation,
};
use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read,
    path::Path,
};

/// The word of Vosk models for everything outside of their vocabulary.
const UNKNOWN: &str = "[unk]";
/// Phrases generated from each phrasing, which is a pattern.
const PHRASES_PER_PHRASING: usize = 12;
const MAX_FILE_BYTES: u64 = 16 << 20;
const MAX_PHRASES: usize = 200_000;
/// Unknown words that a notice names; the others are counted.
const WORDS_NAMED: usize = 8;

/// The recogniser's language model: with `vocabulary = "catalogue"` the phrasings and the phone book's names, as far as
/// they can be read and the model has their words. What is left out is appended to `notices`.
pub(crate) fn language_model(config: &Config, info: &ModelInfo, notices: &mut Vec<String>) -> LanguageModel {
    let wake_phrases = wake_phrases(config, info, notices);
    if config.vocabulary == Vocabulary::Model {
        return LanguageModel::BuiltIn;
    }
    if !info.takes_grammar {
        let text = "the model's graph takes no vocabulary at run time (graph/HCLG.fst): all its words are used";
        notices.push(text.into());
        return LanguageModel::BuiltIn;
    }
    let mut names = Vec::new();
    if !config.phone_book.as_os_str().is_empty() {
        match phone_book(&config.phone_book) {
            Ok(found) => names = found,
            Err(e) => notices.push(format!("{e:#}; its names are left out (phone_book)")),
        }
    }
    let mut phrases = match phrasings(&config.phrasings, &names) {
        Ok(phrases) => phrases,
        Err(e) => {
            notices.push(format!("{e:#}; all the model's words are used (phrasings)"));
            return LanguageModel::BuiltIn;
        }
    };
    report_unknown(&phrases, &names, &info.words, notices);
    // libvosk leaves unknown words out, which would make the words around them neighbours.
    phrases.retain(|p| p.split(' ').all(|w| info.words.contains(w)));
    let with_wake_phrase: Vec<String> =
        wake_phrases.iter().take(1).flat_map(|w| phrases.iter().map(move |p| format!("{w} {p}"))).collect();
    phrases.extend(with_wake_phrase);
    phrases.extend(wake_phrases);
    if info.words.contains(UNKNOWN) {
        phrases.push(UNKNOWN.into());
    }
    LanguageModel::Phrases(phrases)
}

/// The wake phrases whose words are all in the model.
fn wake_phrases(config: &Config, info: &ModelInfo, notices: &mut Vec<String>) -> Vec<String> {
    if config.activation != Activation::WakeWord {
        return Vec::new();
    }
    let known = |phrase: &String| phrase.split(' ').all(|w| info.words.contains(w));
    let (known, unknown): (Vec<String>, Vec<String>) = WakePhrases::new(&config.wake_phrases).texts().partition(known);
    if !unknown.is_empty() {
        let unknown = unknown.join(", ");
        let text = format!("the model does not have all words of {unknown}: it cannot be detected (wake_phrases)");
        notices.push(text);
    }
    known
}

fn report_unknown(phrases: &[String], names: &[String], words: &BTreeSet<String>, notices: &mut Vec<String>) {
    let in_names: BTreeSet<&str> = names.iter().flat_map(|n| n.split(' ')).collect();
    let unknown: BTreeSet<&str> = phrases.iter().flat_map(|p| p.split(' ')).filter(|w| !words.contains(*w)).collect();
    // Names are private: they are counted, not named.
    let (names, others): (Vec<&str>, Vec<&str>) = unknown.into_iter().partition(|w| in_names.contains(w));
    if !others.is_empty() {
        let some = others[..others.len().min(WORDS_NAMED)].join(", ");
        let text =
            format!("{} words of the phrasings are not in the model and are not recognised: {some} …", others.len());
        notices.push(text);
    }
    if !names.is_empty() {
        notices.push(format!("{} words of the phone book are not in the model and are not recognised", names.len()));
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

/// The names of a phone book in lower case. The file holds vCards, as telephones export them; the name is the FN line.
///
/// # Errors
/// When the file cannot be read or holds no vCard.
pub fn phone_book(path: &Path) -> anyhow::Result<Vec<String>> {
    let text = read(path)?;
    ensure!(text.contains("BEGIN:VCARD"), "{}: expected vCards (BEGIN:VCARD …), found none", path.display());
    // A long line is continued in the next one, after a space or tab.
    let unfolded = text.replace("\r\n", "\n").replace("\n ", "").replace("\n\t", "");
    let mut names = BTreeSet::new();
    for line in unfolded.lines() {
        let Some((property, value)) = line.split_once(':') else { continue };
        let mut parts = property.split(';');
        let is_name = parts.next().is_some_and(|p| p.rsplit('.').next().is_some_and(|p| p.eq_ignore_ascii_case("FN")));
        if is_name && !parts.any(|p| p.to_ascii_uppercase().contains("QUOTED-PRINTABLE")) {
            names.extend(Some(words_only(&value.replace('\\', ""))).filter(|n| !n.is_empty()));
        }
    }
    Ok(names.into_iter().collect())
}

/// Lower case, words only.
fn words_only(text: &str) -> String {
    let plain: String =
        text.to_lowercase().chars().map(|c| if c.is_alphanumeric() || c == '\'' { c } else { ' ' }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The part of models/language/grammar.toml that describes what drivers say.
#[derive(Deserialize)]
struct PhrasingFile {
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

/// The list of people in the grammar; the phone book's names are added to it.
const PEOPLE: &str = "who";

/// Phrases from the phrasings of a grammar.toml; each alternative and each entry of a list is in at least one. `names` are
/// added to the list of people.
///
/// # Errors
/// When the file cannot be read or a phrasing is malformed; the text names it.
pub fn phrasings(path: &Path, names: &[String]) -> anyhow::Result<Vec<String>> {
    let text = read(path)?;
    let mut grammar: PhrasingFile =
        toml::from_str(&text).with_context(|| format!("{}: expected the intents' phrasings", path.display()))?;
    for entry in grammar.lists.values_mut().flatten() {
        // "words => value": only the words are spoken.
        entry.truncate(entry.find(" => ").unwrap_or(entry.len()));
    }
    grammar.lists.entry(PEOPLE.into()).or_default().extend(names.iter().cloned());
    let longest = grammar.lists.values().map(Vec::len).max().unwrap_or(0);
    let mut phrases: BTreeSet<String> =
        grammar.around.before.iter().chain(&grammar.around.after).map(|p| words_only(p)).collect();
    for phrasing in grammar.intent.iter().flat_map(|i| &i.train) {
        let rounds = if phrasing.contains('@') { longest.max(PHRASES_PER_PHRASING) } else { PHRASES_PER_PHRASING };
        for round in 0..rounds {
            let mut phrase = String::new();
            let mut rest = phrasing.as_str();
            let mut expansion = Expansion { round, lists: &grammar.lists };
            expansion
                .sequence(&mut rest, 0, &mut phrase)
                .with_context(|| format!("{}: {phrasing:?}", path.display()))?;
            ensure!(rest.is_empty(), "{}: {phrasing:?}: unmatched closing bracket at {rest:?}", path.display());
            // Left out: `~` (a made-up word, not in the model), digits (other phrasings have them as words), loose quotes.
            if !phrase.contains('~') && !phrase.contains(|c: char| c.is_ascii_digit()) && !phrase.contains(" '") {
                phrases.insert(words_only(&phrase));
            }
            ensure!(phrases.len() <= MAX_PHRASES, "{}: more than {MAX_PHRASES} phrases", path.display());
        }
    }
    phrases.remove("");
    Ok(phrases.into_iter().collect())
}

/// One expansion of a phrasing. The round selects its alternatives.
struct Expansion<'a> {
    round: usize,
    lists: &'a BTreeMap<String, Vec<String>>,
}

const MAX_DEPTH: usize = 16;

impl Expansion<'_> {
    /// Expands up to `|`, `)`, `}`, `]` or the end: `(a|b)`, `{slot:…}`, `[slot=value]`, `@list` and words.
    fn sequence(&mut self, rest: &mut &str, depth: usize, out: &mut String) -> anyhow::Result<()> {
        ensure!(depth <= MAX_DEPTH, "brackets are nested more than {MAX_DEPTH} deep");
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
                    // The divisor grows with the depth: otherwise groups of the same size would always select alike.
                    out.push_str(&choices[(self.round + self.round / (7 + 4 * depth)) % choices.len()]);
                }
                '{' => {
                    let (_slot, after) = rest.split_once(':').context("expected `:` after a slot's name")?;
                    *rest = after;
                    self.sequence(rest, depth + 1, out)?;
                    expect(rest, "}")?;
                }
                '[' => *rest = rest.split_once(']').context("expected `]`")?.1,
                '@' => {
                    let end = rest[1..].find(|c: char| !(c.is_ascii_lowercase() || c == '_'));
                    let (name, after) = rest[1..].split_at(end.unwrap_or(rest.len() - 1));
                    *rest = after;
                    match self.lists.get(name).map(Vec::as_slice) {
                        None | Some([]) => bail!("there is no list `{name}`"),
                        Some(list) => out.push_str(&list[self.round % list.len()]),
                    }
                }
                _ => {
                    let end = rest.find(['|', '(', ')', '{', '}', '[', ']', '@']).unwrap_or(rest.len());
                    out.push_str(&rest[..end]);
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
    fn a_phone_book_gives_the_names_of_its_cards() {
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
        fn no_phrasing_makes_the_expansion_panic(text in "[a-c|(){}\\[\\]@=:~ ]{0,40}") {
            let lists = BTreeMap::from([("a".to_owned(), vec!["x".to_owned()])]);
            let mut rest = text.as_str();
            let _ = Expansion { round: 3, lists: &lists }.sequence(&mut rest, 0, &mut String::new());
        }
    }
}
