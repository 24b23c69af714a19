//! Utterances that wait for the model.

use super::phrasing::{
    clauses::clauses,
    repair::{Repaired, repaired, without_contrast},
};
use auriga_lm::intent::prompt::{MAX_UTTERANCE_CHARS, clean_utterance};
use auriga_msgs::{Stamped, node, v1};
use auriga_runtime::{Nanos, Node, Outbox};
use std::{collections::VecDeque, time::Duration};
use v1::Severity;

const UTTERANCE: &str = "speech/utterance";

/// How many utterances are remembered to recognise one that is received twice.
const MAX_RECENT: usize = 32;
/// Alternative transcripts that are tried at most.
const MAX_ALTERNATIVES: usize = 2;

/// An utterance of which the intent is wanted.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub header: v1::Header,
    pub text: String,
    /// Whether `text` had to be cut to the longest text that is accepted.
    pub is_cut: bool,
    /// Alternative transcripts, the most likely last.
    pub alternatives: Vec<String>,
    pub from_track: bool,
    pub by_passenger: bool,
    /// The speaker has taken it back.
    pub is_withdrawn: bool,
    /// Its text is one request of the utterance, with repairs made.
    is_read: bool,
    /// It is not the first request of the utterance.
    is_further: bool,
}

impl Request {
    /// From a final utterance, cut to `max_chars` characters.
    pub fn new(utterance: &v1::Utterance, max_chars: usize) -> Self {
        let header = utterance.header_copy();
        let end = utterance.text.char_indices().nth(max_chars).map(|(end, _)| end);
        Self {
            header: v1::Header::new(header.stamp_ns, header.trace_id),
            text: utterance.text[..end.unwrap_or(utterance.text.len())].to_owned(),
            is_cut: end.is_some(),
            alternatives: alternatives(utterance, max_chars),
            from_track: utterance.source() == v1::TranscriptSource::Track,
            by_passenger: utterance.zone() == v1::SpeakerZone::Passenger,
            is_withdrawn: false,
            is_read: false,
            is_further: false,
        }
    }

    /// The requests of the utterance in order, with the speaker's repairs made.
    fn read(self) -> Vec<Self> {
        if self.is_read {
            return vec![self];
        }
        let Repaired::Meant(meant) = repaired(&self.text) else {
            return vec![Self { is_withdrawn: true, is_read: true, alternatives: Vec::new(), ..self }];
        };
        let parts: Vec<String> = clauses(&meant).iter().map(|part| without_contrast(part)).collect();
        if let [only] = &parts[..] {
            // As it was said, where nothing was repaired.
            let is_same = *only == clean_utterance(&self.text);
            let text = if is_same { self.text.clone() } else { only.clone() };
            return vec![Self { text, is_read: true, ..self }];
        }
        let part = |(i, text): (usize, String)| self.part(text, i > 0);
        parts.into_iter().enumerate().map(part).collect()
    }

    /// One request of the utterance.
    fn part(&self, text: String, is_further: bool) -> Self {
        Self { text, alternatives: Vec::new(), is_read: true, is_further, ..self.clone() }
    }

    /// From when on the request is not answered any more.
    pub fn expires_at(&self, max_age: Duration) -> Nanos {
        Nanos(self.header.stamp_ns) + max_age + Duration::from_nanos(1)
    }

    /// A request without text for what is said later as a consequence of this one. `trace`: what led to it; 0: this request.
    pub fn follow_up(&self, trace: u64, now: Nanos) -> Self {
        let trace = if trace == 0 { self.header.trace_id } else { trace };
        let header = v1::Header::new(now.0, trace);
        Self { header, text: String::new(), is_cut: false, alternatives: Vec::new(), ..*self }
    }
}

/// Alternative transcripts of an utterance, the most likely last.
fn alternatives(utterance: &v1::Utterance, max_chars: usize) -> Vec<String> {
    let first = clean_utterance(&utterance.text);
    let texts = utterance.alternatives.iter().map(|alternative| &alternative.text);
    let differ = texts.filter(|text| {
        let clean = clean_utterance(text);
        !clean.is_empty() && clean != first && text.chars().count() <= max_chars
    });
    let mut alternatives: Vec<String> = differ.take(MAX_ALTERNATIVES).cloned().collect();
    alternatives.reverse();
    alternatives
}

