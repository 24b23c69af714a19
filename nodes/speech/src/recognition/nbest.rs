//! libvosk's results as ours: other readings of a turn, and what they say of each other.
//!
//! With alternatives libvosk tells a score for each reading (a log likelihood) and no word confidences; without, it
//! tells word confidences and one reading. The scores give both: a reading's probability among those told, and a word's
//! as that of all readings that have it there.

use crate::recognition::vosk::{HeardWord, Reading, Recognition};
use std::time::Duration;

fn seconds(s: f32) -> Duration {
    Duration::try_from_secs_f32(s).unwrap_or_default()
}

pub(crate) fn word(w: &vosk::Word) -> HeardWord {
    let confidence = w.conf.clamp(0.0, 1.0);
    HeardWord { text: w.word.to_owned(), start: seconds(w.start), end: seconds(w.end), confidence }
}

/// Takes what came before out of a word's times.
pub(crate) fn shift(word: &mut HeardWord, began: Duration) {
    word.start = word.start.saturating_sub(began);
    word.end = word.end.saturating_sub(began);
}

pub(crate) fn owned(result: vosk::CompleteResult) -> Recognition {
    match result {
        vosk::CompleteResult::Single(single) => {
            Recognition { words: single.result.iter().map(word).collect(), alternatives: Vec::new() }
        }
        vosk::CompleteResult::Multiple(multiple) => {
            let readings = multiple.alternatives.into_iter().map(|a| {
                let word = |w: &vosk::WordInAlternative| HeardWord {
                    text: w.word.to_owned(),
                    start: seconds(w.start),
                    end: seconds(w.end),
                    confidence: 0.0,
                };
                (a.result.iter().map(word).collect(), a.confidence)
            });
            of_readings(readings.collect())
        }
    }
}

/// From readings with their log likelihoods.
fn of_readings(scored: Vec<(Vec<HeardWord>, f32)>) -> Recognition {
    let best = scored.iter().map(|(_, score)| *score).filter(|s| s.is_finite()).fold(f32::MIN, f32::max);
    let mut readings: Vec<Reading> = Vec::new();
    for (words, score) in scored {
        let weight = if score.is_finite() { (score - best).exp() } else { 0.0 };
        let reading = Reading { words, probability: weight };
        // The same words at other times are the same reading.
        match readings.iter_mut().find(|r| r.text() == reading.text()) {
            Some(known) => known.probability += weight,
            None => readings.push(reading),
        }
    }
    let sum: f32 = readings.iter().map(|r| r.probability).sum();
    readings.iter_mut().for_each(|r| r.probability /= sum.max(f32::MIN_POSITIVE));
    readings.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    if readings.is_empty() {
        return Recognition::default();
    }
    let mut words = readings[0].words.clone();
    for word in &mut words {
        let there =
            |r: &&Reading| r.words.iter().any(|w| w.text == word.text && w.start < word.end && word.start < w.end);
        word.confidence = readings.iter().filter(there).map(|r| r.probability).sum::<f32>().min(1.0);
    }
    Recognition { words, alternatives: readings.split_off(1) }
}

/// The next part of the same turn. Of two parts each reading of one goes with the best one of the other.
pub(crate) fn append(done: &mut Recognition, next: Recognition) {
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
    let longer = next
        .alternatives
        .into_iter()
        .map(|a| Reading { words: done.words.iter().cloned().chain(a.words).collect(), probability: a.probability });
    done.alternatives.extend(longer);
    done.alternatives.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    done.words.extend(next.words);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<HeardWord> {
        let at = |i: usize| Duration::from_millis(300 * i as u64);
        let word = |(i, w): (usize, &str)| HeardWord { text: w.into(), start: at(i), end: at(i + 1), confidence: 0.0 };
        text.split_whitespace().enumerate().map(word).collect()
    }

    #[test]
    fn scores_become_probabilities_and_words_share_those_of_the_readings_that_have_them() {
        let two = 2f32.ln();
        let heard = of_readings(vec![
            (words("call anna"), 100.0 + two),
            (words("call hannah"), 100.0),
            (words("call anna"), 100.0),
        ]);
        assert_eq!(heard.text(), "call anna");
        assert!((heard.words[0].confidence - 1.0).abs() < 1e-5 && (heard.words[1].confidence - 0.75).abs() < 1e-5);
        assert_eq!(heard.alternatives.len(), 1);
        assert_eq!(heard.alternatives[0].text(), "call hannah");
        assert!((heard.alternatives[0].probability - 0.25).abs() < 1e-5);
    }

    #[test]
    fn absurd_scores_give_no_absurd_probabilities() {
        for scores in [[f32::NAN, f32::NEG_INFINITY], [f32::INFINITY, 1.0], [1e30, -1e30]] {
            let heard = of_readings(scores.map(|s| (words(&format!("w{s}")), s)).into());
            let all = heard.alternatives.iter().map(|a| a.probability);
            assert!(all.chain(heard.words.iter().map(|w| w.confidence)).all(|p| (0.0..=1.0).contains(&p)));
        }
        assert!(of_readings(Vec::new()).words.is_empty());
    }

    #[test]
    fn a_turn_in_two_parts_has_the_readings_of_both() {
        let mut done = of_readings(vec![(words("call anna"), 1.0), (words("call hannah"), 0.0)]);
        append(&mut done, of_readings(vec![(words("now"), 1.0), (words("no"), 0.0)]));
        assert_eq!(done.text(), "call anna now");
        let others: Vec<String> = done.alternatives.iter().map(Reading::text).collect();
        assert_eq!(others, ["call hannah now", "call anna no"]);
    }
}
