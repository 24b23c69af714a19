//! Speech, intents and replies in the cabin.

use auriga_msgs::v1;
use std::collections::BTreeMap;

/// A final utterance.
#[derive(Debug, Clone, PartialEq)]
pub struct UtteranceRecord {
    /// Start of the speech.
    pub start_s: f64,
    /// End of the speech.
    pub end_s: f64,
    /// When it was published.
    pub published_s: f64,
    /// The words.
    pub text: String,
    /// From the transcript track of the drive, not from a recogniser.
    pub from_track: bool,
}

impl UtteranceRecord {
    pub(super) fn new(m: &v1::Utterance, (start_s, end_s): (f64, f64), published_s: f64) -> Self {
        let from_track = m.source() == v1::TranscriptSource::Track;
        Self { start_s, end_s, published_s, text: m.text.clone(), from_track }
    }
}

/// An intent.
#[derive(Debug, Clone, PartialEq)]
pub struct IntentRecord {
    /// End of the speech it was understood from.
    pub speech_end_s: f64,
    /// When it was published.
    pub published_s: f64,
    /// Its name in the catalogue.
    pub name: String,
    /// Values of its slots by name.
    pub slots: BTreeMap<String, String>,
    /// 0 to 1.
    pub confidence: f32,
    /// The words it was understood from.
    pub utterance: String,
    /// Whether it asks for an action of the car.
    pub proposal: bool,
    /// Whether the rule table allows the action.
    pub allowed: bool,
    /// Why not.
    pub refusal: String,
}

/// Intent of an utterance that is not for the car.
pub const OUT_OF_SCOPE: &str = "out_of_scope";

impl IntentRecord {
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

/// A reply of the dialogue: all pieces of one turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// Identifier of the turn.
    pub id: u64,
    /// End of the speech it answers.
    pub speech_end_s: f64,
    /// The words it answers.
    pub user_text: String,
    /// The reply so far.
    pub text: String,
    /// When each piece with text was published.
    pub pieces_s: Vec<f64>,
    /// When the last piece was published.
    pub ended_s: Option<f64>,
    /// Whether it was cut off.
    pub interrupted: bool,
}

impl Reply {
    /// When the first word was published.
    pub fn first_word_s(&self) -> Option<f64> {
        self.pieces_s.first().copied()
    }

    /// Whether words were published both before and after `t_s`.
    pub fn spans(&self, t_s: f64) -> bool {
        self.pieces_s.first().is_some_and(|f| *f < t_s) && self.pieces_s.last().is_some_and(|l| *l > t_s)
    }
}

pub(super) fn record_reply(replies: &mut Vec<Reply>, m: &v1::DialogueTurn, speech_end_s: f64, t_s: f64) {
    let open = replies.iter().rposition(|t| t.id == m.turn_id && t.ended_s.is_none());
    let index = open.unwrap_or_else(|| {
        replies.push(Reply {
            id: m.turn_id,
            speech_end_s,
            user_text: m.user_text.clone(),
            text: String::new(),
            pieces_s: Vec::new(),
            ended_s: None,
            interrupted: false,
        });
        replies.len() - 1
    });
    let reply = &mut replies[index];
    if !m.text.trim().is_empty() {
        reply.pieces_s.push(t_s);
    }
    reply.text.push_str(&m.text);
    reply.interrupted |= m.interrupted;
    if m.last || m.interrupted {
        reply.ended_s = Some(t_s);
    }
}
