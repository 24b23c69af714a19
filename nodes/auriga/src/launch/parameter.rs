//! Values of `<param>`, read as ROS 2 does. Without a `type`, YAML's rules decide (PyYAML's, which is YAML 1.1: `yes` is
//! true); `type="str"` takes the text as it is.

use super::error::{ParameterError, SubstitutionError};
use std::fmt;

/// A parameter's value. Its `Display` form is read the same by YAML, TOML and the command line of the nodes.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A string.
    Text(String),
    /// An integer.
    Integer(i64),
    /// A number with a fraction or exponent.
    Float(f64),
    /// A boolean.
    Bool(bool),
    /// A list of values of one kind.
    List(Vec<Value>),
}

impl Value {
    /// The value of an untyped `<param>`; the text itself where it is no YAML scalar or list.
    pub fn from_text(text: &str) -> Value {
        any(text).unwrap_or_else(|_| Value::Text(text.to_owned()))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) if scalar(text) == Ok(Value::Text(text.clone())) && !text.starts_with(['"', '\'']) => {
                f.write_str(text)
            }
            // Unquoted, it would be read as another type. JSON's quoting is valid YAML and TOML.
            Value::Text(text) => f.write_str(&serde_json::Value::from(text.as_str()).to_string()),
            Value::Integer(number) => write!(f, "{number}"),
            // TOML writes inf and nan; YAML's forms have a dot, which the nodes do not read.
            Value::Float(number) => write!(f, "{number:?}"),
            Value::Bool(bool) => write!(f, "{bool}"),
            Value::List(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        f.write_str(", ")?;
                    }
                    match item {
                        Value::Text(text) => f.write_str(&serde_json::Value::from(text.as_str()).to_string())?,
                        other => write!(f, "{other}")?,
                    }
                }
                f.write_str("]")
            }
        }
    }
}

/// The attribute `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    /// By YAML's rules.
    Any,
    Text,
    Integer,
    Float,
    Bool,
    ListOf(Scalar),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    Text,
    Integer,
    Float,
    Bool,
}

/// Names of the types, as ROS 2 writes them.
pub(super) const TYPES: &str =
    "one of str, int, float, bool, list_of_str, list_of_int, list_of_float, list_of_bool, yaml";

impl Type {
    pub fn by_name(name: &str) -> Option<Type> {
        Some(match name {
            "yaml" => Type::Any,
            "str" => Type::Text,
            "int" => Type::Integer,
            "float" => Type::Float,
            "bool" => Type::Bool,
            "list_of_str" => Type::ListOf(Scalar::Text),
            "list_of_int" => Type::ListOf(Scalar::Integer),
            "list_of_float" => Type::ListOf(Scalar::Float),
            "list_of_bool" => Type::ListOf(Scalar::Bool),
            _ => return None,
        })
    }
}

/// Replaces the `$(…)` of a text; the second value is whether there were any.
pub(super) type Expand<'a> = &'a dyn Fn(&str) -> Result<(String, bool), SubstitutionError>;

/// The value of `text`. As in ROS 2, without a type the text is read as YAML before substitutions are replaced, and each
/// replaced one is read as YAML again. Numbers are those of Python's `int()` and `float()`.
pub(super) fn value(text: &str, wanted: Type, expand: Expand<'_>) -> Result<Value, ParameterError> {
    match wanted {
        Type::Text => Ok(Value::Text(expand(text)?.0)),
        Type::Integer => coerced(&expand(text)?.0, Scalar::Integer),
        Type::Float => coerced(&expand(text)?.0, Scalar::Float),
        Type::Bool => coerced(&expand(text)?.0, Scalar::Bool),
        Type::Any => match any(text)? {
            Value::Text(text) => item(&text, expand, any).and_then(uniform),
            Value::List(items) => {
                let expanded = items.into_iter().map(|value| match value {
                    Value::Text(text) => item(&text, expand, scalar),
                    other => Ok(other),
                });
                uniform(Value::List(expanded.collect::<Result<_, _>>()?))
            }
            other => Ok(other),
        },
        Type::ListOf(wanted) => {
            let Value::List(items) = any(text)? else { return Err(wrong(text, "a list as written: [a, b]")) };
            if items.is_empty() && wanted != Scalar::Text {
                // ROS 2 takes an empty list as a list of strings.
                return Err(wrong(text, "a list with items of its type"));
            }
            let expanded = items.into_iter().map(|value| match value {
                Value::Text(text) => coerced(&expand(&text)?.0, wanted),
                Value::Integer(_) if wanted == Scalar::Integer => Ok(value),
                Value::Float(_) if wanted == Scalar::Float => Ok(value),
                Value::Bool(_) if wanted == Scalar::Bool => Ok(value),
                _ => Err(wrong(text, "a list with items of its type")),
            });
            Ok(Value::List(expanded.collect::<Result<_, _>>()?))
        }
    }
}

