//! What was said in the cabin, what was understood of it and what was answered.

use auriga_msgs::v1;
use std::collections::BTreeMap;

/// A final utterance.
#[derive(Debug, Clone, PartialEq)]
pub struct UtteranceHeard {
    pub start_s: f64,
    pub end_s: f64,
    pub published_s: f64,
    pub text: String,
    /// From the drive's transcript track, not from a recogniser.
    pub from_track: bool,
}

impl UtteranceHeard {
    pub(super) fn new(m: &v1::Utterance, (start_s, end_s): (f64, f64), published_s: f64) -> Self {
        let from_track = m.source() == v1::TranscriptSource::Track;
        Self { start_s, end_s, published_s, text: m.text.clone(), from_track }
    }
}

/// An intent.
#[derive(Debug, Clone, PartialEq)]
pub struct IntentSeen {
    /// End of the speech it was understood from.
    pub speech_end_s: f64,
    pub published_s: f64,
    pub name: String,
    pub slots: BTreeMap<String, String>,
    pub confidence: f32,
    pub utterance: String,
    pub proposal: bool,
    pub allowed: bool,
    pub refusal: String,
}

/// The name of what is not for the car.
pub const OUT_OF_SCOPE: &str = "out_of_scope";

impl IntentSeen {
    pub(super) fn new(m: &v1::Intent, speech_end_s: f64, published_s: f64) -> Self {
        Self {
            speech_end_s,
            published_s,
            name: m.name.clone(),
            slots: m.slots.iter().map(|s| (s.name.clone(), s.value.clone())).collect(),
            confidence: m.confidence,
            utterance: m.utterance.clone(),
            proposal: m.proposal,
            allowed: m.allowed,
            refusal: m.refusal.clone(),
        }
    }
}

/// A turn of the dialogue: the pieces of one answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    pub id: u64,
    pub speech_end_s: f64,
    pub user_text: String,
    pub text: String,
    /// When each piece with text was published.
    pub pieces_s: Vec<f64>,
    /// When the last piece came.
    pub ended_s: Option<f64>,
    pub interrupted: bool,
}

impl Turn {
    /// When the first word came.
    pub fn first_word_s(&self) -> Option<f64> {
        self.pieces_s.first().copied()
    }

    /// Whether it was under way, words said before and after `t_s`.
    pub fn spans(&self, t_s: f64) -> bool {
        self.pieces_s.first().is_some_and(|f| *f < t_s) && self.pieces_s.last().is_some_and(|l| *l > t_s)
    }
}

pub(super) fn take_turn(turns: &mut Vec<Turn>, m: &v1::DialogueTurn, speech_end_s: f64, t_s: f64) {
    let open = turns.iter().rposition(|t| t.id == m.turn_id && t.ended_s.is_none());
    let index = open.unwrap_or_else(|| {
        turns.push(Turn {
            id: m.turn_id,
            speech_end_s,
            user_text: m.user_text.clone(),
            text: String::new(),
            pieces_s: Vec::new(),
            ended_s: None,
            interrupted: false,
        });
        turns.len() - 1
    });
    let turn = &mut turns[index];
    if !m.text.trim().is_empty() {
        turn.pieces_s.push(t_s);
    }
    turn.text.push_str(&m.text);
    turn.interrupted |= m.interrupted;
    if m.last || m.interrupted {
        turn.ended_s = Some(t_s);
    }
}
