//! Text normalization for speech synthesis: numbers, units, times, dates, prices and abbreviations become words, and
//! everything that a speech synthesizer would take for markup is removed. British English.
//!
//! ```
//! use auriga_speech::output::text_normalization::normalize;
//! assert_eq!(normalize("212 km at 8:05"), "two hundred and twelve kilometres at eight oh five");
//! ```

mod units;

use auriga_number_words::spell::{cardinal, decimal, digits, ordinal, year};
use units::{CURRENCIES, Unit, unit_at};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// Abbreviations and their words. Their full stop does not end a sentence.
const ABBREVIATIONS: [(&str, &str); 14] = [
    ("e.g.", "for example"),
    ("i.e.", "that is"),
    ("etc.", "and so on"),
    ("approx.", "approximately"),
    ("ca.", "about"),
    ("vs.", "versus"),
    ("max.", "at most"),
    ("incl.", "including"),
    ("est.", "estimated"),
    ("Dr.", "Doctor"),
    ("Mr.", "Mister"),
    ("Mrs.", "Missis"),
    ("St.", "Saint"),
    ("Nr.", "number"),
];

/// Whether a text ends with an abbreviation: its full stop does not end the sentence.
pub fn ends_with_abbreviation(text: &str) -> bool {
    let last = text.rsplit(char::is_whitespace).next().unwrap_or_default();
    let last = last.trim_start_matches(|c: char| !c.is_alphanumeric());
    // "J. Smith": an initial.
    let initial = last.len() == 2 && last.starts_with(|c: char| c.is_ascii_uppercase()) && last != "I.";
    initial || (last != "etc." && ABBREVIATIONS.iter().any(|(short, _)| last == *short))
}

/// The text in words, without digits.
pub fn normalize(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut at = 0;
    while at < text.len() {
        let starts_word = !text[..at].ends_with(char::is_alphanumeric);
        let rest = &text[at..];
        let rules = [abbreviation, price, date, time, day_and_month, ordinal_number, measure, letters_and_number];
        let matched = starts_word.then(|| rules.iter().find_map(|rule| rule(rest))).flatten();
        let matched = matched.or_else(|| number_within(rest)).or_else(|| lone_unit(rest, starts_word));
        match matched {
            Some((length, words)) => {
                push_words(&mut out, &words);
                at += length;
                // "5km" like "5 km": a space between the words.
                if text[at..].starts_with(char::is_alphanumeric) {
                    out.push(' ');
                }
            }
            None => {
                let c = rest.chars().next().unwrap_or_default();
                push_char(&mut out, c);
                at += c.len_utf8();
            }
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Appends words, after a space when the text ends with a word.
fn push_words(out: &mut String, words: &str) {
    if out.ends_with(|c: char| c.is_alphanumeric() || c == ',') {
        out.push(' ');
    }
    out.push_str(words);
}

/// Appends a character that no rule matched. Letters and punctuation are kept; markup is removed (espeak takes double
/// brackets for phonemes).
fn push_char(out: &mut String, c: char) {
    match c {
        '&' => push_words(out, "and "),
        '+' => push_words(out, "plus "),
        '=' => push_words(out, "equals "),
        '²' => push_words(out, "squared"),
        '³' => push_words(out, "cubed"),
        '½' => push_words(out, "a half"),
        '¼' => push_words(out, "a quarter"),
        '¾' => push_words(out, "three quarters"),
        '–' | '—' => out.push_str(", "),
        '*' | '_' | '#' | '`' | '~' | '|' | '\\' | '<' | '>' | '[' | ']' | '{' | '}' | '^' | '/' | ':' => out.push(' '),
        c if c.is_numeric() || c.is_control() => out.push(' '),
        c => out.push(c),
    }
}

/// What a rule matches at the beginning of a text: its length in bytes and the words for it.
type Match = Option<(usize, String)>;

fn abbreviation(text: &str) -> Match {
    let (short, long) = ABBREVIATIONS.iter().find(|(short, _)| text.starts_with(short))?;
    let rest = &text[short.len()..];
    // At the end of the text the full stop also ends the sentence.
    let ends = rest.trim().is_empty();
    (ends || !rest.starts_with(char::is_alphanumeric))
        .then(|| (short.len(), format!("{long}{}", if ends { "." } else { "" })))
}

/// A written number: digits, possibly with thousands separators, and the digits after a decimal point.
struct Number<'a> {
    /// Digits before the point, without separators.
    integer: String,
    fraction: Option<&'a str>,
    length: usize,
}

fn number(text: &str) -> Option<Number<'_>> {
    let run = digit_run(text);
    if run.is_empty() {
        return None;
    }
    let (mut integer, mut length) = (run.to_owned(), run.len());
    if run.len() <= 3 {
        while let Some(group) = text[length..].strip_prefix(',').map(digit_run)
            && group.len() == 3
        {
            integer.push_str(group);
            length += 4;
        }
    }
    let fraction = text[length..].strip_prefix('.').map(digit_run).filter(|f| !f.is_empty());
    length += fraction.map_or(0, |f| f.len() + 1);
    Some(Number { integer, fraction, length })
}

impl Number<'_> {
    fn words(&self) -> String {
        decimal(&self.integer, self.fraction)
    }
    fn is_one(&self) -> bool {
        self.integer == "1" && self.fraction.is_none()
    }
}

