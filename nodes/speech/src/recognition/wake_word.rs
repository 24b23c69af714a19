//! The wake phrase in recognised words: where it is, with which confidence, and what follows it.

use crate::recognition::types::RecognisedWord;
use std::time::Duration;

/// The configured wake phrases, in words.
#[derive(Debug, Clone)]
pub struct WakePhrases(Vec<Vec<String>>);

/// A detected wake phrase. Times are those of its words.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WakeDetection {
    /// When its first word begins.
    pub start: Duration,
    /// When its last word ends.
    pub end: Duration,
    /// Confidence of its least certain word, 0 to 1.
    pub confidence: f32,
}

impl WakePhrases {
    /// From phrases as they are configured; empty ones are left out.
    pub fn new(phrases: &[String]) -> Self {
        let words = |phrase: &String| phrase.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>();
        let mut phrases: Vec<_> = phrases.iter().map(words).filter(|words| !words.is_empty()).collect();
        // The longest first: of "hey auriga" the phrase "hey" would leave "auriga".
        phrases.sort_by_key(|words| std::cmp::Reverse(words.len()));
        Self(phrases)
    }

    /// The phrases in lower case.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|words| words.join(" "))
    }

    /// Index and number of words of the last phrase among these words.
    fn find_last<T: AsRef<str>>(&self, words: &[T]) -> Option<(usize, usize)> {
        let at = |i: usize| {
            let phrase = self.0.iter().find(|p| {
                words[i..].len() >= p.len() && words[i..].iter().zip(p.iter()).all(|(w, p)| same(w.as_ref(), p))
            });
            phrase.map(|p| (i, p.len()))
        };
        (0..words.len()).rev().find_map(at)
    }

    /// The phrase with the highest confidence among recognised words.
    pub fn best_match(&self, words: &[RecognisedWord]) -> Option<WakeDetection> {
        let mut best: Option<WakeDetection> = None;
        for first in 0..words.len() {
            for phrase in self.0.iter().filter(|p| words.len() - first >= p.len()) {
                let found = &words[first..first + phrase.len()];
                if !found.iter().zip(phrase).all(|(w, p)| same(&w.text, p)) {
                    continue;
                }
                let confidence = found.iter().map(|w| w.confidence).fold(1.0, f32::min);
                let detection = WakeDetection { start: found[0].start, end: found[found.len() - 1].end, confidence };
                if best.is_none_or(|b| b.confidence <= confidence) {
                    best = Some(detection);
                }
            }
        }
        best
    }

    /// Whether this text contains a phrase.
    pub fn is_in(&self, text: &str) -> bool {
        self.text_after(text).is_some()
    }

    /// What follows the last phrase in this text; `None` without a phrase.
    pub fn text_after(&self, text: &str) -> Option<String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (at, length) = self.find_last(&words)?;
        Some(words[at + length..].join(" "))
    }

    /// The text without the phrase with which it begins, if it does.
    pub fn strip_prefix<'t>(&self, text: &'t str) -> &'t str {
        let words: Vec<&str> = text.split_whitespace().collect();
        let begins = |p: &&Vec<String>| words.len() >= p.len() && words.iter().zip(p.iter()).all(|(w, p)| same(w, p));
        let Some(phrase) = self.0.iter().find(begins) else { return text };
        match words.get(phrase.len()) {
            // A word is a slice of the text.
            Some(next) => &text[next.as_ptr() as usize - text.as_ptr() as usize..],
            None => "",
        }
    }
}

/// Whether a word is the phrase's, ignoring case and punctuation: a track has "Hey Auriga,".
fn same(word: &str, phrase: &str) -> bool {
    word.trim_matches(|c: char| !c.is_alphanumeric()).eq_ignore_ascii_case(phrase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn phrases() -> WakePhrases {
        WakePhrases::new(&["auriga".into(), "Hey Auriga".into()])
    }
    fn words(text: &str, confidence: f32) -> Vec<RecognisedWord> {
        let at = |i: usize| Duration::from_millis(300 * i as u64);
        let word = |(i, w): (usize, &str)| RecognisedWord { text: w.into(), start: at(i), end: at(i + 1), confidence };
        text.split(' ').enumerate().map(word).collect()
    }

    #[test]
    fn the_request_is_what_follows_the_phrase() {
        let p = phrases();
        assert_eq!(p.text_after("well hey auriga how far").as_deref(), Some("how far"));
        assert_eq!(p.text_after("Hey Auriga, play auriga songs").as_deref(), Some("songs"));
        assert_eq!(p.text_after("hey auriga").as_deref(), Some(""));
        assert_eq!(p.text_after("hey you"), None);
        assert_eq!(p.strip_prefix("Hey Auriga,  how far?"), "how far?");
        assert_eq!(p.strip_prefix("how far, auriga"), "how far, auriga");
        assert_eq!(p.strip_prefix("hey auriga"), "");
    }

    #[test]
    fn the_confidence_of_a_phrase_is_that_of_its_least_certain_word() {
        let mut recognised = words("so hey auriga go", 0.9);
        recognised[2].confidence = 0.4;
        let detection = WakePhrases::new(&["hey auriga".into()]).best_match(&recognised).unwrap();
        let at = |ms| Duration::from_millis(ms);
        assert_eq!(detection, WakeDetection { start: at(300), end: at(900), confidence: 0.4 });
        assert_eq!(phrases().best_match(&words("hey you", 1.0)), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_search_panic(text in "(hey|auriga|[a-zA-Z é,.?]{0,6}| ){0,12}") {
            let p = phrases();
            if let Some(rest) = p.text_after(&text) {
                prop_assert!(rest.len() <= text.len() && !p.is_in(&rest));
            }
            prop_assert!(text.ends_with(p.strip_prefix(&text)));
            p.best_match(&words(&text, 0.5));
        }
    }
}
