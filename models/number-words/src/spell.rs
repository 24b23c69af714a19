//! Numbers in words, as a voice says them: British English.

use crate::{SMALL, TENS};

const SCALES: [(u64, &str); 3] = [(1_000_000_000, "billion"), (1_000_000, "million"), (1_000, "thousand")];
/// From here on a number is read digit by digit.
const LARGEST: u64 = 1_000_000_000_000;

/// 212: "two hundred and twelve".
pub fn cardinal(n: u64) -> String {
    if n >= LARGEST {
        return digits(&n.to_string());
    }
    let (mut rest, mut parts) = (n, Vec::new());
    for (scale, name) in SCALES {
        if rest >= scale {
            parts.push(format!("{} {name}", below_thousand(rest / scale)));
            rest %= scale;
        }
    }
    match (rest, parts.is_empty()) {
        (0, false) => {}
        (1..100, false) => parts.push(format!("and {}", below_thousand(rest))),
        _ => parts.push(below_thousand(rest)),
    }
    parts.join(" ")
}

fn below_thousand(n: u64) -> String {
    match n {
        0..20 => SMALL[n as usize].into(),
        20..100 if n.is_multiple_of(10) => TENS[(n / 10 - 2) as usize].into(),
        20..100 => format!("{}-{}", TENS[(n / 10 - 2) as usize], SMALL[(n % 10) as usize]),
        _ if n.is_multiple_of(100) => format!("{} hundred", below_thousand(n / 100)),
        _ => format!("{} hundred and {}", below_thousand(n / 100), below_thousand(n % 100)),
    }
}

/// "007": "zero zero seven".
pub fn digits(text: &str) -> String {
    let words: Vec<&str> = text.chars().filter_map(|c| c.to_digit(10)).map(|d| SMALL[d as usize]).collect();
    words.join(" ")
}

/// 23: "twenty-third".
pub fn ordinal(n: u64) -> String {
    let cardinal = cardinal(n);
    let at = cardinal.rfind([' ', '-']).map_or(0, |i| i + 1);
    let (head, last) = cardinal.split_at(at);
    let last = match last {
        "one" => "first".into(),
        "two" => "second".into(),
        "three" => "third".into(),
        "five" => "fifth".into(),
        "eight" => "eighth".into(),
        "nine" => "ninth".into(),
        "twelve" => "twelfth".into(),
        tens if tens.ends_with('y') => format!("{}ieth", &tens[..tens.len() - 1]),
        other => format!("{other}th"),
    };
    format!("{head}{last}")
}

/// 1984: "nineteen eighty-four"; 2005: "two thousand and five".
pub fn year(n: u64) -> String {
    match (n / 100, n % 100) {
        (11..=19 | 21..=99, 0) => format!("{} hundred", cardinal(n / 100)),
        (11..=19 | 21..=99, low @ 1..10) => format!("{} oh {}", cardinal(n / 100), cardinal(low)),
        (11..=19 | 21..=99, low) | (20, low @ 10..) => format!("{} {}", cardinal(n / 100), cardinal(low)),
        _ => cardinal(n),
    }
}

/// A number by its written digits: those before the point, without thousands separators, and those after it.
/// "21.5": "twenty-one point five".
pub fn decimal(integer: &str, fraction: Option<&str>) -> String {
    // A number with a leading zero is a code.
    let code = integer.len() > 1 && integer.starts_with('0');
    let words = match integer.parse::<u64>() {
        Ok(n) if !code && n < LARGEST => cardinal(n),
        _ => digits(integer),
    };
    match fraction {
        Some(fraction) => format!("{words} point {}", digits(fraction)),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_read_in_british_english() {
        let read = [
            (0, "zero"),
            (13, "thirteen"),
            (40, "forty"),
            (85, "eighty-five"),
            (100, "one hundred"),
            (212, "two hundred and twelve"),
            (1_005, "one thousand and five"),
            (1_250, "one thousand two hundred and fifty"),
            (130_000, "one hundred and thirty thousand"),
            (2_000_001, "two million and one"),
        ];
        for (n, words) in read {
            assert_eq!(cardinal(n), words);
        }
        assert_eq!(digits("0491"), "zero four nine one");
        assert_eq!(decimal("21", Some("05")), "twenty-one point zero five");
        assert_eq!(decimal("007", None), "zero zero seven");
        let ordinals =
            [(1, "first"), (12, "twelfth"), (20, "twentieth"), (31, "thirty-first"), (104, "one hundred and fourth")];
        for (n, words) in ordinals {
            assert_eq!(ordinal(n), words);
        }
        let years = [
            (1984, "nineteen eighty-four"),
            (1905, "nineteen oh five"),
            (2005, "two thousand and five"),
            (2026, "twenty twenty-six"),
            (1900, "nineteen hundred"),
        ];
        for (n, words) in years {
            assert_eq!(year(n), words);
        }
    }

    proptest! {
        #[test]
        fn different_numbers_have_different_words(a in 0..LARGEST, b in 0..LARGEST) {
            prop_assert_eq!(a == b, cardinal(a) == cardinal(b));
        }
    }
}
