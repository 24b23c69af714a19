//! `$(eval …)`: the part of Python's expressions that launch files need for conditions. Values, truthiness and the
//! text of the result are Python's, so that `ros2 launch` evaluates the same.

use crate::launch::error::SubstitutionError;

/// Deeper nesting of brackets and `not` is refused, to keep the recursion bounded.
const MAX_DEPTH: usize = 32;

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Text(String),
    Number(i64),
    Bool(bool),
}

impl Value {
    fn truth(&self) -> bool {
        match self {
            Value::Text(text) => !text.is_empty(),
            Value::Number(number) => *number != 0,
            Value::Bool(bool) => *bool,
        }
    }

    fn equals(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::Text(_), _) | (_, Value::Text(_)) => false,
            (a, b) => a.number() == b.number(),
        }
    }

    /// In Python, True == 1 and False == 0.
    fn number(&self) -> Option<i64> {
        match self {
            Value::Text(_) => None,
            Value::Number(number) => Some(*number),
            Value::Bool(bool) => Some(i64::from(*bool)),
        }
    }

    fn into_text(self) -> String {
        match self {
            Value::Text(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(bool) => if bool { "True" } else { "False" }.to_owned(),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Literal(Value),
    Equal,
    NotEqual,
    And,
    Or,
    Not,
    Open,
    Close,
}

/// Evaluates `expression` and gives Python's `str()` of the result.
pub(super) fn evaluate(expression: &str) -> Result<String, SubstitutionError> {
    let fail = |why| SubstitutionError::Eval { expression: expression.to_owned(), why };
    let tokens = tokens(expression).map_err(fail)?;
    let mut parser = Parser { tokens: &tokens, depth: 0 };
    let value = parser.or().map_err(fail)?;
    if !parser.tokens.is_empty() {
        return Err(fail("something follows the end of the expression"));
    }
    Ok(value.into_text())
}

fn tokens(expression: &str) -> Result<Vec<Token>, &'static str> {
    let mut rest = expression.trim_start();
    let mut tokens = Vec::new();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '\'' | '"' => {
                let text = rest[1..].split(first).next().unwrap_or_default();
                if text.len() + 2 > rest.len() {
                    return Err("a string is not closed");
                }
                if text.contains('\\') {
                    return Err("a string contains a backslash");
                }
                (Token::Literal(Value::Text(text.to_owned())), text.len() + 2)
            }
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '=' if rest.starts_with("==") => (Token::Equal, 2),
            '!' if rest.starts_with("!=") => (Token::NotEqual, 2),
            '0'..='9' | '-' => {
                let length = 1 + rest[1..].bytes().take_while(u8::is_ascii_digit).count();
                let number = rest[..length].parse().map_err(|_| "a number is not an integer of 64 bits")?;
                (Token::Literal(Value::Number(number)), length)
            }
            c if c.is_alphabetic() => {
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

fn word(word: &str) -> Result<Token, &'static str> {
    Ok(match word {
        "and" => Token::And,
        "or" => Token::Or,
        "not" => Token::Not,
        "True" => Token::Literal(Value::Bool(true)),
        "False" => Token::Literal(Value::Bool(false)),
        _ => return Err("a name is not supported (a string without quotes?)"),
    })
}

struct Parser<'a> {
    tokens: &'a [Token],
    depth: usize,
}

impl Parser<'_> {
    fn or(&mut self) -> Result<Value, &'static str> {
        let mut left = self.and()?;
        while self.take(&Token::Or) {
            let right = self.and()?;
            left = if left.truth() { left } else { right };
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Value, &'static str> {
        let mut left = self.not()?;
        while self.take(&Token::And) {
            let right = self.not()?;
            left = if left.truth() { right } else { left };
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Value, &'static str> {
        if !self.take(&Token::Not) {
            return self.comparison();
        }
        self.deeper(|parser| Ok(Value::Bool(!parser.not()?.truth())))
    }

    fn comparison(&mut self) -> Result<Value, &'static str> {
        let left = self.atom()?;
        let wanted = match self.tokens.first() {
            Some(Token::Equal) => true,
            Some(Token::NotEqual) => false,
            _ => return Ok(left),
        };
        self.tokens = &self.tokens[1..];
        let right = self.atom()?;
        if matches!(self.tokens.first(), Some(Token::Equal | Token::NotEqual)) {
            return Err("comparisons are chained");
        }
        Ok(Value::Bool(left.equals(&right) == wanted))
    }

    fn atom(&mut self) -> Result<Value, &'static str> {
        match self.tokens.split_first() {
            Some((Token::Literal(value), rest)) => {
                self.tokens = rest;
                Ok(value.clone())
            }
            Some((Token::Open, rest)) => {
                self.tokens = rest;
                let value = self.deeper(Self::or)?;
                if self.take(&Token::Close) { Ok(value) } else { Err("a bracket is not closed") }
            }
            _ => Err("a value is missing"),
        }
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, &'static str>) -> Result<T, &'static str> {
        if self.depth == MAX_DEPTH {
            return Err("it is nested too deep");
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn take(&mut self, token: &Token) -> bool {
        let found = self.tokens.first() == Some(token);
        if found {
            self.tokens = &self.tokens[1..];
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn results_match_python() {
        // Each pair was printed by Python's str(eval(expression)).
        for (expression, result) in [
            ("'' != ''", "False"),
            ("'out' != ''", "True"),
            ("'a' == 'a' and not 'b' == 'c'", "True"),
            ("not ('a' == 'a' or False)", "False"),
            ("'x' or 'y'", "x"),
            ("'x' and 'y'", "y"),
            ("'' or 7", "7"),
            ("1 == True", "True"),
            ("'1' == 1", "False"),
            ("not not -1", "True"),
            ("\"it's\" == 'its'", "False"),
        ] {
            assert_eq!(evaluate(expression).as_deref(), Ok(result), "{expression}");
        }
    }

    #[test]
    fn unsupported_expressions_are_refused_with_the_reason() {
        for (expression, why) in [
            ("out != ''", "quotes"),
            ("'a' + 'b'", "character"),
            ("'a", "not closed"),
            ("('a'", "bracket"),
            ("'a' == 'b' == 'c'", "chained"),
            ("'a' 'b'", "follows"),
            ("", "missing"),
            ("99999999999999999999", "64 bits"),
            ("'a\\'b'", "backslash"),
            (&"(".repeat(1000), "deep"),
            (&"not ".repeat(1000), "deep"),
        ] {
            let error = evaluate(expression).unwrap_err().to_string();
            assert!(error.contains(why), "{expression}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_input_gives_a_value_or_an_error(text in ".{0,80}") {
            let _ = evaluate(&text);
        }

        #[test]
        fn equal_strings_compare_equal(a in "[a-z/. ]{0,9}", b in "[a-z/. ]{0,9}") {
            let expected = if a == b { "True" } else { "False" };
            prop_assert_eq!(evaluate(&format!("'{a}' == '{b}'")).unwrap(), expected);
        }
    }
}
