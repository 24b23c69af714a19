//! The wake phrase in what was recognised: where it is, how sure that is, and what follows it.

use crate::recognition::vosk::HeardWord;
use std::time::Duration;

/// Ways to address the car, in words.
#[derive(Debug, Clone)]
pub struct WakePhrases(Vec<Vec<String>>);

/// A wake phrase that was heard, by the times of its words.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Woken {
    pub start: Duration,
    pub end: Duration,
    /// Of its least certain word.
    pub confidence: f32,
}

impl WakePhrases {
    pub fn new(phrases: &[String]) -> Self {
        let words = |phrase: &String| phrase.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>();
        let mut phrases: Vec<_> = phrases.iter().map(words).filter(|words| !words.is_empty()).collect();
        // The longest first, or of "hey auriga" a phrase "hey" would leave "auriga".
        phrases.sort_by_key(|words| std::cmp::Reverse(words.len()));
        Self(phrases)
    }

    pub fn texts(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|words| words.join(" "))
    }

    /// Place and number of words of the last phrase among these.
    fn last<T: AsRef<str>>(&self, words: &[T]) -> Option<(usize, usize)> {
        let at = |i: usize| {
            let phrase = self.0.iter().find(|p| {
                words[i..].len() >= p.len() && words[i..].iter().zip(p.iter()).all(|(w, p)| same(w.as_ref(), p))
            });
            phrase.map(|p| (i, p.len()))
        };
        (0..words.len()).rev().find_map(at)
    }

    /// The surest phrase among recognised words.
    pub fn find(&self, words: &[HeardWord]) -> Option<Woken> {
        let mut best: Option<Woken> = None;
        for first in 0..words.len() {
            for phrase in self.0.iter().filter(|p| words.len() - first >= p.len()) {
                let found = &words[first..first + phrase.len()];
                if !found.iter().zip(phrase).all(|(w, p)| same(&w.text, p)) {
                    continue;
                }
                let confidence = found.iter().map(|w| w.confidence).fold(1.0, f32::min);
                let woken = Woken { start: found[0].start, end: found[found.len() - 1].end, confidence };
                if best.is_none_or(|b| b.confidence <= confidence) {
                    best = Some(woken);
                }
            }
        }
        best
    }

    /// Whether a phrase is in this text.
    pub fn is_in(&self, text: &str) -> bool {
        self.after(text).is_some()
    }

    /// What follows the last phrase in this text; `None` where there is none.
    pub fn after(&self, text: &str) -> Option<String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (at, length) = self.last(&words)?;
        Some(words[at + length..].join(" "))
    }

    /// The text without the phrase it begins with, if it does.
    pub fn without<'t>(&self, text: &'t str) -> &'t str {
        let words: Vec<&str> = text.split_whitespace().collect();
        let begins = |p: &&Vec<String>| words.len() >= p.len() && words.iter().zip(p.iter()).all(|(w, p)| same(w, p));
        let Some(phrase) = self.0.iter().find(begins) else { return text };
        match words.get(phrase.len()) {
            // A word is a part of the text it was split from.
            Some(next) => &text[next.as_ptr() as usize - text.as_ptr() as usize..],
            None => "",
        }
    }
}

/// People write "Hey Auriga," where a recogniser writes "hey auriga".
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
    fn words(text: &str, confidence: f32) -> Vec<HeardWord> {
        let at = |i: usize| Duration::from_millis(300 * i as u64);
        let word = |(i, w): (usize, &str)| HeardWord { text: w.into(), start: at(i), end: at(i + 1), confidence };
        text.split(' ').enumerate().map(word).collect()
    }

    #[test]
    fn what_follows_the_phrase_is_what_was_asked() {
        let p = phrases();
        assert_eq!(p.after("well hey auriga how far").as_deref(), Some("how far"));
        assert_eq!(p.after("Hey Auriga, play auriga songs").as_deref(), Some("songs"));
        assert_eq!(p.after("hey auriga").as_deref(), Some(""));
        assert_eq!(p.after("hey you"), None);
        assert_eq!(p.without("Hey Auriga,  how far?"), "how far?");
        assert_eq!(p.without("how far, auriga"), "how far, auriga");
        assert_eq!(p.without("hey auriga"), "");
    }

    #[test]
    fn the_phrase_is_as_sure_as_its_least_certain_word() {
        let mut heard = words("so hey auriga go", 0.9);
        heard[2].confidence = 0.4;
        let woken = WakePhrases::new(&["hey auriga".into()]).find(&heard).unwrap();
        let at = |ms| Duration::from_millis(ms);
        assert_eq!(woken, Woken { start: at(300), end: at(900), confidence: 0.4 });
        assert_eq!(phrases().find(&words("hey you", 1.0)), None);
    }

    proptest! {
        #[test]
        fn any_text_is_searched_without_panic(text in "(hey|auriga|[a-zA-Z é,.?]{0,6}| ){0,12}") {
            let p = phrases();
            if let Some(rest) = p.after(&text) {
                prop_assert!(rest.len() <= text.len() && !p.is_in(&rest));
            }
            prop_assert!(text.ends_with(p.without(&text)));
            p.find(&words(&text, 0.5));
        }
    }
}
