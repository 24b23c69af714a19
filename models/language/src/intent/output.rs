//! The intent of an utterance with its slots, and its text format.

use std::fmt;

/// The intent of an utterance with its slots. Its text format is `name slot=value;slot=value;`.
#[derive(Debug, Clone, PartialEq)]
pub struct IntentOutput {
    /// Name of the intent in the catalogue.
    pub name: String,
    /// Names and values of slots, in the order in which they were said.
    pub slots: Vec<(String, String)>,
    /// The probability of the intent, 0 to 1; 1 if it was parsed from text.
    pub confidence: f64,
}

/// A text that is not an intent.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IntentParseError {
    /// It does not begin with a name.
    #[error("intent {text:?}: expected a name of lower-case letters, digits and _ first")]
    Name {
        /// The text.
        text: String,
    },
    /// A slot is malformed.
    #[error("intent {text:?}: expected `slot=value;` at {rest:?}")]
    Slot {
        /// The text.
        text: String,
        /// The rest of the text from the slot on.
        rest: String,
    },
}

impl IntentOutput {
    /// An intent with confidence 1.
    pub fn new(name: impl Into<String>, slots: &[(&str, &str)]) -> Self {
        let slots = slots.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        Self { name: name.into(), slots, confidence: 1.0 }
    }

    /// The value of a slot, if it is given.
    pub fn slot(&self, name: &str) -> Option<&str> {
        self.slots.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Parses the text format.
    ///
    /// # Errors
    /// A text in another format.
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

/// Whether a text is a valid name of an intent or slot.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Whether a text is a valid value of a slot: it has no character that ends a value or begins a special token.
pub(crate) fn is_value(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && !text.contains([';', '=', '<', '\n'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn malformed_intents_are_errors_that_show_the_position() {
        for bad in ["", " call", "Call", "call ", "call who", "call who=anna", "call who=;", "call =x;", "call who= x;"]
        {
            assert!(IntentOutput::parse(bad).is_err(), "{bad:?}");
        }
        let e = IntentOutput::parse("call who=anna;when").unwrap_err();
        assert_eq!(e.to_string(), "intent \"call who=anna;when\": expected `slot=value;` at \"when\"");
    }

    proptest! {
        #[test]
        fn intents_survive_a_round_trip_through_text(
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
