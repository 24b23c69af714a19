//! Values of expressions, with Python's operations.

/// The longest text that an expression may make.
const MAX_TEXT: usize = 64 * 1024;

pub(super) type Result<T> = std::result::Result<T, &'static str>;

const TYPES: &str = "its operands have types that Python does not combine";
const OVERFLOW: &str = "a number is larger than an integer of 64 bits";
const ZERO: &str = "it divides by zero";

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Number(i64),
    Float(f64),
    Bool(bool),
}

/// Two operands as numbers of one type.
enum Pair {
    Integers(i64, i64),
    Floats(f64, f64),
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    NotIn,
}

/// Arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Plus,
    Minus,
    Times,
    Divide,
    FloorDivide,
    Modulo,
    Power,
}

impl Value {
    pub fn truth(&self) -> bool {
        match self {
            Value::Text(text) => !text.is_empty(),
            Value::Number(number) => *number != 0,
            Value::Float(number) => *number != 0.0,
            Value::Bool(bool) => *bool,
        }
    }

    /// In Python, True == 1 and False == 0.
    fn integer(&self) -> Option<i64> {
        match self {
            Value::Text(_) | Value::Float(_) => None,
            Value::Number(number) => Some(*number),
            Value::Bool(bool) => Some(i64::from(*bool)),
        }
    }

    fn float(&self) -> Option<f64> {
        match self {
            Value::Float(number) => Some(*number),
            other => other.integer().map(|number| number as f64),
        }
    }

    fn numbers(&self, other: &Value) -> Result<Pair> {
        if let (Some(a), Some(b)) = (self.integer(), other.integer()) {
            return Ok(Pair::Integers(a, b));
        }
        let (a, b) = self.float().zip(other.float()).ok_or(TYPES)?;
        Ok(Pair::Floats(a, b))
    }