fn wrong(text: &str, expected: &'static str) -> ParameterError {
    ParameterError::Type { text: text.to_owned(), expected }
}

/// Reads a text as YAML again when it had substitutions.
fn item(
    text: &str,
    expand: Expand<'_>,
    read: fn(&str) -> Result<Value, ParameterError>,
) -> Result<Value, ParameterError> {
    let (expanded, replaced) = expand(text)?;
    if replaced { read(&expanded) } else { Ok(Value::Text(expanded)) }
}

fn uniform(value: Value) -> Result<Value, ParameterError> {
    let mixed = matches!(&value, Value::List(items)
        if items.windows(2).any(|pair| std::mem::discriminant(&pair[0]) != std::mem::discriminant(&pair[1])));
    if mixed { Err(wrong(&value.to_string(), "a list whose items are of one type")) } else { Ok(value) }
}

fn coerced(text: &str, wanted: Scalar) -> Result<Value, ParameterError> {
    match wanted {
        Scalar::Text => Ok(Value::Text(text.to_owned())),
        Scalar::Integer => python_int(text.trim()).map(Value::Integer).ok_or_else(|| wrong(text, "a whole number")),
        Scalar::Float => python_float(text.trim()).map(Value::Float).ok_or_else(|| wrong(text, "a number")),
        Scalar::Bool => match text {
            "1" => Ok(Value::Bool(true)),
            "0" => Ok(Value::Bool(false)),
            _ => match scalar(text) {
                Ok(Value::Bool(bool)) => Ok(Value::Bool(bool)),
                _ => Err(wrong(text, "true or false")),
            },
        },
    }
}

/// A scalar or a list of scalars, by YAML's rules. An empty text is one.
fn any(text: &str) -> Result<Value, ParameterError> {
    let trimmed = text.trim_matches(' ');
    if text.is_empty() {
        return Ok(Value::Text(String::new()));
    }
    match trimmed.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
        Some(inner) => list(text, inner),
        None => scalar(text),
    }
}

fn unsupported(text: &str) -> ParameterError {
    ParameterError::Yaml(text.to_owned())
}

fn list(text: &str, mut rest: &str) -> Result<Value, ParameterError> {
    let mut items = Vec::new();
    rest = rest.trim_matches(' ');
    while !rest.is_empty() {
        let quote = rest.chars().next().filter(|c| ['"', '\''].contains(c));
        let length = match quote {
            Some(quote) => 2 + rest[1..].find(quote).ok_or_else(|| unsupported(text))?,
            None => rest.find(',').unwrap_or(rest.len()),
        };
        let (item, after) = rest.split_at(length);
        if quote.is_none() && item.contains(['[', ']', '{', '}']) {
            return Err(unsupported(text));
        }
        items.push(scalar(item)?);
        rest = after.trim_start_matches(' ');
        if let Some(more) = rest.strip_prefix(',') {
            rest = more.trim_start_matches(' ');
        } else if !rest.is_empty() {
            return Err(unsupported(text));
        }
    }
    Ok(Value::List(items))
}

/// A YAML scalar, plain or in quotes.
fn scalar(text: &str) -> Result<Value, ParameterError> {
    let plain = text.trim_matches(' ');
    if let Some(quote) = plain.chars().next().filter(|c| ['"', '\''].contains(c)) {
        // Escapes (and '' for ') are not supported: type="str" is the alternative.
        let inner = plain[1..].strip_suffix(quote).filter(|inner| !inner.contains([quote, '\\', '\t']));
        return inner.map(|inner| Value::Text(inner.to_owned())).ok_or_else(|| unsupported(text));
    }
    let first = plain.chars().next();
    let after_first = plain.chars().nth(1);
    let indicator = match first {
        Some('-' | '?' | ':') => after_first.is_none_or(|c| c == ' ') || plain.starts_with("---"),
        Some(c) => ",[]{}#&*!|>%@`".contains(c) || plain.starts_with("..."),
        None => true,
    };
    let structure = plain.contains(": ") || plain.ends_with(':') || plain.contains(" #");
    if indicator || structure || plain.contains(|c: char| c.is_control()) {
        return Err(unsupported(text));
    }
    if ["~", "null", "Null", "NULL", "<<", "="].contains(&plain) || is_date(plain) {
        return Err(unsupported(text));
    }
    if let Some(bool) = bool(plain) {
        return Ok(Value::Bool(bool));
    }
    if looks_like_int(plain) {
        return int(plain).map(Value::Integer).ok_or_else(|| unsupported(text));
    }
    Ok(float(plain).map_or_else(|| Value::Text(plain.to_owned()), Value::Float))
}

