//! The talk button's edges, kept until the audio reaches their time: audio comes later than the vehicle bus.

use auriga_runtime::Nanos;
use std::collections::VecDeque;

/// Edges kept; more in the delay of the audio are not a person's.
const MAX_EDGES: usize = 16;

/// State and pending edges of the button.
#[derive(Debug, Default)]
pub(crate) struct TalkButton {
    down: bool,
    edges: VecDeque<(Nanos, bool)>,
}

impl TalkButton {
    /// Takes the button's state as of `at`. True when it changed.
    pub(crate) fn set(&mut self, down: bool, at: Nanos) -> bool {
        if down == self.down {
            return false;
        }
        self.down = down;
        if self.edges.len() < MAX_EDGES {
            self.edges.push_back((at, down));
        }
        true
    }

    /// Takes the next edge (time, and whether it is a press) that the audio has reached.
    pub(crate) fn pop_due(&mut self, position: Nanos) -> Option<(Nanos, bool)> {
        self.edges.pop_front_if(|(at, _)| *at <= position)
    }
}
