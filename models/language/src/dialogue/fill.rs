//! Values in replies. The model writes `{range}` where the range is to be said, and the value is put in from the scene (or
//! the intent's slots): a number that is spoken is one that was measured, a name one that was heard. What is not known
//! is "unknown", whatever the model would like to say.

use crate::intent::scene::SceneFacts;

/// The longest name between braces; text that goes on longer is none.
const LONGEST_NAME: usize = 16;

/// Puts values into a text that comes in pieces.
#[derive(Debug, Clone)]
pub struct Filler {
    scene: SceneFacts,
    slots: Vec<(String, String)>,
    /// From a `{` on whose `}` has not come.
    held: Option<String>,
}

impl Filler {
    pub fn new(scene: SceneFacts, slots: Vec<(String, String)>) -> Self {
        Self { scene, slots, held: None }
    }

    /// The text that can be said now.
    pub fn push(&mut self, piece: &str) -> String {
        let mut ready = String::new();
        for c in piece.chars() {
            match (&mut self.held, c) {
                (None, '{') => self.held = Some(String::new()),
                (None, c) => ready.push(c),
                (Some(name), '}') => {
                    ready += &spoken(name, &self.scene, &self.slots).unwrap_or_else(|| "unknown".into());
                    self.held = None;
                }
                (Some(name), c) if name.len() < LONGEST_NAME => name.push(c),
                // No name is that long: what was held was text.
                (Some(name), c) => {
                    ready += name;
                    ready.push(c);
                    self.held = None;
                }
            }
        }
        ready
    }
}

/// A whole reply with its values.
pub fn fill(text: &str, scene: &SceneFacts, slots: &[(String, String)]) -> String {
    Filler::new(scene.clone(), slots.to_vec()).push(text)
}

/// A fact of the scene or a slot of the intent as it is said; `None` when it is not known.
pub fn spoken(name: &str, scene: &SceneFacts, slots: &[(String, String)]) -> Option<String> {
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
    fn values_are_put_in_and_what_is_not_known_is_said_to_be() {
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
        fn it_does_not_matter_where_a_text_is_cut(text in "[a-c{} ]{0,30}|(\\{range\\}|[a-z ]){0,9}", cut in 0..30usize) {
            let scene = SceneFacts { range_km: Some(3.0), ..SceneFacts::default() };
            let mut filler = Filler::new(scene.clone(), Vec::new());
            let (a, b) = text.split_at(cut.min(text.len()));
            let pieces = filler.push(a) + &filler.push(b);
            prop_assert_eq!(pieces, fill(&text, &scene, &[]));
        }
    }
}