/// YAML 1.1's booleans, in lower case, upper case and capitalised.
pub(super) fn bool(text: &str) -> Option<bool> {
    let lower = text.to_ascii_lowercase();
    let capitalised = text.get(1..).is_some_and(|rest| rest == &lower[1..]);
    if text != lower && text != lower.to_ascii_uppercase() && !capitalised {
        return None;
    }
    match lower.as_str() {
        "yes" | "true" | "on" => Some(true),
        "no" | "false" | "off" => Some(false),
        _ => None,
    }
}

fn unsigned(text: &str) -> (&str, i64) {
    match text.strip_prefix('-') {
        Some(rest) => (rest, -1),
        None => (text.strip_prefix('+').unwrap_or(text), 1),
    }
}

fn all(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(|b| b == b'_' || allowed(b))
}

/// YAML 1.1's whole numbers: decimal, 0b, 0x, 0 and octal digits. (Sexagesimal ones are left to [`is_date`].)
fn looks_like_int(text: &str) -> bool {
    let (text, _) = unsigned(text);
    if let Some(digits) = text.strip_prefix("0b") {
        return all(digits, |b| b == b'0' || b == b'1');
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return all(digits, |b| b.is_ascii_hexdigit());
    }
    match text.strip_prefix('0') {
        Some("") => true,
        Some(digits) => all(digits, |b| (b'0'..=b'7').contains(&b)),
        None => text.starts_with(|c: char| c.is_ascii_digit()) && all(text, |b| b.is_ascii_digit()),
    }
}

fn int(text: &str) -> Option<i64> {
    let (digits, sign) = unsigned(text);
    let digits = digits.replace('_', "");
    let parsed = if let Some(binary) = digits.strip_prefix("0b") {
        i64::from_str_radix(binary, 2)
    } else if let Some(hex) = digits.strip_prefix("0x") {
        i64::from_str_radix(hex, 16)
    } else if digits.len() > 1 && digits.starts_with('0') {
        i64::from_str_radix(&digits, 8)
    } else {
        return format!("{}{digits}", if sign < 0 { "-" } else { "" }).parse().ok();
    };
    Some(sign * parsed.ok()?)
}

/// YAML 1.1's floating-point numbers: they have a point, and an exponent has a sign.
fn float(text: &str) -> Option<f64> {
    let (number, sign) = unsigned(text);
    match number.to_ascii_lowercase().as_str() {
        ".inf" => return Some(sign as f64 * f64::INFINITY),
        ".nan" if number == text => return Some(f64::NAN),
        _ => {}
    }
    let (mantissa, exponent) = match number.find(['e', 'E']) {
        Some(at) => (&number[..at], Some(&number[at + 1..])),
        None => (number, None),
    };
    let (whole, fraction) = mantissa.split_once('.')?;
    let digit = |b: u8| b.is_ascii_digit();
    let starts = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    let whole_ok = whole.is_empty() && text == number || starts(whole) && all(whole, digit);
    let fraction_ok = if whole.is_empty() {
        starts(fraction) && all(fraction, digit)
    } else {
        fraction.is_empty() || all(fraction, digit)
    };
    let exponent_ok =
        exponent.is_none_or(|e| e.starts_with(['-', '+']) && e.len() > 1 && e[1..].bytes().all(|b| b.is_ascii_digit()));
    if !(whole_ok && fraction_ok && exponent_ok) {
        return None;
    }
    number.replace('_', "").parse::<f64>().ok().map(|value| sign as f64 * value)
}

