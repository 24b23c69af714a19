//! What goes out: utterances, from the recogniser or from the transcript track.

use crate::{SpeechNode, attention::Activation, listen::AUDIO, recogniser::Recognition, track::HeardLine};
use auriga_msgs::{TopicId, topic, v1};
use auriga_runtime::{Nanos, Outbox};
use std::time::Duration;
use v1::Severity;

/// Partial results are published at most this often.
const PARTIAL_PERIOD: Duration = Duration::from_millis(200);

impl SpeechNode {
    /// The trace of the utterance under way; partial results and the final one share it.
    fn trace(&self) -> u64 {
        v1::Header::trace(TopicId::SpeechUtterance, self.utterances)
    }

    pub(crate) fn publish_partial(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        if !self.config.partials || now.since(self.turn.published) < PARTIAL_PERIOD {
            return;
        }
        let result = self.hearing.as_mut().filter(|h| h.ours()).map(|h| h.partial());
        let Some(text) = self.unless_failed(result, now, out) else { return };
        if text.is_empty() || text == self.turn.partial {
            return;
        }
        let until = self.detector.position().unwrap_or(now);
        out.publish::<topic::SpeechUtterance>(v1::Utterance {
            header: Some(v1::Header::new(until.0, self.trace())),
            text: text.clone(),
            r#final: false,
            source: v1::TranscriptSource::Recognised.into(),
            speech_start_ns: self.turn.start.0,
            speech_end_ns: until.0,
            ..Default::default()
        });
        (self.turn.partial, self.turn.published) = (text, now);
    }

    pub(crate) fn publish_recognised(&mut self, heard: Recognition, start: Nanos, end: Nanos, out: &mut Outbox<Self>) {
        if heard.words.is_empty() {
            return;
        }
        self.attention.keep(end);
        let began = self.turn.recogniser_began;
        let words = heard.words.iter().map(|w| v1::Word {
            text: w.text.clone(),
            start_ns: (began + w.start).0,
            end_ns: (began + w.end).0,
            confidence: w.confidence,
        });
        let alternatives = heard.alternatives.iter().take(self.config.alternatives.into());
        let alternatives = alternatives.map(|a| v1::Reading { text: a.text(), probability: a.probability });
        let utterance = v1::Utterance {
            header: Some(v1::Header::new(end.0, self.trace())),
            words: words.collect(),
            alternatives: alternatives.collect(),
            confidence: heard.confidence(),
            text: heard.text(),
            r#final: true,
            source: v1::TranscriptSource::Recognised.into(),
            speech_start_ns: start.0,
            speech_end_ns: end.0,
            zone: self.zones.of(start, end).into(),
        };
        self.utterances += 1;
        out.publish::<topic::SpeechUtterance>(utterance);
    }

    /// `silence`: how long no audio has come.
    pub(crate) fn publish_due_lines(&mut self, silence: Duration, now: Nanos, out: &mut Outbox<Self>) {
        if self.hearing.is_some() {
            return;
        }
        let Some(position) = self.detector.position().map(|p| p + silence) else { return };
        let (due, unheard) = self.track.due(position, self.detector.speaking());
        for line in due {
            self.publish_line(line, out);
        }
        for _ in 0..unheard {
            let text = "a line of the transcript track was not heard in the audio; do the two belong together?";
            out.fault(now, Severity::Warning, "transcript-unheard", "device/transcript", text);
        }
    }

    /// A line of the track is for the car on the same terms as what is recognised.
    fn publish_line(&mut self, line: HeardLine, out: &mut Outbox<Self>) {
        let overlaps = |&(start, end): &(Nanos, Nanos)| line.start < end && start < line.end;
        let ours = self.turn.last_ours.as_ref().is_some_and(overlaps);
        let text = match ours {
            true => Some(self.phrases.without(&line.text).to_owned()),
            false if self.attention.activation() == Activation::WakeWord => self.phrases.after(&line.text),
            false => None,
        };
        let Some(text) = text else { return };
        self.attention.keep(line.end);
        if text.is_empty() {
            return;
        }
        out.publish::<topic::SpeechUtterance>(v1::Utterance {
            header: Some(v1::Header::new(line.end.0, self.trace())),
            text,
            r#final: true,
            source: v1::TranscriptSource::Track.into(),
            speech_start_ns: line.start.0,
            speech_end_ns: line.end.0,
            confidence: 1.0,
            zone: self.zones.of(line.start, line.end).into(),
            ..Default::default()
        });
        self.utterances += 1;
    }

    pub(crate) fn tell_if_deaf(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        let (Some(first), Some(position)) = (self.first_audio, self.detector.position()) else { return };
        let deaf = self.hearing.is_none() && !self.track.given();
        // A track is handed in when the audio begins; it may be a moment later.
        if deaf && !self.deaf_told && position.since(first) >= Duration::from_secs(1) {
            self.deaf_told = true;
            let text = "there is audio, but neither a recogniser nor a transcript track: nothing will be understood; \
                        give the node a model folder (model) or a track (transcript)";
            out.fault(now, Severity::Warning, "speech-not-understood", AUDIO, text);
        }
    }
}
