//! Numbers in spoken English, in figures and in words, with the unit they are said in.

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    KilometresPerHour,
    Kilometres,
    Metres,
    Percent,
    Degrees,
    Seconds,
    Bar,
    /// Anything else, and nothing.
    None,
}

/// A number of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number {
    pub value: f64,
    /// Digits after the point: 21.50 was meant to half a hundredth.
    pub decimals: u32,
    pub unit: Unit,
}

impl Number {
    /// Whether `exact` would be said like this: rounded to as many digits.
    pub fn is_rounded(&self, exact: f64) -> bool {
        let step = 0.1f64.powi(self.decimals.min(9) as i32);
        (self.value - exact).abs() <= step / 2.0 + 1e-6
    }
}

/// All numbers of a text, in their order. A figure next to letters ("A7") counts as well: what looks like a value has
/// to be one.
pub fn numbers(text: &str) -> Vec<Number> {
    let words = words(text);
    let mut found = Vec::new();
    let mut at = 0;
    while at < words.len() {
        match number_at(&words[at..]) {
            Some((value, decimals, length)) => {
                let unit = unit_at(&words[at + length..]);
                // "one" is a pronoun as well ("another one"): without a unit it says no value.
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

/// Lower-case words, figures and the signs that make units; a sign stands alone.
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
    let (whole, mut length) = cardinal(words)?;
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

/// "21", "21.5", "1,200". What is no plain number (other scripts' digits, 1.2.3) is a number that nothing equals.
fn figures(word: &str) -> (f64, u32, usize) {
    let plain = word.replace(',', "");
    let decimals = plain.split_once('.').map_or(0, |(_, d)| d.len() as u32);
    (plain.parse().unwrap_or(f64::NAN), decimals, 1)
}

/// A cardinal number in words: "twenty one", "a hundred and fifty", "two thousand".
fn cardinal(words: &[String]) -> Option<(u64, usize)> {
    let (mut total, mut part, mut length) = (0u64, None::<u64>, 0);
    while let Some(word) = words.get(length) {
        let next = words.get(length + 1).map(String::as_str);
        match word.as_str() {
            "hundred" if part.is_some_and(|p| p < 100) => part = part.map(|p| p * 100),
            "thousand" if part.is_some() => (total, part) = (total + part.unwrap_or(0) * 1000, Some(0)),
            "a" if length == 0 && matches!(next, Some("hundred" | "thousand")) => part = Some(1),
            "and" if part.is_some_and(|p| p >= 100) || (total > 0 && part == Some(0)) => {
                if next.and_then(small).is_none() {
                    break;
                }
            }
            word => match (small(word), part) {
                (Some(v), None) => part = Some(v),
                // "twenty one", "a hundred fifty", "two thousand six"; but "one two" are two numbers.
                (Some(v), Some(p)) if (p % 100 == 0 && p > 0) || (p == 0 && total > 0) => part = Some(p + v),
                (Some(v), Some(p)) if v > 0 && v < 10 && p % 10 == 0 && p % 100 >= 20 => part = Some(p + v),
                _ => break,
            },
        }
        length += 1;
    }
    part.map(|p| (total + p, length))
}

fn small(word: &str) -> Option<u64> {
    auriga_lm::intent::number_words::small(word)
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
    use proptest::prelude::*;

    fn values(text: &str) -> Vec<(f64, Unit)> {
        numbers(text).iter().map(|n| (n.value, n.unit)).collect()
    }

    #[test]
    fn figures_and_words_are_read_with_their_units() {
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
            ("one kilometre", vec![(1.0, Kilometres)]),
        ] {
            assert_eq!(values(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_plain_number_equals_nothing() {
        for text in ["1.2.3", "٣", "1²"] {
            let n = numbers(text);
            assert!(!n.is_empty() && n.iter().any(|n| !n.is_rounded(1.0) && !n.is_rounded(3.0)), "{text}: {n:?}");
        }
    }

    #[test]
    fn rounding_goes_by_the_digits_said() {
        let said = |text| numbers(text)[0];
        assert!(said("212").is_rounded(211.6) && !said("212").is_rounded(211.4));
        assert!(said("1.5").is_rounded(1.46) && !said("1.5").is_rounded(1.4));
        assert!(!said("5").is_rounded(f64::NAN));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,60}") {
            numbers(&text);
        }

        #[test]
        fn any_number_below_a_million_is_read_back(n in 0u64..1_000_000) {
            prop_assert_eq!(numbers(&format!("{n} km"))[0].value, n as f64);
            let spoken = in_words(n);
            let found = numbers(&format!("{spoken} metres"));
            prop_assert_eq!(found.len(), 1, "{}", &spoken);
            prop_assert_eq!(found[0].value, n as f64, "{}", &spoken);
        }
    }

    fn in_words(n: u64) -> String {
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
        let rest = |r: u64, link: &str| if r == 0 { String::new() } else { format!("{link}{}", in_words(r)) };
        match n {
            0..20 => SMALL[n as usize].into(),
            20..100 => format!("{}{}", TENS[(n / 10 - 2) as usize], rest(n % 10, " ")),
            100..1000 => format!("{} hundred{}", SMALL[(n / 100) as usize], rest(n % 100, " and ")),
            _ => {
                let link = if n % 1000 < 100 { " and " } else { " " };
                format!("{} thousand{}", in_words(n / 1000), rest(n % 1000, link))
            }
        }
    }
}
