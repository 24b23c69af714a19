//! Stop strings in a text that arrives in pieces.

/// Passes a text through up to the first complete stop string (of two that end together, the longer one). A text that may be
/// the beginning of a stop string is delayed until this is decided.
#[derive(Debug, Clone, Default)]
pub struct StopStrings {
    stops: Vec<String>,
    pending: String,
    hit: bool,
}

impl StopStrings {
    /// A filter for these stop strings; empty ones are ignored.
    pub fn new(stops: &[String]) -> Self {
        Self { stops: stops.iter().filter(|s| !s.is_empty()).cloned().collect(), pending: String::new(), hit: false }
    }

    /// Adds a piece; returns the text that is certainly before any stop string.
    pub fn push(&mut self, piece: &str) -> String {
        if self.hit {
            return String::new();
        }
        self.pending += piece;
        if let Some(at) = first(&self.stops, &self.pending) {
            self.pending.truncate(at);
            self.hit = true;
            return std::mem::take(&mut self.pending);
        }
        let begins = |at: &usize| self.stops.iter().any(|s| s.starts_with(&self.pending[*at..]));
        let safe = self.pending.char_indices().map(|(at, _)| at).find(begins).unwrap_or(self.pending.len());
        let rest = self.pending.split_off(safe);
        std::mem::replace(&mut self.pending, rest)
    }

    /// Whether a stop string was found.
    pub fn hit(&self) -> bool {
        self.hit
    }

    /// Ends the text; returns the delayed rest, which was not a stop string.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.pending)
    }
}

/// The start of the stop string that ends first, so that the result does not depend on how the text is split.
fn first(stops: &[String], text: &str) -> Option<usize> {
    let places = stops.iter().filter_map(|s| text.find(s.as_str()).map(|at| (at + s.len(), at)));
    places.min().map(|(_, at)| at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_ends_at_the_first_stop_string() {
        let mut stops = StopStrings::new(&["\n\n".into(), "User:".into(), String::new()]);
        let out: Vec<String> = ["Hello", " Us", "e it.\n", "User", ": x", "y"].iter().map(|p| stops.push(p)).collect();
        assert_eq!(out, ["Hello", " ", "Use it.", "\n", "", ""]);
        assert!(stops.hit() && stops.finish().is_empty());
    }

    proptest! {
        #[test]
        fn result_does_not_depend_on_how_the_text_is_split(
            text in "[abü]{0,24}",
            stops in prop::collection::vec("[abü]{1,3}", 0..3),
            cuts in prop::collection::vec(1..5usize, 24),
        ) {
            let mut stream = StopStrings::new(&stops);
            let (mut out, mut rest) = (String::new(), text.chars());
            for cut in cuts {
                let piece: String = rest.by_ref().take(cut).collect();
                out += &stream.push(&piece);
            }
            out += &stream.finish();
            let complete = (0..=text.len()).find(|&end| stops.iter().any(|s| text.as_bytes()[..end].ends_with(s.as_bytes())));
            let longest = |end| stops.iter().filter(|s| text.as_bytes()[..end].ends_with(s.as_bytes())).map(String::len).max();
            let end = complete.map(|end| end - longest(end).unwrap());
            prop_assert_eq!(stream.hit(), end.is_some());
            prop_assert_eq!(out.as_str(), &text[..end.unwrap_or(text.len())]);
        }
    }
}
