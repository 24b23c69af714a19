//! Placeholders in replies. The model writes `{range}`, and the value is filled in from the scene or the intent's slots: a
//! spoken number is always a measured one. A value that is not known becomes "unknown".

use crate::intent::scene::SceneFacts;

/// The longest name of a placeholder in bytes; a longer text between braces is not a placeholder.
const MAX_NAME_BYTES: usize = 16;

/// Fills placeholders in a text that arrives in pieces.
#[derive(Debug, Clone)]
pub struct ReplyFiller {
    scene: SceneFacts,
    slots: Vec<(String, String)>,
    /// The name of a placeholder whose `}` has not arrived yet.
    open: Option<String>,
}

impl ReplyFiller {
    /// A filler with the values of a scene and of an intent's slots.
    pub fn new(scene: SceneFacts, slots: Vec<(String, String)>) -> Self {
        Self { scene, slots, open: None }
    }

    /// Adds a piece; returns the text that is complete.
    pub fn push(&mut self, piece: &str) -> String {
        let mut ready = String::new();
        for c in piece.chars() {
            match (&mut self.open, c) {
                (None, '{') => self.open = Some(String::new()),
                (None, c) => ready.push(c),
                (Some(name), '}') => {
                    ready += &spoken_value(name, &self.scene, &self.slots).unwrap_or_else(|| "unknown".into());
                    self.open = None;
                }
                (Some(name), c) if name.len() < MAX_NAME_BYTES => name.push(c),
                // Too long for a placeholder: plain text.
                (Some(name), c) => {
                    ready += name;
                    ready.push(c);
                    self.open = None;
                }
            }
        }
        ready
    }
}

/// A complete reply with its placeholders filled.
pub fn fill(text: &str, scene: &SceneFacts, slots: &[(String, String)]) -> String {
    ReplyFiller::new(scene.clone(), slots.to_vec()).push(text)
}

/// The spoken form of a slot of the intent or a fact of the scene; `None` if it is not known.
pub fn spoken_value(name: &str, scene: &SceneFacts, slots: &[(String, String)]) -> Option<String> {
    if let Some((_, value)) = slots.iter().find(|(n, _)| n == name) {
        return Some(value.replace('_', " "));
    }
    match name {
        "tyre_bar" => scene.fact("tyre").map(|t| t.trim_start_matches(char::is_alphabetic).into()),
        "tyre_place" => scene.tyres?.lowest().1.map(|place| {
            match place {
                "FL" => "front left",
                "FR" => "front right",
                "RL" => "rear left",
                _ => "rear right",
            }
            .into()
        }),
        "hazard_text" => scene.fact("hazard").map(|h| {
            match h.as_str() {
                "forward_collision" => "a vehicle close ahead",
                "lane_departure" => "we are leaving the lane",
                "pedestrian" => "a person near the road",
                _ => "a sensor is lost",
            }
            .into()
        }),
        name => scene.fact(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn placeholders_are_filled_and_unknown_values_become_unknown() {
        let scene = SceneFacts { range_km: Some(211.7), ..SceneFacts::default() };
        let slots = [("who".to_string(), "aunt mary".to_string())];
        let text = "{range} kilometres, {battery} percent, calling {who}, {nonsense}.";
        assert_eq!(fill(text, &scene, &slots), "212 kilometres, unknown percent, calling aunt mary, unknown.");
        assert_eq!(
            fill("a {this name is much too long for one} b {open", &scene, &slots),
            "a this name is much too long for one} b "
        );
    }

    proptest! {
        #[test]
        fn result_does_not_depend_on_how_the_text_is_split(text in "[a-c{} ]{0,30}|(\\{range\\}|[a-z ]){0,9}", cut in 0..30usize) {
            let scene = SceneFacts { range_km: Some(3.0), ..SceneFacts::default() };
            let mut filler = ReplyFiller::new(scene.clone(), Vec::new());
            let (a, b) = text.split_at(cut.min(text.len()));
            let pieces = filler.push(a) + &filler.push(b);
            prop_assert_eq!(pieces, fill(&text, &scene, &[]));
        }
    }
}
