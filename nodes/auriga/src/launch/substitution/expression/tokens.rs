//! Splits an expression into tokens.

use super::value::{Comparison, Operator, Result, Value, python_float};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Literal(Value),
    Compare(Comparison),
    Operate(Operator),
    Function(&'static str),
    And,
    Or,
    Not,
    In,
    If,
    Else,
    Open,
    Close,
}

/// The longer ones first.
const SYMBOLS: [(&str, Token); 15] = [
    ("**", Token::Operate(Operator::Power)),
    ("//", Token::Operate(Operator::FloorDivide)),
    ("==", Token::Compare(Comparison::Equal)),
    ("!=", Token::Compare(Comparison::NotEqual)),
    ("<=", Token::Compare(Comparison::LessEqual)),
    (">=", Token::Compare(Comparison::GreaterEqual)),
    ("<", Token::Compare(Comparison::Less)),
    (">", Token::Compare(Comparison::Greater)),
    ("+", Token::Operate(Operator::Plus)),
    ("-", Token::Operate(Operator::Minus)),
    ("*", Token::Operate(Operator::Times)),
    ("/", Token::Operate(Operator::Divide)),
    ("%", Token::Operate(Operator::Modulo)),
    ("(", Token::Open),
    (")", Token::Close),
];

const FUNCTIONS: [&str; 6] = ["int", "float", "str", "bool", "abs", "len"];

pub(super) fn tokens(expression: &str) -> Result<Vec<Token>> {
    let mut rest = expression.trim_start();
    let mut tokens = Vec::new();
    while let Some(first) = rest.chars().next() {
        let symbol = SYMBOLS.iter().find(|(text, _)| rest.starts_with(text));
        let number = first.is_ascii_digit() || first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit());
        let (token, length) = match (first, symbol) {
            ('\'' | '"', _) => {
                let text = rest[1..].split(first).next().unwrap_or_default();
                if text.len() + 2 > rest.len() {
                    return Err("a string is not closed");
                }
                if text.contains('\\') {
                    return Err("a string contains a backslash");
                }
                (Token::Literal(Value::Text(text.to_owned())), text.len() + 2)
            }
            (_, Some((text, token))) => (token.clone(), text.len()),
            _ if number => {
                let length = number_length(rest);
                (Token::Literal(literal(&rest[..length])?), length)
            }
            (c, _) if c.is_alphabetic() => {
                let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                (word(&rest[..length])?, length)
            }
            _ => return Err("a character is not supported"),
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

/// Digits, letters, `_`, points, and a sign after an exponent's `e`.
fn number_length(text: &str) -> usize {
    let hexadecimal = text.starts_with("0x") || text.starts_with("0X");
    let mut last = ' ';
    for (at, c) in text.char_indices() {
        let sign = (c == '+' || c == '-') && matches!(last, 'e' | 'E') && !hexadecimal;
        if !(c.is_ascii_alphanumeric() || c == '_' || c == '.' || sign) {
            return at;
        }
        last = c;
    }
    text.len()
}

fn literal(text: &str) -> Result<Value> {
    let lower = text.to_ascii_lowercase();
    let radix = [("0x", 16), ("0o", 8), ("0b", 2)].into_iter().find(|(prefix, _)| lower.starts_with(prefix));
    if let Some((prefix, radix)) = radix {
        let digits = lower[prefix.len()..].replace('_', "");
        return i64::from_str_radix(&digits, radix).map(Value::Number).map_err(|_| "a number is not well-formed");
    }
    if lower.bytes().all(|b| b.is_ascii_digit() || b == b'_') {
        let groups = lower.split('_').all(|group| !group.is_empty());
        let digits = lower.replace('_', "");
        if !groups {
            return Err("a number is not well-formed");
        }
        if digits.starts_with('0') && digits.bytes().any(|b| b != b'0') {
            return Err("a number begins with a zero");
        }
        return digits.parse().map(Value::Number).map_err(|_| "a number is not an integer of 64 bits");
    }
    // No "inf" or "nan": these are names to Python.
    let numeric = lower.bytes().all(|b| b.is_ascii_digit() || b"._e+-".contains(&b));
    let value = numeric.then(|| python_float(&lower)).flatten();
    value.map(Value::Float).ok_or("a number is not well-formed")
}

fn word(word: &str) -> Result<Token> {
    Ok(match word {
        "and" => Token::And,
        "or" => Token::Or,
        "not" => Token::Not,
        "in" => Token::In,
        "if" => Token::If,
        "else" => Token::Else,
        "True" => Token::Literal(Value::Bool(true)),
        "False" => Token::Literal(Value::Bool(false)),
        _ => {
            let function = FUNCTIONS.into_iter().find(|name| *name == word);
            Token::Function(function.ok_or("a name is not supported (a string without quotes?)")?)
        }
    })
}
