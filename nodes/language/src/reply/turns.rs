//! What is said to the driver, when: turns in pieces, and what waits for its moment.

use crate::{
    LanguageNode, ReplyTask, Request,
    engine::interface::{Class, EngineError},
    ms,
    reply::{
        canned,
        draft::DraftOutput,
        verbosity::{DriverWorkload, Verbosity},
    },
    understand::facts::Observation,
};
use auriga_msgs::{Stamped, topic, v1};
use auriga_runtime::{Nanos, Outbox};
use std::time::Duration;
use v1::Severity;

/// A reply as it is published, piece by piece.
pub(crate) struct OpenTurn {
    pub heard: Request,
    id: u64,
    /// What has been said of it; `None` before the first piece.
    said: Option<String>,
}

/// What a piece is to the turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    More,
    Last,
    Interrupted,
}

/// A whole turn that waits until it may be said.
pub(crate) struct DeferredTurn {
    heard: Request,
    text: String,
    since: Nanos,
}

/// Whether a sentence waits when there is danger.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// The driver or the drive is in trouble: said at once.
    Immediate,
    Deferrable,
}

impl LanguageNode {
    /// How much may be said now.
    pub(crate) fn talk(&self, now: Nanos) -> Verbosity {
        let mode = self.mode.filter(|(_, until)| now < *until).map(|(mode, _)| mode);
        let max_age = ms(self.config.scene_max_age_ms);
        let fresh = self.scene.as_deref().filter(|s| now.since(Nanos(s.header_copy().stamp_ns)) <= max_age);
        let driving = match fresh {
            Some(scene) => {
                let facts = Observation::of(Some(scene), now, max_age).facts;
                DriverWorkload::of(scene, facts.speed_mps, facts.driving_load, mode)
            }
            None => DriverWorkload { mode, ..Default::default() },
        };
        driving.talk(self.config.reply_brief_from_mps)
    }

    /// A whole turn in plain sentences; it takes the place of a reply under way.
    pub(crate) fn say(&mut self, heard: &Request, text: &str, urgency: Urgency, now: Nanos, out: &mut Outbox<Self>) {
        self.interrupt_reply(out);
        if urgency == Urgency::Deferrable && self.talk(now) == Verbosity::Silent {
            return self.wait(heard, text, now);
        }
        let mut turn = self.turn(heard);
        self.publish_piece(&mut turn, text, Piece::Last, out);
    }

    /// A turn that is said as soon as nothing else is; of too many the oldest is dropped.
    pub(crate) fn wait(&mut self, heard: &Request, text: &str, now: Nanos) {
        if self.waiting.len() >= self.config.queue {
            self.waiting.pop_front();
        }
        self.waiting.push_back(DeferredTurn { heard: heard.clone(), text: text.to_owned(), since: now });
    }

    /// Says what has waited, unless it is too late.
    pub(crate) fn say_what_waits(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        let longest = ms(self.config.reply_max_pause_ms);
        let before = self.waiting.len();
        self.waiting.retain(|waiting| now.since(waiting.since) < longest);
        for _ in self.waiting.len()..before {
            let text = format!("an answer could not be said for {} ms and is given up", longest.as_millis());
            out.fault(now, Severity::Info, "answer-too-late", "language/turn", text);
        }
        let free = self.reply.is_none() && self.intent.is_none() && self.queue.is_empty();
        if free && !self.waiting.is_empty() && self.talk(now) != Verbosity::Silent {
            for DeferredTurn { heard, text, .. } in std::mem::take(&mut self.waiting) {
                let mut turn = self.turn(&heard);
                self.publish_piece(&mut turn, &text, Piece::Last, out);
            }
        }
    }

