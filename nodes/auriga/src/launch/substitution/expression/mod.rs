//! `$(eval …)`: the part of Python's expressions that launch files use: numbers, texts, arithmetic, comparisons, conditions,
//! and conversions. Values, truthiness and the text of the result are Python's, so that `ros2 launch` evaluates the same.

mod tokens;
mod value;

use crate::launch::error::SubstitutionError;
use tokens::{Token, tokens};
use value::{Comparison, Operator, Result, Value};

/// Deeper nesting of brackets and `not` is refused, to keep the recursion bounded.
const MAX_DEPTH: usize = 32;

/// Evaluates `expression` and gives Python's `str()` of the result.
pub(super) fn evaluate(expression: &str) -> std::result::Result<String, SubstitutionError> {
    let fail = |why| SubstitutionError::Eval { expression: expression.to_owned(), why };
    let tokens = tokens(expression).map_err(fail)?;
    let mut parser = Parser { tokens: &tokens, depth: 0, skipped: false };
    let value = parser.condition().map_err(fail)?;
    if !parser.tokens.is_empty() {
        return Err(fail("something follows the end of the expression"));
    }
    Ok(value.into_text())
}

struct Parser<'a> {
    tokens: &'a [Token],
    depth: usize,
    /// What is read now does not count, as `or` and `if` decide: its errors of value do not, either.
    skipped: bool,
}

