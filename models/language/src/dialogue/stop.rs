//! Strings that end a text wherever they come, even when their parts come in several pieces.

/// Lets a text through piece by piece, up to the stop string that is complete first (of two that end together, the longer
/// one). What may be the beginning of one is held back until it is known.
#[derive(Debug, Clone, Default)]
pub struct StopStrings {
    stops: Vec<String>,
    held: String,
    hit: bool,
}

impl StopStrings {
    /// Empty strings stop nothing.
    pub fn new(stops: &[String]) -> Self {
        Self { stops: stops.iter().filter(|s| !s.is_empty()).cloned().collect(), held: String::new(), hit: false }
    }

    /// The text that surely comes before any stop string.
    pub fn push(&mut self, piece: &str) -> String {
        if self.hit {
            return String::new();
        }
        self.held += piece;
        if let Some(at) = first(&self.stops, &self.held) {
            self.held.truncate(at);
            self.hit = true;
            return std::mem::take(&mut self.held);
        }
        let begins = |at: &usize| self.stops.iter().any(|s| s.starts_with(&self.held[*at..]));
        let safe = self.held.char_indices().map(|(at, _)| at).find(begins).unwrap_or(self.held.len());
        let rest = self.held.split_off(safe);
        std::mem::replace(&mut self.held, rest)
    }

    /// Whether a stop string has come.
    pub fn hit(&self) -> bool {
        self.hit
    }

    /// The text has ended: what was held back was no stop string.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// Where the stop string begins that is complete first: by its end, so that it does not matter how the text was cut.
fn first(stops: &[String], text: &str) -> Option<usize> {
    let places = stops.iter().filter_map(|s| text.find(s.as_str()).map(|at| (at + s.len(), at)));
    places.min().map(|(_, at)| at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_stop_string_ends_the_text_however_it_is_cut() {
        let mut stops = StopStrings::new(&["\n\n".into(), "User:".into(), String::new()]);
        let out: Vec<String> = ["Hello", " Us", "e it.\n", "User", ": x", "y"].iter().map(|p| stops.push(p)).collect();
        assert_eq!(out, ["Hello", " ", "Use it.", "\n", "", ""]);
        assert!(stops.hit() && stops.finish().is_empty());
    }

    proptest! {
        #[test]
        fn cut_into_pieces_it_is_the_text_before_the_first_stop_string(
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
