//! The messages of `speech/utterance`.

use crate::{recognition::types::Recognition, transcript::track::AlignedLine};
use auriga_msgs::{
    TopicId,
    v1::{self, SpeakerZone, TranscriptSource},
};
use auriga_runtime::Nanos;

/// Makes utterances and numbers their traces: partial results share the trace of the final one.
#[derive(Debug, Default)]
pub(crate) struct UtteranceBuilder {
    /// Final utterances made so far.
    count: u64,
}

impl UtteranceBuilder {
    fn header(&self, stamp: Nanos) -> Option<v1::Header> {
        Some(v1::Header::new(stamp.0, v1::Header::trace(TopicId::SpeechUtterance, self.count)))
    }

    /// A partial result of the turn that began at `start`, as of `position`.
    pub(crate) fn partial(&self, text: String, start: Nanos, position: Nanos) -> v1::Utterance {
        v1::Utterance {
            header: self.header(position),
            text,
            r#final: false,
            source: TranscriptSource::Recognised.into(),
            speech_start_ns: start.0,
            speech_end_ns: position.0,
            ..Default::default()
        }
    }

    /// A recognised turn. Word times count from `recogniser_start`.
    pub(crate) fn recognised(
        &mut self,
        recognition: &Recognition,
        recogniser_start: Nanos,
        max_alternatives: usize,
        (start, end): (Nanos, Nanos),
        zone: SpeakerZone,
    ) -> v1::Utterance {
        let words = recognition.words.iter().map(|w| v1::Word {
            text: w.text.clone(),
            start_ns: (recogniser_start + w.start).0,
            end_ns: (recogniser_start + w.end).0,
            confidence: w.confidence,
        });
        let alternatives = recognition.alternatives.iter().take(max_alternatives);
        let alternatives = alternatives.map(|a| v1::Reading { text: a.text(), probability: a.probability });
        let utterance = v1::Utterance {
            header: self.header(end),
            words: words.collect(),
            alternatives: alternatives.collect(),
            confidence: recognition.confidence(),
            text: recognition.text(),
            r#final: true,
            source: TranscriptSource::Recognised.into(),
            speech_start_ns: start.0,
            speech_end_ns: end.0,
            zone: zone.into(),
        };
        self.count += 1;
        utterance
    }

    /// A line of the transcript track, with the part of its text that is addressed to the system.
    pub(crate) fn track_line(&mut self, line: &AlignedLine, text: String, zone: SpeakerZone) -> v1::Utterance {
        let utterance = v1::Utterance {
            header: self.header(line.end),
            text,
            r#final: true,
            source: TranscriptSource::Track.into(),
            speech_start_ns: line.start.0,
            speech_end_ns: line.end.0,
            confidence: 1.0,
            zone: zone.into(),
            ..Default::default()
        };
        self.count += 1;
        utterance
    }
}