/// What YAML 1.1 reads as a date, or as a number in base 60 (`12:30`); launch files never mean that.
fn is_date(text: &str) -> bool {
    let (number, _) = unsigned(text);
    let date = number == text && text.len() >= 8 && {
        let mut parts = text.splitn(3, '-');
        let digits = |part: Option<&str>, least: usize, most: usize| {
            part.is_some_and(|p| (least..=most).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()))
        };
        let (year, month) = (digits(parts.next(), 4, 4), digits(parts.next(), 1, 2));
        year && month && parts.next().is_some_and(|day| day.starts_with(|c: char| c.is_ascii_digit()))
    };
    let mut digits = number.split(':');
    let first =
        digits.next().is_some_and(|d| d.starts_with(|c: char| c.is_ascii_digit()) && all(d, |b| b.is_ascii_digit()));
    let rest: Vec<&str> = digits.map(|d| d.split_once('.').map_or(d, |(whole, _)| whole)).collect();
    let sixtieth = |d: &&str| d.parse::<u8>().is_ok_and(|n| n < 60) && d.len() <= 2;
    let sexagesimal = first && !rest.is_empty() && rest.iter().all(sixtieth);
    date || sexagesimal
}

/// Python's `int()`.
pub(super) fn python_int(text: &str) -> Option<i64> {
    let (digits, _) = unsigned(text);
    let grouped = digits.split('_').all(|group| !group.is_empty() && group.bytes().all(|b| b.is_ascii_digit()));
    grouped.then(|| text.replace('_', "").parse().ok()).flatten()
}

/// Python's `float()`.
pub(super) fn python_float(text: &str) -> Option<f64> {
    let lone = text.split('_').skip(1).any(|after| !after.starts_with(|c: char| c.is_ascii_digit()))
        || text.split('_').rev().skip(1).any(|before| !before.ends_with(|c: char| c.is_ascii_digit()));
    if lone { None } else { text.replace('_', "").parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str, wanted: Type) -> Result<Value, ParameterError> {
        super::value(text, wanted, &|text| Ok((text.replace("$N", "7"), text.contains("$N"))))
    }

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    #[test]
    fn untyped_values_are_read_as_yaml() {
        // Each was printed by ROS 2's own launch (see tests/suite/ros2.rs).
        for (written, value) in [
            ("/dev/video0", text("/dev/video0")),
            ("", text("")),
            ("8", Value::Integer(8)),
            ("010", Value::Integer(8)),
            ("0x1F", Value::Integer(31)),
            ("-1_000", Value::Integer(-1000)),
            ("1.5", Value::Float(1.5)),
            ("1e3", text("1e3")),
            ("1.0e+3", Value::Float(1000.0)),
            ("1.2.3", text("1.2.3")),
            ("127.0.0.1:8080", text("127.0.0.1:8080")),
            ("yes", Value::Bool(true)),
            ("False", Value::Bool(false)),
            ("fAlse", text("fAlse")),
            ("'7'", text("7")),
            ("plughw:1", text("plughw:1")),
            ("gst:v4l2src device=/dev/video0 ! appsink", text("gst:v4l2src device=/dev/video0 ! appsink")),
            ("[a, 'b c']", Value::List(vec![text("a"), text("b c")])),
            ("[1, 2]", Value::List(vec![Value::Integer(1), Value::Integer(2)])),
            ("[]", Value::List(vec![])),
            ("$N", Value::Integer(7)),
            ("'$N'", Value::Integer(7)),
            ("x$N", text("x7")),
            ("[$N, 8]", Value::List(vec![Value::Integer(7), Value::Integer(8)])),
        ] {
            assert_eq!(read(written, Type::Any), Ok(value), "{written}");
        }
        for written in ["~", "a: b", "12:30", "2026-01-01", "[1, a]", "{a: b}", "# note", "*x", "- x", "\"a\\n\""] {
            assert!(read(written, Type::Any).is_err(), "{written}");
        }
    }

    #[test]
    fn typed_values_are_read_as_their_type() {
        assert_eq!(read("007", Type::Text), Ok(text("007")));
        assert_eq!(read(" 7 ", Type::Integer), Ok(Value::Integer(7)));
        assert_eq!(read("7", Type::Float), Ok(Value::Float(7.0)));
        assert_eq!(read("1", Type::Bool), Ok(Value::Bool(true)));
        for (written, wanted) in
            [("7.5", Type::Integer), ("x", Type::Float), ("2", Type::Bool), ("a", Type::ListOf(Scalar::Text))]
        {
            assert!(read(written, wanted).unwrap_err().to_string().contains(written), "{written}");
        }
    }

    proptest! {
        #[test]
        fn displayed_values_are_read_back_unchanged(written in r#"([a-z0-9.:/ '"\[\],_-]|\PC){0,24}"#) {
            if let Ok(value) = read(&written, Type::Any)
                && value == value
            {
                prop_assert_eq!(super::any(&value.to_string()).ok(), Some(value.clone()), "{}", value);
            }
        }
    }
}
