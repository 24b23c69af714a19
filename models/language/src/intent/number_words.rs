//! Numbers in words: "twenty one" → 21.

const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

/// The first whole number that the words say, and how many of them are before it and in it: digits, or English words
/// below a thousand.
pub fn first(words: &[&str]) -> Option<(usize, usize, i64)> {
    (0..words.len()).find_map(|from| number(&words[from..]).map(|(count, value)| (from, count, value)))
}

/// All numbers that the words say.
pub fn all(words: &[&str]) -> Vec<i64> {
    let (mut rest, mut found) = (words, Vec::new());
    while let Some((before, count, value)) = first(rest) {
        found.push(value);
        rest = &rest[before + count..];
    }
    found
}

/// The number that the words begin with, and of how many words it is.
fn number(words: &[&str]) -> Option<(usize, i64)> {
    if let ["minus", rest @ ..] = words {
        return number(rest).map(|(count, value)| (count + 1, -value));
    }
    let (mut count, mut value) = below_hundred(words)?;
    if (1..10).contains(&value) && words.get(count) == Some(&"hundred") {
        count += 1;
        value *= 100;
        let and = usize::from(words.get(count) == Some(&"and"));
        if let Some((more, rest)) = below_hundred(&words[count + and..]) {
            count += and + more;
            value += rest;
        }
    }
    Some((count, value))
}

fn below_hundred(words: &[&str]) -> Option<(usize, i64)> {
    let word = *words.first()?;
    if !word.is_empty() && word.len() <= 4 && word.bytes().all(|b| b.is_ascii_digit()) {
        return word.parse().ok().map(|value| (1, value));
    }
    let value = i64::from(small(word)?);
    match words.get(1).and_then(|w| small(w)) {
        Some(ones @ 1..=9) if value >= 20 => Some((2, value + i64::from(ones))),
        _ => Some((1, value)),
    }
}

/// What one word says: 0 to 19, and the tens up to 90.
pub fn small(word: &str) -> Option<u32> {
    let at = |list: &[&str]| list.iter().position(|w| *w == word).map(|i| i as u32);
    at(&SMALL).or_else(|| at(&TENS).map(|i| 20 + 10 * i))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> Vec<i64> {
        all(&text.split(' ').collect::<Vec<_>>())
    }

    #[test]
    fn numbers_are_read_from_words_and_digits() {
        assert_eq!(of("set it to twenty one degrees"), [21]);
        assert_eq!(of("twenty twenty two 19 forty zero"), [20, 22, 19, 40, 0]);
        assert_eq!(of("one hundred and five or two hundred"), [105, 200]);
        assert_eq!(of("minus five"), [-5]);
        assert!(of("nothing of the kind").is_empty());
    }

    proptest! {
        #[test]
        fn any_words_are_read_without_panic(words in prop::collection::vec("[a-z0-9]{0,6}|hundred|and|twenty|minus|one", 0..12)) {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            if let Some((before, count, _)) = first(&words) {
                prop_assert!(count > 0 && before + count <= words.len());
            }
        }
    }
}