    pub fn compare(&self, comparison: Comparison, other: &Value) -> Result<bool> {
        use std::cmp::Ordering::{Equal, Greater, Less};
        let order = match (self, other) {
            (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
            (Value::Text(_), _) | (_, Value::Text(_)) => None,
            (a, b) => match a.numbers(b)? {
                Pair::Integers(a, b) => Some(a.cmp(&b)),
                Pair::Floats(a, b) => a.partial_cmp(&b),
            },
        };
        let texts = matches!(self, Value::Text(_)) == matches!(other, Value::Text(_));
        match comparison {
            Comparison::Equal => Ok(order == Some(Equal)),
            Comparison::NotEqual => Ok(order != Some(Equal)),
            Comparison::In | Comparison::NotIn => match (self, other) {
                (Value::Text(part), Value::Text(all)) => Ok(all.contains(part) == (comparison == Comparison::In)),
                _ => Err(TYPES),
            },
            _ if !texts => Err(TYPES),
            Comparison::Less => Ok(order == Some(Less)),
            Comparison::LessEqual => Ok(matches!(order, Some(Less | Equal))),
            Comparison::Greater => Ok(order == Some(Greater)),
            Comparison::GreaterEqual => Ok(matches!(order, Some(Greater | Equal))),
        }
    }

    pub fn calculate(&self, operator: Operator, other: &Value) -> Result<Value> {
        match (self, operator, other) {
            (Value::Text(a), Operator::Plus, Value::Text(b)) => joined(a, b),
            (Value::Text(text), Operator::Times, count) | (count, Operator::Times, Value::Text(text)) => {
                let count = usize::try_from(count.integer().ok_or(TYPES)?).unwrap_or(0);
                let length = text.len().checked_mul(count).filter(|length| *length <= MAX_TEXT);
                length.map(|_| Value::Text(text.repeat(count))).ok_or("it makes too long a text")
            }
            (a, operator, b) => match a.numbers(b)? {
                Pair::Integers(a, b) => integers(a, operator, b),
                Pair::Floats(a, b) => floats(a, operator, b),
            },
        }
    }

    pub fn negated(&self) -> Result<Value> {
        match self {
            Value::Float(number) => Ok(Value::Float(-number)),
            other => other.integer().ok_or(TYPES)?.checked_neg().map(Value::Number).ok_or(OVERFLOW),
        }
    }

    /// Unary plus: a boolean becomes a number.
    pub fn positive(&self) -> Result<Value> {
        match self {
            Value::Float(number) => Ok(Value::Float(*number)),
            other => other.integer().map(Value::Number).ok_or(TYPES),
        }
    }

    /// The functions `int`, `float`, `str`, `bool`, `abs` and `len`, of one argument.
    pub fn call(self, name: &str) -> Result<Value> {
        match (name, &self) {
            ("str", _) => Ok(Value::Text(self.into_text())),
            ("bool", value) => Ok(Value::Bool(value.truth())),
            ("len", Value::Text(text)) => Ok(Value::Number(text.chars().count() as i64)),
            ("abs", Value::Float(number)) => Ok(Value::Float(number.abs())),
            ("abs", value) => value.integer().ok_or(TYPES)?.checked_abs().map(Value::Number).ok_or(OVERFLOW),
            ("int", Value::Text(text)) => python_int(text.trim()).map(Value::Number).ok_or("int() of no whole number"),
            ("int", Value::Float(number)) => whole(number.trunc()),
            ("int", value) => value.integer().map(Value::Number).ok_or(TYPES),
            ("float", Value::Text(text)) => python_float(text.trim()).map(Value::Float).ok_or("float() of no number"),
            ("float", value) => value.float().map(Value::Float).ok_or(TYPES),
            _ => Err("this function is not supported, or not for this value"),
        }
    }

    /// Python's `str()`.
    pub fn into_text(self) -> String {
        match self {
            Value::Text(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Float(number) => float_text(number),
            Value::Bool(bool) => if bool { "True" } else { "False" }.to_owned(),
        }
    }
}

fn joined(a: &str, b: &str) -> Result<Value> {
    if a.len() + b.len() > MAX_TEXT { Err("it makes too long a text") } else { Ok(Value::Text(format!("{a}{b}"))) }
}

fn whole(number: f64) -> Result<Value> {
    // Both bounds are exact as floats; the upper one is not an i64.
    let fits = number >= i64::MIN as f64 && number < i64::MAX as f64;
    if fits { Ok(Value::Number(number as i64)) } else { Err(OVERFLOW) }
}

fn integers(a: i64, operator: Operator, b: i64) -> Result<Value> {
    let number = match operator {
        Operator::Plus => a.checked_add(b),
        Operator::Minus => a.checked_sub(b),
        Operator::Times => a.checked_mul(b),
        Operator::Divide if b == 0 => return Err(ZERO),
        Operator::Divide => return Ok(Value::Float(a as f64 / b as f64)),
        Operator::FloorDivide | Operator::Modulo if b == 0 => return Err(ZERO),
        // Rounded down, and the remainder has the divisor's sign.
        Operator::FloorDivide => a.checked_div(b).map(|q| if a % b != 0 && (a < 0) != (b < 0) { q - 1 } else { q }),
        Operator::Modulo => Some(a.wrapping_rem(b)).map(|r| if r != 0 && (r < 0) != (b < 0) { r + b } else { r }),
        Operator::Power => match u32::try_from(b) {
            Ok(exponent) => a.checked_pow(exponent),
            Err(_) if b < 0 => return floats(a as f64, operator, b as f64),
            Err(_) if (-1..=1).contains(&a) => Some(if b % 2 == 0 { a.abs() } else { a }),
            Err(_) => None,
        },
    };
    number.map(Value::Number).ok_or(OVERFLOW)
}

fn floats(a: f64, operator: Operator, b: f64) -> Result<Value> {
    let modulo = || {
        let r = a % b;
        if r != 0.0 && (r < 0.0) != (b < 0.0) { r + b } else { r.abs().copysign(if r == 0.0 { b } else { r }) }
    };
    Ok(Value::Float(match operator {
        Operator::Plus => a + b,
        Operator::Minus => a - b,
        Operator::Times => a * b,
        Operator::Divide | Operator::FloorDivide | Operator::Modulo if b == 0.0 => return Err(ZERO),
        Operator::Divide => a / b,
        // As CPython's float_floor_div.
        Operator::FloorDivide => {
            let quotient = (a - modulo()) / b;
            let floor = quotient.floor();
            match quotient == 0.0 {
                true => 0.0_f64.copysign(a / b),
                false if quotient - floor > 0.5 => floor + 1.0,
                false => floor,
            }
        }
        Operator::Modulo => modulo(),
        Operator::Power if a == 0.0 && b < 0.0 => return Err(ZERO),
        Operator::Power if a < 0.0 && a.is_finite() && b.is_finite() && b.fract() != 0.0 => {
            return Err("a power of a negative number is complex");
        }
        Operator::Power => {
            let power = a.powf(b);
            if power.is_infinite() && a.is_finite() && b.is_finite() {
                return Err("a power is too large");
            }
            power
        }
    }))
}

/// Python's `int()` of a text.
fn python_int(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let grouped = digits.split('_').all(|group| !group.is_empty() && group.bytes().all(|b| b.is_ascii_digit()));
    grouped.then(|| text.replace('_', "").parse().ok()).flatten()
}

/// Python's `float()` of a text.
pub(super) fn python_float(text: &str) -> Option<f64> {
    let between_digits = |(i, _): (usize, &str)| {
        let digit = |b: Option<&u8>| b.is_some_and(u8::is_ascii_digit);
        i > 0 && digit(text.as_bytes().get(i - 1)) && digit(text.as_bytes().get(i + 1))
    };
    if text.match_indices('_').all(between_digits) { text.replace('_', "").parse().ok() } else { None }
}

/// Python's `repr()` of a float: the shortest digits that read back the same, in exponential form below 1e-4 and from 1e16.
fn float_text(number: f64) -> String {
    if number.is_nan() {
        return "nan".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.into();
    }
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if number == 0.0 || (-4..16).contains(&exponent) {
        return format!("{number:?}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}
