//! Dialogue turns as they are published: the reply of the model piece by piece, other turns complete, some at a later
//! moment.

use super::{
    canned::CannedResponses,
    draft::{Draft, DraftOutput},
};
use crate::understand::requests::Request;
use auriga_msgs::{node, topic, v1};
use auriga_runtime::{Nanos, Node, Outbox};
use std::{collections::VecDeque, time::Duration};
use v1::Severity;

const TURN: &str = "language/turn";

/// Whether a sentence may wait for the end of a hazard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// The driver or the vehicle is in trouble: published at once.
    Immediate,
    /// Published when the workload of the driver allows it.
    Deferrable,
}

/// The position of a piece in its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    /// More pieces follow.
    More,
    /// The turn is complete.
    Last,
    /// The turn ends incomplete.
    Interrupted,
}

/// A turn that is being published.
struct OpenTurn {
    request: Request,
    id: u64,
    /// The text published so far; `None` before the first piece.
    text: Option<String>,
}

/// A reply of the model in progress.
struct Reply {
    turn: OpenTurn,
    draft: Draft,
    /// When the reply lost the processor; `None` while it may run.
    paused_since: Option<Nanos>,
}

/// A complete turn that waits until it may be said.
struct DeferredTurn {
    request: Request,
    text: String,
    since: Nanos,
}

/// The turns of the dialogue.
pub(crate) struct DialogueTurns {
    /// Turns that wait at most.
    capacity: usize,
    /// How long a turn waits, or a reply is paused, at most.
    max_wait: Duration,
    reply: Option<Reply>,
    /// Oldest first.
    deferred: VecDeque<DeferredTurn>,
    last_id: u64,
    last_text: String,
}

impl DialogueTurns {
    /// No turn yet. `capacity`: turns that wait at most; `max_wait`: how long they wait, or a reply is paused, at most.
    pub fn new(capacity: usize, max_wait: Duration) -> Self {
        let (last_id, last_text) = (0, String::new());
        Self { capacity, max_wait, reply: None, deferred: VecDeque::new(), last_id, last_text }
    }

    /// The text of the last complete turn, for "say that again"; empty before the first.
    pub fn last_text(&self) -> &str {
        &self.last_text
    }

    /// The request of the reply in progress.
    pub fn replying_to(&self) -> Option<&Request> {
        self.reply.as_ref().map(|reply| &reply.turn.request)
    }

    /// Whether a reply is in progress.
    pub fn is_replying(&self) -> bool {
        self.reply.is_some()
    }

    /// Whether a reply is in progress or a turn waits.
    pub fn has_text(&self) -> bool {
        self.reply.is_some() || !self.deferred.is_empty()
    }

    /// The model starts a reply.
    pub fn begin_reply(&mut self, request: &Request, draft: Draft) {
        let turn = self.open(request);
        self.reply = Some(Reply { turn, draft, paused_since: None });
    }

    /// Adds text of the model to the reply; `None`: the model has ended it. Returns whether the reply has ended.
    pub fn advance_reply<N: Node<Name = node::Language>>(
        &mut self,
        text: Option<&str>,
        canned: &CannedResponses,
        now: Nanos,
        out: &mut Outbox<N>,
    ) -> bool {
        let Some(reply) = &mut self.reply else { return false };
        let output = match text {
            Some(text) => reply.draft.push(text, canned),
            None => reply.draft.finish(canned),
        };
        let (text, piece, replaced) = match output {
            DraftOutput::Incomplete => return false,
            DraftOutput::Sentences(text) => (text, Piece::More, false),
            DraftOutput::Final { text, replaced } => (text, Piece::Last, replaced),
        };
        if replaced {
            let text = "the reply of the model had a wrong number or name, or no sentence short enough; a canned \
                        response replaced it";
            out.fault(now, Severity::Info, "reply-replaced", TURN, text);
        }
        self.publish_reply(&text, piece, out);
        piece == Piece::Last
    }