impl Parser<'_> {
    /// `A if CONDITION else B`.
    fn condition(&mut self) -> Result<Value> {
        let Some(at) = self.position_of_if() else { return self.or() };
        let first = &self.tokens[..at];
        self.tokens = &self.tokens[at + 1..];
        let holds = self.or()?.truth();
        if !self.take(&Token::Else) {
            return Err("an else is missing");
        }
        let otherwise = self.deeper(|parser| parser.skipping(holds, Self::condition))?;
        let mut parser = Parser { tokens: first, depth: self.depth, skipped: self.skipped || !holds };
        let value = parser.or()?;
        if !parser.tokens.is_empty() {
            return Err("something follows a value before if");
        }
        Ok(if holds { value } else { otherwise })
    }

    /// Of the first `if` that is in no bracket of its own.
    fn position_of_if(&self) -> Option<usize> {
        let mut open = 0_usize;
        for (at, token) in self.tokens.iter().enumerate() {
            match token {
                Token::Open => open += 1,
                Token::Close if open == 0 => return None,
                Token::Close => open -= 1,
                Token::If if open == 0 => return Some(at),
                _ => {}
            }
        }
        None
    }

    /// Reads without counting if `skip`.
    fn skipping(&mut self, skip: bool, read: impl FnOnce(&mut Self) -> Result<Value>) -> Result<Value> {
        let before = self.skipped;
        self.skipped |= skip;
        let value = read(self);
        self.skipped = before;
        value
    }

    /// A computed value; while skipping, whatever it would be.
    fn computed(&self, value: impl FnOnce() -> Result<Value>) -> Result<Value> {
        if self.skipped { Ok(Value::Number(0)) } else { value() }
    }

    fn or(&mut self) -> Result<Value> {
        let mut left = self.and()?;
        while self.take(&Token::Or) {
            let decided = left.truth();
            let right = self.skipping(decided, Self::and)?;
            left = if decided { left } else { right };
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Value> {
        let mut left = self.not()?;
        while self.take(&Token::And) {
            let decided = !left.truth();
            let right = self.skipping(decided, Self::not)?;
            left = if decided { left } else { right };
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Value> {
        if !self.take(&Token::Not) {
            return self.comparison();
        }
        self.deeper(|parser| Ok(Value::Bool(!parser.not()?.truth())))
    }

    /// Also a chain of them: `a < b < c` is `a < b and b < c`.
    fn comparison(&mut self) -> Result<Value> {
        let mut left = self.sum()?;
        let mut result = None;
        while let Some((comparison, words)) = self.next_comparison() {
            self.tokens = &self.tokens[words..];
            let decided = result == Some(false);
            let right = self.skipping(decided, Self::sum)?;
            if !decided {
                let holds = self.computed(|| left.compare(comparison, &right).map(Value::Bool))?.truth();
                result = Some(holds);
            }
            left = right;
        }
        Ok(result.map_or(left, Value::Bool))
    }

    /// The comparison that comes next, and how many tokens it has.
    fn next_comparison(&self) -> Option<(Comparison, usize)> {
        match self.tokens {
            [Token::Compare(comparison), ..] => Some((*comparison, 1)),
            [Token::In, ..] => Some((Comparison::In, 1)),
            [Token::Not, Token::In, ..] => Some((Comparison::NotIn, 2)),
            _ => None,
        }
    }

    fn sum(&mut self) -> Result<Value> {
        self.operations(&[Operator::Plus, Operator::Minus], Self::product)
    }

    fn product(&mut self) -> Result<Value> {
        let operators = [Operator::Times, Operator::Divide, Operator::FloorDivide, Operator::Modulo];
        self.operations(&operators, Self::sign)
    }

    fn operations(&mut self, operators: &[Operator], operand: fn(&mut Self) -> Result<Value>) -> Result<Value> {
        let mut left = operand(self)?;
        while let Some(Token::Operate(operator)) = self.tokens.first().filter(|t| is_one_of(t, operators)) {
            self.tokens = &self.tokens[1..];
            let right = operand(self)?;
            left = self.computed(|| left.calculate(*operator, &right))?;
        }
        Ok(left)
    }

    fn sign(&mut self) -> Result<Value> {
        let negative = self.take(&Token::Operate(Operator::Minus));
        if !negative && !self.take(&Token::Operate(Operator::Plus)) {
            return self.power();
        }
        let value = self.deeper(Self::sign)?;
        self.computed(|| if negative { value.negated() } else { value.positive() })
    }

    /// Binds stronger than a sign before it and weaker than one after it.
    fn power(&mut self) -> Result<Value> {
        let base = self.atom()?;
        if !self.take(&Token::Operate(Operator::Power)) {
            return Ok(base);
        }
        let exponent = self.deeper(Self::sign)?;
        self.computed(|| base.calculate(Operator::Power, &exponent))
    }

    fn atom(&mut self) -> Result<Value> {
        match self.tokens.split_first() {
            Some((Token::Literal(value), rest)) => {
                self.tokens = rest;
                Ok(value.clone())
            }
            Some((Token::Open, rest)) => {
                self.tokens = rest;
                self.bracket()
            }
            Some((Token::Function(name), rest)) => {
                self.tokens = rest;
                if !self.take(&Token::Open) {
                    return Err("a function is named without brackets after it");
                }
                let argument = self.bracket()?;
                self.computed(|| argument.call(name))
            }
            _ => Err("a value is missing"),
        }
    }

    fn bracket(&mut self) -> Result<Value> {
        let value = self.deeper(Self::condition)?;
        if self.take(&Token::Close) { Ok(value) } else { Err("a bracket is not closed") }
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
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

fn is_one_of(token: &Token, operators: &[Operator]) -> bool {
    matches!(token, Token::Operate(operator) if operators.contains(operator))
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
            ("3 + 1", "4"),
            ("3 > 2", "True"),
            ("2.5 == 2.5", "True"),
            ("1 == 1.0", "True"),
            ("-2 ** 2", "-4"),
            ("2 ** -1", "0.5"),
            ("2 ** 3 ** 2", "512"),
            ("7 // 2", "3"),
            ("-7 // 2", "-4"),
            ("7 // -2", "-4"),
            ("-7 % 3", "2"),
            ("7 % -3", "-2"),
            ("-7.5 // 2", "-4.0"),
            ("-7.5 % 2", "0.5"),
            ("7 / 2", "3.5"),
            ("6 / 2", "3.0"),
            ("0.1 + 0.2", "0.30000000000000004"),
            ("1e16", "1e+16"),
            ("123456789012345.0 * 10", "1234567890123450.0"),
            ("0.00001", "1e-05"),
            ("0.0001", "0.0001"),
            ("1.5e300 * 10", "1.5e+301"),
            ("-0.0", "-0.0"),
            ("1 < 2 < 3", "True"),
            ("1 < 3 < 2", "False"),
            ("'a' == 'b' == 'c'", "False"),
            ("2 > 1 == True", "True"),
            ("'b' > 'a'", "True"),
            ("'sim' in 'simulation'", "True"),
            ("'x' not in 'simulation'", "True"),
            ("'a' + 'b'", "ab"),
            ("'ab' * 2", "abab"),
            ("3 * 'a'", "aaa"),
            ("True + True", "2"),
            ("+True", "1"),
            ("-True", "-1"),
            ("1 if 'a' == 'b' else 2", "2"),
            ("'x' if True else 1 / 0", "x"),
            ("1 / 0 if False else 'y'", "y"),
            ("1 if 0 else 2 if 0 else 3", "3"),
            ("True or 1 / 0", "True"),
            ("0 and 1 / 0", "0"),
            ("int('7') + 1", "8"),
            ("int(2.9)", "2"),
            ("int(-2.9)", "-2"),
            ("float('2') / 4", "0.5"),
            ("str(1.0) + 'x'", "1.0x"),
            ("bool('')", "False"),
            ("abs(-3)", "3"),
            ("len('größe')", "5"),
            ("(1 + 2) * 3", "9"),
            ("1 + 2 * 3", "7"),
            ("1_000 + .5", "1000.5"),
            ("1. + 0", "1.0"),
            ("- - 1", "1"),
            ("not 1 + 1 == 2", "False"),
            ("0x10 + 0b11 + 0o7", "26"),
        ] {
            assert_eq!(evaluate(expression).as_deref(), Ok(result), "{expression}");
        }
    }

    #[test]
    fn unsupported_expressions_are_refused_with_the_reason() {
        for (expression, why) in [
            ("out != ''", "quotes"),
            ("'a' & 'b'", "character"),
            ("'a", "not closed"),
            ("('a'", "bracket"),
            ("'a' 'b'", "follows"),
            ("", "missing"),
            ("1 +", "missing"),
            ("1 if 2", "else"),
            ("99999999999999999999", "64 bits"),
            ("9223372036854775807 + 1", "64 bits"),
            ("10 ** 30", "64 bits"),
            ("int(1e300)", "64 bits"),
            ("'a\\'b'", "backslash"),
            ("1 / 0", "zero"),
            ("1 // 0", "zero"),
            ("1.5 % 0", "zero"),
            ("0 ** -1", "zero"),
            ("'a' < 1", "types"),
            ("'a' + 1", "types"),
            ("1 in 'a'", "types"),
            ("(-8) ** 0.5", "complex"),
            ("int('x')", "whole number"),
            ("len(3)", "function"),
            ("int", "brackets"),
            ("010", "zero"),
            ("1.2.3", "number"),
            ("'aaaaaaaaaaaaaaaa' * 1000000", "long"),
            (&"(".repeat(1000), "deep"),
            (&"not ".repeat(1000), "deep"),
            (&"-".repeat(1000), "deep"),
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
        fn any_tokens_give_a_value_or_an_error(text in "([0-9]|\\.|e|'a'|\\(|\\)| |\\+|-|\\*|/|%|<|>|=|!| if | else | and | or | not | in |int\\(|True){0,24}") {
            let _ = evaluate(&text);
        }

        #[test]
        fn equal_strings_compare_equal(a in "[a-z/. ]{0,9}", b in "[a-z/. ]{0,9}") {
            let expected = if a == b { "True" } else { "False" };
            prop_assert_eq!(evaluate(&format!("'{a}' == '{b}'")).unwrap(), expected);
        }

        #[test]
        fn division_and_remainder_fit_together(a in -1000i64..1000, b in -50i64..50) {
            prop_assume!(b != 0);
            prop_assert_eq!(evaluate(&format!("{a} // {b} * {b} + {a} % {b}")).unwrap(), a.to_string());
        }
    }
}
