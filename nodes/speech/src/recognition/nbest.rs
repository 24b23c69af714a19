//! libvosk's n-best results: probabilities of hypotheses and confidences of words.
//!
//! With alternatives libvosk gives each hypothesis a score (a log likelihood) and no word confidences; without, it gives
//! word confidences and one hypothesis. From the scores follow the probability of each hypothesis among those given, and
//! the confidence of a word: the sum of the probabilities of all hypotheses that have it at the same place.

use crate::recognition::types::{Hypothesis, RecognisedWord, Recognition};
use std::time::Duration;

fn seconds(s: f32) -> Duration {
    Duration::try_from_secs_f32(s).unwrap_or_default()
}

/// A word of libvosk's result.
pub(super) fn word(w: &vosk::Word) -> RecognisedWord {
    let confidence = w.conf.clamp(0.0, 1.0);
    RecognisedWord { text: w.word.to_owned(), start: seconds(w.start), end: seconds(w.end), confidence }
}

/// Makes a word's times relative to the start of its turn.
pub(super) fn shift(word: &mut RecognisedWord, turn_start: Duration) {
    word.start = word.start.saturating_sub(turn_start);
    word.end = word.end.saturating_sub(turn_start);
}

/// The result of a turn.
pub(super) fn recognition(result: vosk::CompleteResult) -> Recognition {
    match result {
        vosk::CompleteResult::Single(single) => {
            Recognition { words: single.result.iter().map(word).collect(), alternatives: Vec::new() }
        }
        vosk::CompleteResult::Multiple(multiple) => {
            let hypotheses = multiple.alternatives.into_iter().map(|a| {
                let word = |w: &vosk::WordInAlternative| RecognisedWord {
                    text: w.word.to_owned(),
                    start: seconds(w.start),
                    end: seconds(w.end),
                    confidence: 0.0,
                };
                (a.result.iter().map(word).collect(), a.confidence)
            });
            from_scores(hypotheses.collect())
        }
    }
}

/// From hypotheses and their log likelihoods.
fn from_scores(scored: Vec<(Vec<RecognisedWord>, f32)>) -> Recognition {
    let best = scored.iter().map(|(_, score)| *score).filter(|s| s.is_finite()).fold(f32::MIN, f32::max);
    let mut hypotheses: Vec<Hypothesis> = Vec::new();
    for (words, score) in scored {
        let weight = if score.is_finite() { (score - best).exp() } else { 0.0 };
        let hypothesis = Hypothesis { words, probability: weight };
        // The same words at other times count as the same hypothesis.
        match hypotheses.iter_mut().find(|r| r.text() == hypothesis.text()) {
            Some(known) => known.probability += weight,
            None => hypotheses.push(hypothesis),
        }
    }
    let sum: f32 = hypotheses.iter().map(|r| r.probability).sum();
    hypotheses.iter_mut().for_each(|r| r.probability /= sum.max(f32::MIN_POSITIVE));
    hypotheses.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    if hypotheses.is_empty() {
        return Recognition::default();
    }
    let mut words = hypotheses[0].words.clone();
    for word in &mut words {
        let has_word =
            |r: &&Hypothesis| r.words.iter().any(|w| w.text == word.text && w.start < word.end && word.start < w.end);
        word.confidence = hypotheses.iter().filter(has_word).map(|r| r.probability).sum::<f32>().min(1.0);
    }
    Recognition { words, alternatives: hypotheses.split_off(1) }
}

/// Appends the next part of the same turn. Each alternative of one part is combined with the best hypothesis of the other.
pub(super) fn append(done: &mut Recognition, next: Recognition) {
    if next.words.is_empty() {
        return;
    }
    if done.words.is_empty() {
        *done = next;
        return;
    }
    for alternative in &mut done.alternatives {
        alternative.words.extend(next.words.iter().cloned());
    }
    let extended = next
        .alternatives
        .into_iter()
        .map(|a| Hypothesis { words: done.words.iter().cloned().chain(a.words).collect(), probability: a.probability });
    done.alternatives.extend(extended);
    done.alternatives.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    done.words.extend(next.words);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<RecognisedWord> {
        let at = |i: usize| Duration::from_millis(300 * i as u64);
        let word =
            |(i, w): (usize, &str)| RecognisedWord { text: w.into(), start: at(i), end: at(i + 1), confidence: 0.0 };
        text.split_whitespace().enumerate().map(word).collect()
    }

    #[test]
    fn a_words_confidence_is_the_sum_over_the_hypotheses_that_have_it() {
        let two = 2f32.ln();
        let result = from_scores(vec![
            (words("call anna"), 100.0 + two),
            (words("call hannah"), 100.0),
            (words("call anna"), 100.0),
        ]);
        assert_eq!(result.text(), "call anna");
        assert!((result.words[0].confidence - 1.0).abs() < 1e-5 && (result.words[1].confidence - 0.75).abs() < 1e-5);
        assert_eq!(result.alternatives.len(), 1);
        assert_eq!(result.alternatives[0].text(), "call hannah");
        assert!((result.alternatives[0].probability - 0.25).abs() < 1e-5);
    }

    #[test]
    fn probabilities_stay_within_0_and_1_for_any_score() {
        for scores in [[f32::NAN, f32::NEG_INFINITY], [f32::INFINITY, 1.0], [1e30, -1e30]] {
            let result = from_scores(scores.map(|s| (words(&format!("w{s}")), s)).into());
            let all = result.alternatives.iter().map(|a| a.probability);
            assert!(all.chain(result.words.iter().map(|w| w.confidence)).all(|p| (0.0..=1.0).contains(&p)));
        }
        assert!(from_scores(Vec::new()).words.is_empty());
    }

    #[test]
    fn alternatives_of_both_parts_of_a_turn_are_kept() {
        let mut done = from_scores(vec![(words("call anna"), 1.0), (words("call hannah"), 0.0)]);
        append(&mut done, from_scores(vec![(words("now"), 1.0), (words("no"), 0.0)]));
        assert_eq!(done.text(), "call anna now");
        let others: Vec<String> = done.alternatives.iter().map(Hypothesis::text).collect();
        assert_eq!(others, ["call hannah now", "call anna no"]);
    }
}
