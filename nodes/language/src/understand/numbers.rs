//! Numbers in spoken English, in figures and in words, with their units.
//!
//! ```
//! use auriga_language::understand::numbers::{Unit, numbers};
//!
//! let found = numbers("You can go two hundred and twelve kilometres.");
//! assert_eq!((found[0].value, found[0].unit), (212.0, Unit::Kilometres));
//! assert!(found[0].is_rounded(212.4));
//! ```

use auriga_number_words::parse::{cardinal, small};

/// The unit of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// km/h
    KilometresPerHour,
    /// km
    Kilometres,
    /// m
    Metres,
    /// %
    Percent,
    /// Degrees Celsius.
    Degrees,
    /// s
    Seconds,
    /// bar
    Bar,
    /// Any other unit, or none.
    None,
}

/// A number of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number {
    /// The value; not a number if the figures are not a plain decimal number.
    pub value: f64,
    /// Digits after the decimal point.
    pub decimals: u32,
    /// The unit in which it is said.
    pub unit: Unit,
}

impl Number {
    /// Whether this is `exact`, rounded to as many decimals.
    pub fn is_rounded(&self, exact: f64) -> bool {
        let step = 0.1f64.powi(self.decimals.min(9) as i32);
        (self.value - exact).abs() <= step / 2.0 + 1e-6
    }
}

/// All numbers of a text, in order. A figure next to letters ("A7") counts as well.
pub fn numbers(text: &str) -> Vec<Number> {
    let words = words(text);
    let mut found = Vec::new();
    let mut at = 0;
    while at < words.len() {
        match number_at(&words[at..]) {
            Some((value, decimals, length)) => {
                let unit = unit_at(&words[at + length..]);
                // "one" is a pronoun as well ("another one"): without a unit it is not a number.
                let pronoun = length == 1 && words[at] == "one" && unit == Unit::None;
                if !pronoun {
                    found.push(Number { value, decimals, unit });
                }
                at += length;
            }
            None => at += 1,
        }
    }
    found
}

/// Splits a text into lower-case words, figures and the signs of units; each sign is a word of its own.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut previous = Class::Gap;
    let characters: Vec<char> = text.to_lowercase().chars().collect();
    for (i, &c) in characters.iter().enumerate() {
        let next_is_digit = characters.get(i + 1).is_some_and(char::is_ascii_digit);
        let class = match c {
            _ if c.is_numeric() => Class::Figure,
            '.' | ',' if previous == Class::Figure && next_is_digit => Class::Figure,
            '-' | '−' if previous == Class::Gap && next_is_digit => Class::Sign,
            '%' | '°' | '/' => Class::Sign,
            _ if c.is_alphabetic() => Class::Letter,
            _ => Class::Gap,
        };
        let joins = class == previous && matches!(class, Class::Figure | Class::Letter);
        match words.last_mut() {
            Some(word) if joins => word.push(c),
            _ if class != Class::Gap => words.push(c.to_string()),
            _ => {}
        }
        previous = class;
    }
    words
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Figure,
    Letter,
    Sign,
    Gap,
}

/// The number that begins here, its decimals and how many words it takes.
fn number_at(words: &[String]) -> Option<(f64, u32, usize)> {
    let first = words.first()?;
    if matches!(first.as_str(), "minus" | "-" | "−") {
        let (value, decimals, length) = number_at(words.get(1..)?)?;
        return Some((-value, decimals, length + 1));
    }
    if first.chars().next()?.is_numeric() {
        return Some(figures(first));
    }
    let (mut length, whole) = cardinal(words)?;
    let after: Vec<&str> = words[length..].iter().take(3).map(String::as_str).collect();
    if let ["and", "a", "half"] = after[..] {
        return Some((whole as f64 + 0.5, 1, length + 3));
    }
    let mut decimals = String::new();
    if words.get(length).is_some_and(|w| w == "point") {
        let digits = words[length + 1..].iter().map_while(|w| small(w).filter(|v| *v < 10));
        decimals = digits.map(|d| d.to_string()).collect();
        length += if decimals.is_empty() { 0 } else { 1 + decimals.len() };
    }
    let count = decimals.len() as u32;
    let fraction: f64 = format!("0.{decimals}0").parse().unwrap_or(0.0);
    Some((whole as f64 + fraction, count, length))
}