    /// When what may be said changes by the clock alone, or what waits is given up.
    pub(crate) fn wakes(&self, now: Nanos) -> impl Iterator<Item = Nanos> {
        let longest = ms(self.config.reply_max_pause_ms);
        let holds = !self.waiting.is_empty() || self.reply.is_some();
        let stale = self.scene.as_ref().map(|s| {
            let stamp = Nanos(s.header_copy().stamp_ns);
            stamp + ms(self.config.scene_max_age_ms) + Duration::from_nanos(1)
        });
        let until = stale.into_iter().chain(self.mode.map(|(_, until)| until)).filter(move |at| holds && *at > now);
        let given_up = self.waiting.iter().map(move |waiting| waiting.since + longest);
        let late = self.pending.iter().map(|pending| pending.until);
        until.chain(given_up).chain(late).chain(self.outlook_changes(now))
    }

    /// The model broke down at this: said by fault and to the driver.
    pub(crate) fn model_failed(&mut self, heard: &Request, error: &EngineError, now: Nanos, out: &mut Outbox<Self>) {
        let text = format!("{error}; a request was not answered, check the checkpoint");
        out.fault(now, Severity::Critical, "language-model-failed", "checkpoint", text);
        self.say(heard, canned::MODEL_FAILED, Urgency::Deferrable, now, out);
    }

    pub(crate) fn reply_goes_on(&mut self, text: &str, now: Nanos, out: &mut Outbox<Self>) {
        let Some(mut reply) = self.reply.take() else { return };
        match reply.draft.push(text, &self.plain) {
            DraftOutput::Incomplete => self.reply = Some(reply),
            DraftOutput::Sentences(text) => {
                self.publish_piece(&mut reply.turn, &text, Piece::More, out);
                self.reply = Some(reply);
            }
            DraftOutput::Final { text, replaced } => self.close_reply(reply, &text, replaced, now, out),
        }
    }

    pub(crate) fn reply_ends(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        let Some(mut reply) = self.reply.take() else { return };
        if let DraftOutput::Final { text, replaced } = reply.draft.finish(&self.plain) {
            self.close_reply(reply, &text, replaced, now, out);
        }
    }

    fn close_reply(&mut self, mut reply: ReplyTask, text: &str, replaced: bool, now: Nanos, out: &mut Outbox<Self>) {
        if replaced {
            let text = "the model's reply had a number that is not the scene's, or no sentence short enough; a plain \
                        sentence took its place";
            out.fault(now, Severity::Info, "reply-replaced", "language/turn", text);
        }
        self.publish_piece(&mut reply.turn, text, Piece::Last, out);
        if let Ok(engine) = &mut self.model {
            engine.abandon(Class::Dialogue);
        }
    }

    /// Ends the reply under way, if there is one, before it is whole.
    pub(crate) fn interrupt_reply(&mut self, out: &mut Outbox<Self>) {
        let Some(mut reply) = self.reply.take() else { return };
        self.publish_piece(&mut reply.turn, "", Piece::Interrupted, out);
        if let Ok(engine) = &mut self.model {
            engine.abandon(Class::Dialogue);
        }
    }

    /// A new turn. Its id is the utterance's time, so that a restarted node does not use one again.
    pub(crate) fn turn(&mut self, heard: &Request) -> OpenTurn {
        self.last_turn = heard.header.stamp_ns.max(self.last_turn.saturating_add(1));
        OpenTurn { heard: heard.clone(), id: self.last_turn, said: None }
    }

    fn publish_piece(&mut self, turn: &mut OpenTurn, text: &str, piece: Piece, out: &mut Outbox<Self>) {
        let first = turn.said.is_none();
        out.publish::<topic::LanguageTurn>(v1::DialogueTurn {
            header: Some(turn.heard.header),
            turn_id: turn.id,
            user_text: if first { turn.heard.text.clone() } else { String::new() },
            text: text.to_owned(),
            first,
            last: piece != Piece::More,
            interrupted: piece == Piece::Interrupted,
            from_transcript_track: turn.heard.from_track,
        });
        let said = turn.said.get_or_insert_default();
        said.push_str(text);
        if piece == Piece::Last {
            self.last_said = said.trim().to_owned();
        }
    }
}