fn digit_run(text: &str) -> &str {
    &text[..text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len()]
}

/// An integer of at most this many digits at the beginning of a text, and its length.
fn integer(text: &str, most: usize) -> Option<(u64, usize)> {
    let run = digit_run(text);
    (run.len() <= most).then(|| run.parse().ok()).flatten().map(|n| (n, run.len()))
}

fn ends_here(text: &str) -> bool {
    !text.starts_with(char::is_alphanumeric)
}

/// "€3.50", "$5/kWh".
fn price(text: &str) -> Match {
    let currency = CURRENCIES.iter().find(|c| text.starts_with(c.symbol))?;
    let begins = currency.symbol.len();
    let begins = begins + (text[begins..].len() - text[begins..].trim_start_matches(' ').len());
    let amount = number(&text[begins..])?;
    let end = begins + amount.length;
    let (length, per) = per_unit(&text[end..]);
    Some((end + length, currency.words(&amount.integer, amount.fraction) + &per))
}

/// "/kWh" after an amount.
fn per_unit(text: &str) -> (usize, String) {
    let unit = text.strip_prefix('/').and_then(unit_at);
    unit.map_or((0, String::new()), |u| (1 + u.symbol.len(), format!(" per {}", u.one)))
}

/// "2026-11-25", "25.11.2026", "25/11/2026".
fn date(text: &str) -> Match {
    let (first, a) = integer(text, 4)?;
    let mark = text[a..].chars().next().filter(|c| matches!(c, '-' | '.' | '/'))?;
    let (second, b) = integer(&text[a + 1..], 2)?;
    let third_at = a + 1 + b;
    let (third, c) = integer(text[third_at..].strip_prefix(mark)?, 4)?;
    let length = third_at + 1 + c;
    let (y, m, d) = match (a, b, c, mark) {
        (4, 2, 2, '-') => (first, second, third),
        (1..=2, 1..=2, 4, '.' | '/') => (third, second, first),
        _ => return None,
    };
    let month = MONTHS.get(usize::try_from(m).ok()?.checked_sub(1)?)?;
    ((1..=31).contains(&d) && ends_here(&text[length..]))
        .then(|| (length, format!("the {} of {month} {}", ordinal(d), year(y))))
}

/// "08:30", "14:00:05".
fn time(text: &str) -> Match {
    let two = |text: &str| integer(text, 2).filter(|&(n, length)| length == 2 && n < 60);
    let (hour, h) = integer(text, 2).filter(|&(n, length)| length > 0 && n < 24)?;
    let (minute, _) = two(text[h..].strip_prefix(':')?)?;
    let mut length = h + 3;
    let mut words = match (hour, minute) {
        (0, 0) => "midnight".into(),
        (1..=12, 0) => format!("{} o'clock", cardinal(hour)),
        (_, 0) => format!("{} hundred", cardinal(hour)),
        (_, 1..10) => format!("{} oh {}", cardinal(hour), cardinal(minute)),
        _ => format!("{} {}", cardinal(hour), cardinal(minute)),
    };
    if let Some((second, _)) = text[length..].strip_prefix(':').and_then(two) {
        words += &format!(" and {} second{}", cardinal(second), if second == 1 { "" } else { "s" });
        length += 3;
    }
    ends_here(&text[length..]).then_some((length, words))
}