/// "21", "21.5", "1,200". Anything else (digits of other scripts, 1.2.3) becomes not-a-number, which equals nothing.
fn figures(word: &str) -> (f64, u32, usize) {
    let plain = word.replace(',', "");
    let decimals = plain.split_once('.').map_or(0, |(_, d)| d.len() as u32);
    (plain.parse().unwrap_or(f64::NAN), decimals, 1)
}

fn unit_at(words: &[String]) -> Unit {
    let is = |at: usize, any: &[&str]| words.get(at).is_some_and(|w| any.contains(&w.as_str()));
    if is(0, &["kilometre", "kilometres", "kilometer", "kilometers", "km"]) {
        let per_hour = is(1, &["/", "per", "an"]) && is(2, &["h", "hour"]);
        return if per_hour { Unit::KilometresPerHour } else { Unit::Kilometres };
    }
    match () {
        _ if is(0, &["kmh", "kph"]) => Unit::KilometresPerHour,
        _ if is(0, &["metre", "metres", "meter", "meters", "m"]) => Unit::Metres,
        _ if is(0, &["percent", "%"]) || (is(0, &["per"]) && is(1, &["cent"])) => Unit::Percent,
        _ if is(0, &["degree", "degrees", "°"]) => Unit::Degrees,
        _ if is(0, &["second", "seconds", "s"]) => Unit::Seconds,
        _ if is(0, &["bar"]) => Unit::Bar,
        _ => Unit::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use auriga_number_words::spell;
    use proptest::prelude::*;

    fn values(text: &str) -> Vec<(f64, Unit)> {
        numbers(text).iter().map(|n| (n.value, n.unit)).collect()
    }

    #[test]
    fn figures_and_words_are_parsed_with_their_units() {
        use Unit::*;
        for (text, expected) in [
            ("you can go 212 kilometres.", vec![(212.0, Kilometres)]),
            ("about two hundred and twelve km", vec![(212.0, Kilometres)]),
            ("We do 50 km/h, fifty kilometres per hour", vec![(50.0, KilometresPerHour), (50.0, KilometresPerHour)]),
            ("twenty one degrees, 21°, minus five degrees", vec![(21.0, Degrees), (21.0, Degrees), (-5.0, Degrees)]),
            ("a battery of 64% or 64 percent", vec![(64.0, Percent), (64.0, Percent)]),
            ("1,200 metres and one point five seconds", vec![(1200.0, Metres), (1.5, Seconds)]),
            ("a hundred metres; two thousand and six", vec![(100.0, Metres), (2006.0, None)]),
            ("one two three", vec![(2.0, None), (3.0, None)]),
            ("A7 by 3-4", vec![(7.0, None), (3.0, None), (4.0, None)]),
            ("-5.25", vec![(-5.25, None)]),
            ("no number, another one, at once, a kilometre", vec![]),
            ("twenty two and a half degrees", vec![(22.5, Degrees)]),
            ("one kilometre", vec![(1.0, Kilometres)]),
        ] {
            assert_eq!(values(text), expected, "{text}");
        }
    }

    #[test]
    fn an_unusual_figure_equals_no_number() {
        for text in ["1.2.3", "٣", "1²"] {
            let n = numbers(text);
            assert!(!n.is_empty() && n.iter().any(|n| !n.is_rounded(1.0) && !n.is_rounded(3.0)), "{text}: {n:?}");
        }
    }

    #[test]
    fn rounding_follows_the_number_of_decimals() {
        let said = |text| numbers(text)[0];
        assert!(said("212").is_rounded(211.6) && !said("212").is_rounded(211.4));
        assert!(said("1.5").is_rounded(1.46) && !said("1.5").is_rounded(1.4));
        assert!(!said("5").is_rounded(f64::NAN));
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_without_panic(text in "\\PC{0,60}") {
            numbers(&text);
        }

        #[test]
        fn numbers_below_a_million_in_figures_and_in_words_are_parsed(n in 0u32..1_000_000) {
            prop_assert_eq!(numbers(&format!("{n} km"))[0].value, f64::from(n));
            let spoken = spell::cardinal(n.into()).replace('-', " ");
            let found = numbers(&format!("{spoken} metres"));
            prop_assert_eq!(found.len(), 1, "{}", &spoken);
            prop_assert_eq!(found[0].value, f64::from(n), "{}", &spoken);
        }
    }
}