/// Requests that have not been started, oldest first.
#[derive(Debug, Default)]
pub(crate) struct RequestQueue {
    waiting: VecDeque<Request>,
    /// Stamps and traces of the last utterances.
    recent: VecDeque<(u64, u64)>,
}

impl RequestQueue {
    /// The request of an utterance, cut to `max_chars` characters, which is reported. `None` if the utterance is partial, a
    /// duplicate or without words; the last two are reported.
    pub fn receive<N: Node<Name = node::Language>>(
        &mut self,
        utterance: &v1::Utterance,
        max_chars: usize,
        now: Nanos,
        out: &mut Outbox<N>,
    ) -> Option<Request> {
        // A partial transcript may still change.
        if !utterance.r#final {
            return None;
        }
        if self.is_duplicate(&utterance.header_copy()) {
            let text = "an utterance was received twice; the second is ignored";
            out.fault(now, Severity::Info, "utterance-duplicate", UTTERANCE, text);
            return None;
        }
        // The models take no more; what they do not get is not passed over in silence.
        let max_chars = max_chars.min(MAX_UTTERANCE_CHARS);
        let request = Request::new(utterance, max_chars);
        if clean_utterance(&request.text).is_empty() {
            let text = "a final utterance has no words and is ignored";
            out.fault(now, Severity::Info, "utterance-empty", UTTERANCE, text);
            return None;
        }
        if request.is_cut {
            let text = format!("an utterance is longer than {max_chars} characters (utterance_max_chars): refused");
            out.fault(now, Severity::Warning, "utterance-too-long", UTTERANCE, text);
        }
        Some(request)
    }

    /// Whether this utterance has been received before; remembers it.
    fn is_duplicate(&mut self, header: &v1::Header) -> bool {
        let key = (header.stamp_ns, header.trace_id);
        if self.recent.contains(&key) {
            return true;
        }
        if self.recent.len() == MAX_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(key);
        false
    }

    /// Adds a request. Of more than `capacity` the oldest is dropped and reported.
    pub fn push<N: Node<Name = node::Language>>(
        &mut self,
        request: Request,
        capacity: usize,
        now: Nanos,
        out: &mut Outbox<N>,
    ) {
        self.waiting.push_back(request);
        if self.waiting.len() > capacity {
            self.waiting.pop_front();
            let text = format!("more than {capacity} utterances wait (queue); the oldest is dropped");
            out.fault(now, Severity::Warning, "utterance-dropped", UTTERANCE, text);
        }
    }

    /// Takes the oldest request. Of several in one utterance, the further ones are the next.
    pub fn pop(&mut self) -> Option<Request> {
        let mut parts = self.waiting.pop_front()?.read().into_iter();
        let first = parts.next();
        parts.rev().for_each(|part| self.waiting.push_front(part));
        first
    }

    /// Puts a request that the same utterance holds as well before all others.
    pub fn push_further(&mut self, request: &Request, text: String) {
        self.waiting.push_front(request.part(text, true));
    }

    /// Whether the utterance of the request that was taken last holds more requests.
    pub fn has_further(&self) -> bool {
        self.waiting.front().is_some_and(|request| request.is_further)
    }

    /// Whether no request waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The requests, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Request> {
        self.waiting.iter()
    }

    /// Drops and reports the requests that have expired.
    pub fn drop_expired<N: Node<Name = node::Language>>(&mut self, max_age: Duration, now: Nanos, out: &mut Outbox<N>) {
        let before = self.waiting.len();
        self.waiting.retain(|request| now < request.expires_at(max_age));
        for _ in self.waiting.len()..before {
            Self::report_expired(max_age, now, out);
        }
    }

    /// Reports a request that has expired.
    pub fn report_expired<N: Node<Name = node::Language>>(max_age: Duration, now: Nanos, out: &mut Outbox<N>) {
        let text = format!("an utterance waited longer than {} ms and is not answered", max_age.as_millis());
        out.fault(now, Severity::Warning, "utterance-too-old", UTTERANCE, text);
    }
}