    /// Ends the reply in progress before it is complete. Returns whether there was one.
    pub fn interrupt_reply<N: Node<Name = node::Language>>(&mut self, out: &mut Outbox<N>) -> bool {
        let is_replying = self.is_replying();
        self.publish_reply("", Piece::Interrupted, out);
        is_replying
    }

    fn publish_reply<N: Node<Name = node::Language>>(&mut self, text: &str, piece: Piece, out: &mut Outbox<N>) {
        let Some(mut reply) = self.reply.take() else { return };
        out.publish::<topic::LanguageTurn>(self.piece(&mut reply.turn, text, piece));
        self.reply = (piece == Piece::More).then_some(reply);
    }

    /// Whether the reply in progress has been paused for too long. `may_run`: it may use the processor now.
    pub fn is_paused_too_long(&mut self, may_run: bool, now: Nanos) -> bool {
        let Some(reply) = &mut self.reply else { return false };
        if may_run {
            reply.paused_since = None;
            return false;
        }
        now.since(*reply.paused_since.get_or_insert(now)) >= self.max_wait
    }

    /// Publishes a complete turn.
    pub fn publish<N: Node<Name = node::Language>>(&mut self, request: &Request, text: &str, out: &mut Outbox<N>) {
        let mut turn = self.open(request);
        out.publish::<topic::LanguageTurn>(self.piece(&mut turn, text, Piece::Last));
    }

    /// Keeps a complete turn for later. Of too many the oldest is dropped.
    pub fn defer(&mut self, request: &Request, text: &str, now: Nanos) {
        if self.deferred.len() >= self.capacity {
            self.deferred.pop_front();
        }
        self.deferred.push_back(DeferredTurn { request: request.clone(), text: text.to_owned(), since: now });
    }

    /// Publishes the turns that wait.
    pub fn publish_deferred<N: Node<Name = node::Language>>(&mut self, out: &mut Outbox<N>) {
        for DeferredTurn { request, text, .. } in std::mem::take(&mut self.deferred) {
            self.publish(&request, &text, out);
        }
    }

    /// Drops the turns that wait.
    pub fn clear_deferred(&mut self) {
        self.deferred.clear();
    }

    /// Drops and reports the turns that have waited too long.
    pub fn drop_expired<N: Node<Name = node::Language>>(&mut self, now: Nanos, out: &mut Outbox<N>) {
        let before = self.deferred.len();
        self.deferred.retain(|turn| now.since(turn.since) < self.max_wait);
        for _ in self.deferred.len()..before {
            let text = format!("an answer could not be said within {} ms and is dropped", self.max_wait.as_millis());
            out.fault(now, Severity::Info, "answer-too-late", TURN, text);
        }
    }

    /// When a turn has waited, or the reply has been paused, for too long.
    pub fn expiries(&self) -> impl Iterator<Item = Nanos> {
        let paused = self.reply.as_ref().and_then(|reply| reply.paused_since);
        paused.into_iter().chain(self.deferred.iter().map(|turn| turn.since)).map(|since| since + self.max_wait)
    }

    /// Opens a turn. Its id is the time of the utterance, so that a restarted node does not use an id twice.
    fn open(&mut self, request: &Request) -> OpenTurn {
        self.last_id = request.header.stamp_ns.max(self.last_id.saturating_add(1));
        OpenTurn { request: request.clone(), id: self.last_id, text: None }
    }

    /// The message for the next piece of a turn.
    fn piece(&mut self, turn: &mut OpenTurn, text: &str, piece: Piece) -> v1::DialogueTurn {
        let first = turn.text.is_none();
        let published = turn.text.get_or_insert_default();
        published.push_str(text);
        if piece == Piece::Last {
            self.last_text = published.trim().to_owned();
        }
        v1::DialogueTurn {
            header: Some(turn.request.header),
            turn_id: turn.id,
            user_text: if first { turn.request.text.clone() } else { String::new() },
            text: text.to_owned(),
            first,
            last: piece != Piece::More,
            interrupted: piece == Piece::Interrupted,
            from_transcript_track: turn.request.from_track,
        }
    }
}
