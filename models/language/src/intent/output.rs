//! The intent of an utterance with its slots, and its text form.

use std::fmt;

/// What the model understood: `name slot=value;slot=value;`.
#[derive(Debug, Clone, PartialEq)]
pub struct IntentOutput {
    pub name: String,
    /// In the order in which they were said.
    pub slots: Vec<(String, String)>,
    /// 0..1: the probability of the name among all names. 1 where it was parsed from text.
    pub confidence: f64,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IntentParseError {
    #[error("intent {text:?}: expected a name of lower-case letters, digits and _ first")]
    Name { text: String },
    #[error("intent {text:?}: expected `slot=value;` at {rest:?}")]
    Slot { text: String, rest: String },
}

impl IntentOutput {
    pub fn new(name: impl Into<String>, slots: &[(&str, &str)]) -> Self {
        let slots = slots.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        Self { name: name.into(), slots, confidence: 1.0 }
    }

    pub fn slot(&self, name: &str) -> Option<&str> {
        self.slots.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Result<Self, IntentParseError> {
        let (name, mut rest) = text.split_once(' ').unwrap_or((text, ""));
        if !is_name(name) || (rest.is_empty() && text.contains(' ')) {
            return Err(IntentParseError::Name { text: text.into() });
        }
        let mut slots = Vec::new();
        while !rest.is_empty() {
            let fail = || IntentParseError::Slot { text: text.into(), rest: rest.into() };
            let (slot, after) = rest.split_once('=').ok_or_else(fail)?;
            let (value, after) = after.split_once(';').ok_or_else(fail)?;
            if !is_name(slot) || !is_value(value) {
                return Err(fail());
            }
            slots.push((slot.into(), value.into()));
            rest = after;
        }
        Ok(Self { name: name.into(), slots, confidence: 1.0 })
    }
}

impl fmt::Display for IntentOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (i, (name, value)) in self.slots.iter().enumerate() {
            write!(f, "{}{name}={value};", if i == 0 { " " } else { "" })?;
        }
        Ok(())
    }
}

/// Whether an intent or slot can be named so.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Whether a slot can hold it: nothing in it ends a value or begins a special token.
pub(crate) fn is_value(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && !text.contains([';', '=', '<', '\n'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_broken_intent_is_an_error_that_shows_where() {
        for bad in ["", " call", "Call", "call ", "call who", "call who=anna", "call who=;", "call =x;", "call who= x;"]
        {
            assert!(IntentOutput::parse(bad).is_err(), "{bad:?}");
        }
        let e = IntentOutput::parse("call who=anna;when").unwrap_err();
        assert_eq!(e.to_string(), "intent \"call who=anna;when\": expected `slot=value;` at \"when\"");
    }

    proptest! {
        #[test]
        fn an_intent_reads_back_as_written(
            name in "[a-z_]{1,12}",
            slots in prop::collection::vec(("[a-z]{1,6}", "[a-z0-9äß']{1,8}( [a-z]{1,5}){0,3}"), 0..4),
        ) {
            let output = IntentOutput { name, slots, confidence: 1.0 };
            prop_assert_eq!(IntentOutput::parse(&output.to_string()), Ok(output));
        }

        #[test]
        fn parsing_never_panics(text in "\\PC{0,40}") {
            let _ = IntentOutput::parse(&text);
        }
    }
}
