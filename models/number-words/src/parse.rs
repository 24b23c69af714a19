//! Numbers from words, as a recogniser writes them: lower case, no hyphens.

use crate::{SMALL, TENS};

/// The most digits of a number that is not in words.
const MAX_DIGITS: usize = 4;

/// The first integer in the words: the number of words before it, the number of its words, and its value. It is in digits or
/// in words, and may be preceded by "minus".
pub fn first(words: &[&str]) -> Option<(usize, usize, i64)> {
    (0..words.len()).find_map(|from| number(&words[from..]).map(|(count, value)| (from, count, value)))
}

/// All integers in the words.
pub fn all(words: &[&str]) -> Vec<i64> {
    let (mut rest, mut found) = (words, Vec::new());
    while let Some((before, count, value)) = first(rest) {
        found.push(value);
        rest = &rest[before + count..];
    }
    found
}

/// The number that the words begin with: the number of its words, and its value.
fn number(words: &[&str]) -> Option<(usize, i64)> {
    if let ["minus", rest @ ..] = words {
        return number(rest).map(|(count, value)| (count + 1, -value));
    }
    let first = *words.first()?;
    if !first.is_empty() && first.len() <= MAX_DIGITS && first.bytes().all(|b| b.is_ascii_digit()) {
        return first.parse().ok().map(|value| (1, value));
    }
    let (count, value) = cardinal(words)?;
    i64::try_from(value).ok().map(|value| (count, value))
}

/// The cardinal number that the words begin with ("twenty one", "a hundred and fifty", "two thousand"): the number of its words,
/// and its value.
///
/// ```
/// use auriga_number_words::parse::cardinal;
///
/// assert_eq!(cardinal(&["a", "hundred", "and", "five", "metres"]), Some((4, 105)));
/// assert_eq!(cardinal(&["metres"]), None);
/// ```
pub fn cardinal(words: &[impl AsRef<str>]) -> Option<(usize, u64)> {
    let word = |at: usize| words.get(at).map(AsRef::as_ref);
    let (mut total, mut part, mut count) = (0u64, None::<u64>, 0);
    while let Some(current) = word(count) {
        let next = word(count + 1);
        match current {
            "hundred" if part.is_some_and(|p| p < 100) => part = part.map(|p| p * 100),
            "thousand" if part.is_some() => {
                (total, part) = (total.saturating_add(part.unwrap_or(0) * 1000), Some(0));
            }
            "a" if count == 0 && matches!(next, Some("hundred" | "thousand")) => part = Some(1),
            "and" if part.is_some_and(|p| p >= 100) || (total > 0 && part == Some(0)) => {
                if next.and_then(small).is_none() {
                    break;
                }
            }
            current => match (small(current), part) {
                (Some(v), None) => part = Some(v),
                // "a hundred fifty", "two thousand six", "twenty one"; but "one two" are two numbers.
                (Some(v), Some(p)) if (p % 100 == 0 && p > 0) || (p == 0 && total > 0) => part = Some(p + v),
                (Some(v), Some(p)) if v > 0 && v < 10 && p % 10 == 0 && p % 100 >= 20 => part = Some(p + v),
                _ => break,
            },
        }
        count += 1;
    }
    part.map(|p| (count, total.saturating_add(p)))
}

/// The value of a single word: 0 to 19, and the tens up to 90.
pub fn small(word: &str) -> Option<u64> {
    let at = |list: &[&str]| list.iter().position(|w| *w == word).map(|i| i as u64);
    at(&SMALL).or_else(|| at(&TENS).map(|i| 20 + 10 * i))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spell;
    use proptest::prelude::*;

    fn numbers(text: &str) -> Vec<i64> {
        all(&text.split(' ').collect::<Vec<_>>())
    }

    #[test]
    fn numbers_are_read_from_words_and_digits() {
        assert_eq!(numbers("set it to twenty one degrees"), [21]);
        assert_eq!(numbers("twenty twenty two 19 forty zero"), [20, 22, 19, 40, 0]);
        assert_eq!(numbers("one hundred and five or two hundred"), [105, 200]);
        assert_eq!(numbers("a hundred and five or two thousand and six"), [105, 2006]);
        assert_eq!(numbers("minus five"), [-5]);
        assert_eq!(numbers("zero five one two"), [0, 5, 1, 2]);
        assert!(numbers("nothing of the kind, a hundredth and the ones").is_empty());
    }

    proptest! {
        #[test]
        fn any_words_are_read_without_panic(words in prop::collection::vec("[a-z0-9]{0,6}|hundred|thousand|and|twenty|minus|one|a", 0..24)) {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            if let Some((before, count, _)) = first(&words) {
                prop_assert!(count > 0 && before + count <= words.len());
            }
        }

        #[test]
        fn numbers_below_a_million_survive_a_round_trip_through_words(number in 0u32..1_000_000) {
            let text = spell::cardinal(number.into()).replace('-', " ");
            prop_assert_eq!(numbers(&text), [i64::from(number)], "{}", text);
        }
    }
}