/// "25 November", "25 November 2026".
fn day_and_month(text: &str) -> Match {
    let (day, length) = integer(text, 2).filter(|(n, _)| (1..=31).contains(n))?;
    let rest = text[length..].strip_prefix(' ')?;
    let month = MONTHS.iter().find(|m| rest.starts_with(**m) && ends_here(&rest[m.len()..]))?;
    let mut length = length + 1 + month.len();
    let mut words = format!("the {} of {month}", ordinal(day));
    if let Some((y, 4)) = text[length..].strip_prefix(' ').and_then(|rest| integer(rest, 4))
        && ends_here(&text[length + 5..])
    {
        words += &format!(" {}", year(y));
        length += 5;
    }
    Some((length, words))
}

/// "1st", "23rd".
fn ordinal_number(text: &str) -> Match {
    let (n, length) = integer(text, 9)?;
    let suffix = ["st", "nd", "rd", "th"].into_iter().find(|s| text[length..].starts_with(s))?;
    ends_here(&text[length + suffix.len()..]).then(|| (length + suffix.len(), ordinal(n)))
}

/// "212 km", "-3.5 °C", "5-8 km/h", "3.50 €", and numbers alone.
fn measure(text: &str) -> Match {
    let minus = ["-", "−"].into_iter().find(|m| text.starts_with(m));
    let signed = &text[minus.map_or(0, str::len)..];
    let first = number(signed)?;
    let mut length = minus.map_or(0, str::len) + first.length;
    let mut words = format!("{}{}", if minus.is_some() { "minus " } else { "" }, first.words());
    let mut one = first.is_one();
    let mut last = first;
    let range = ["-", "–"].into_iter().find_map(|m| text[length..].strip_prefix(m).map(|rest| (m.len(), rest)));
    if let Some((mark, rest)) = range
        && let Some(second) = number(rest)
        && ends_range(&rest[second.length..])
    {
        words += &format!(" to {}", second.words());
        length += mark + second.length;
        (one, last) = (false, second);
    }
    let gap = text[length..].strip_prefix([' ', '\u{a0}', '\u{202f}']).map_or(0, |r| text[length..].len() - r.len());
    let unit_text = &text[length + gap..];
    if let Some(currency) = CURRENCIES.iter().find(|c| unit_text.starts_with(c.symbol)) {
        let end = length + gap + currency.symbol.len();
        let (more, per) = per_unit(&text[end..]);
        // A range has no cents.
        let amount = if words == last.words() {
            currency.words(&last.integer, last.fraction)
        } else {
            format!("{words} {}", currency.many)
        };
        return Some((end + more, amount + &per));
    }
    if let Some(unit) = unit_at(unit_text) {
        return Some((length + gap + unit.symbol.len(), format!("{words} {}", unit.name(one))));
    }
    Some((length, words))
}

/// Whether a range ends here; else it is a telephone number or a date.
fn ends_range(text: &str) -> bool {
    !text.starts_with(['-', '–', '/', ':']) && !text.starts_with(|c: char| c.is_ascii_digit())
}

/// "A8", "E10", "CO2", "M25": one to three letters and a number.
fn letters_and_number(text: &str) -> Match {
    let letters = text.len() - text.trim_start_matches(|c: char| c.is_ascii_uppercase()).len();
    let run = digit_run(&text[letters..]);
    let length = letters + run.len();
    if !(1..=3).contains(&letters) || run.is_empty() || !ends_here(&text[length..]) {
        return None;
    }
    let spelled: Vec<String> = text[..letters].chars().map(String::from).collect();
    let words = if run.len() <= 2 { decimal(run, None) } else { digits(run) };
    Some((length, format!("{} {words}", spelled.join(" "))))
}

/// A number within a word ("ab3c"), or one that no other rule matched.
fn number_within(text: &str) -> Match {
    let run = digit_run(text);
    (!run.is_empty()).then(|| (run.len(), format!("{} ", decimal(run, None))))
}

/// "in km/h": a unit without its number.
fn lone_unit(text: &str, starts_word: bool) -> Match {
    let unit: &Unit = unit_at(text).filter(|u| u.alone && starts_word)?;
    Some((unit.symbol.len(), unit.many.into()))
}

#[cfg(test)]
mod tests;
