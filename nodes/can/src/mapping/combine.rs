//! Several signals with one target: how their values become one.

use super::target::Value;
use auriga_msgs::v1;

/// How the values of several signals become one.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// The first one that is there, in the order of the file.
    First,
    /// Flags: true when one is true, false when all are false.
    Any,
    /// Flags: true when all are true, false when one is false.
    All,
    /// Numbers.
    Sum,
    /// Numbers: a magnitude and its sign, or a scale.
    Product,
    /// Numbers.
    Maximum,
    /// Numbers.
    Minimum,
    /// Words of an enumeration: the first one, in the order of the file, that is not the resting one; left and right
    /// indicators together are the hazard lights.
    Words {
        /// The value that all signals have in common: off.
        rest: Option<Value>,
        /// For each signal whether it can have that value: then it must be there for the result to be the resting one.
        can_rest: Box<[bool]>,
        /// The values are indicators.
        indicator: bool,
    },
}

/// A target with several signals.
#[derive(Debug, Clone, PartialEq)]
pub struct Combined {
    /// Indices of the signals in [`Mapping::signals`](super::Mapping::signals), in the order of the file.
    pub sources: Box<[usize]>,
    /// How their values become one.
    pub rule: Rule,
}

impl Rule {
    /// The value of the target.
    pub fn apply<'a>(&self, values: impl Iterator<Item = Option<&'a Value>> + Clone) -> Option<Value> {
        match self {
            Rule::First => values.flatten().next().cloned(),
            Rule::Any => flag(values, true),
            Rule::All => flag(values, false),
            Rule::Sum => number(values, |a, b| a + b),
            Rule::Product => number(values, |a, b| a * b),
            Rule::Maximum => number(values, f64::max),
            Rule::Minimum => number(values, f64::min),
            Rule::Words { rest, can_rest, indicator } => {
                let mut active = values.clone().flatten().filter(|value| Some(*value) != rest.as_ref());
                let Some(first) = active.next() else {
                    let complete = values.zip(can_rest).all(|(value, can_rest)| value.is_some() || !can_rest);
                    return rest.clone().filter(|_| complete);
                };
                let differs = active.any(|other| other != first);
                let both = Value::Number(f64::from(v1::Indicator::Hazard as i32));
                Some(if *indicator && differs { both } else { first.clone() })
            }
        }
    }
}

fn flag<'a>(values: impl Iterator<Item = Option<&'a Value>>, decides: bool) -> Option<Value> {
    let mut complete = true;
    for value in values {
        match value {
            Some(Value::Flag(flag)) if *flag == decides => return Some(Value::Flag(decides)),
            Some(_) => {}
            None => complete = false,
        }
    }
    complete.then_some(Value::Flag(!decides))
}

fn number<'a>(values: impl Iterator<Item = Option<&'a Value>>, join: fn(f64, f64) -> f64) -> Option<Value> {
    let mut result: Option<f64> = None;
    for value in values {
        let Some(Value::Number(number)) = value else { return None };
        result = Some(result.map_or(*number, |before| join(before, *number)));
    }
    result.filter(|number| number.is_finite()).map(Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(rule: &Rule, values: &[Option<Value>]) -> Option<Value> {
        rule.apply(values.iter().map(Option::as_ref))
    }

    #[test]
    fn flags_and_numbers_need_what_decides_them() {
        let (yes, no) = (Some(Value::Flag(true)), Some(Value::Flag(false)));
        for (rule, first, second, expected) in [
            (Rule::Any, &no, &yes, &yes),
            (Rule::Any, &None, &yes, &yes),
            (Rule::Any, &None, &no, &None),
            (Rule::Any, &no, &no, &no),
            (Rule::All, &yes, &yes, &yes),
            (Rule::All, &None, &no, &no),
            (Rule::All, &yes, &None, &None),
            (Rule::First, &None, &no, &no),
        ] {
            assert_eq!(&apply(&rule, &[first.clone(), second.clone()]), expected, "{rule:?} {first:?} {second:?}");
        }
        let number = |n: f64| Some(Value::Number(n));
        assert_eq!(apply(&Rule::Product, &[number(2.5), number(-1.0)]), number(-2.5));
        assert_eq!(apply(&Rule::Sum, &[number(20.0), number(0.5)]), number(20.5));
        assert_eq!(apply(&Rule::Maximum, &[number(0.0), number(1.0)]), number(1.0));
        assert_eq!(apply(&Rule::Minimum, &[number(0.0), None]), None);
        assert_eq!(apply(&Rule::Product, &[number(f64::MAX), number(f64::MAX)]), None);
    }
}
