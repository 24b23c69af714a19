//! The speech node: what is said in the cabin becomes utterances, and the reply is spoken.
//!
//! Audio comes from a device ([`capture`]) or a WAV file ([`wav`]). [`vad`] finds the turns of the speaker; their text
//! comes from a recogniser ([`recogniser`], whose model folder is first looked over: [`model`]) or, when there is none,
//! from the transcript track of a drive ([`transcript`], [`track`]), marked as such. Sentences of the reply ([`reply`])
//! are handed to a process that speaks ([`speak`]).
//!
//! An utterance is stamped with the end of speech, that is the last voiced sample; that the end of a turn takes
//! `end_silence_ms` to be sure of is part of the latency told from that stamp.
//!
//! Private: audio is published only with consent, text is never logged, and a fault never carries text.

pub mod capture;
mod config;
pub mod model;
pub mod recogniser;
pub mod reply;
pub mod resample;
pub mod speak;
pub mod spoken;
pub mod track;
pub mod transcript;
pub mod vad;
pub mod wav;

pub use config::{Config, DEFAULTS};

use auriga_msgs::{Stamped, TopicId, node, topic, v1};
use auriga_runtime::{Nanos, Node, Outbox};
use model::ModelError;
use recogniser::{Recogniser, RecogniserError};
use reply::Reply;
use std::{collections::VecDeque, fmt, time::Duration};
use track::Track;
use v1::Severity;
use vad::{Event, SAMPLE_NS, SAMPLE_RATE_HZ, Taken, TurnDetector};

/// The subject of faults about audio.
const AUDIO: &str = "device/audio";
/// A longer chunk is not audio as it comes.
const MAX_CHUNK_BYTES: usize = 10 * 2 * SAMPLE_RATE_HZ as usize;
/// The recogniser also gets what came this shortly before the detector was sure of a voice.
const LEAD_IN_SAMPLES: usize = SAMPLE_RATE_HZ as usize * 3 / 10;
/// Audio that stays away this long ends the turn under way.
const AUDIO_LOST: Duration = Duration::from_millis(500);
/// Partial results are published at most this often.
const PARTIAL_PERIOD: Duration = Duration::from_millis(200);
/// Samples at full scale, and how many of them in a chunk are more than a peak: the microphone is overdriven.
const FULL_SCALE: i16 = 32_700;
const CLIPPED_SHARE: usize = 20;

/// What the shell is asked to do.
#[derive(Clone, PartialEq, Eq)]
pub enum Effect {
    /// Speak this sentence after those before it.
    Speak(String),
    /// Be silent at once and forget what was still to be said.
    StopSpeaking,
}

impl fmt::Debug for Effect {
    /// Without the text: it is private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Effect::Speak(text) => write!(f, "Speak({} bytes)", text.len()),
            Effect::StopSpeaking => f.write_str("StopSpeaking"),
        }
    }
}

/// The state machine.
pub struct SpeechNode {
    config: Config,
    detector: TurnDetector,
    recogniser: Option<Box<dyn Recogniser>>,
    /// Why there is no recogniser although a model was given; told at the first tick.
    model_error: Option<String>,
    /// The last samples before a turn, for the recogniser.
    lead_in: VecDeque<i16>,
    /// Time of the first sample the recogniser got of this turn.
    recogniser_began: Nanos,
    track: Track,
    reply: Reply,
    partial: Partial,
    /// Utterances begun so far: the count of the trace.
    utterances: u64,
    chunks: u64,
    last_audio: Option<Nanos>,
    first_audio: Option<Nanos>,
    deaf_told: bool,
}

#[derive(Default)]
struct Partial {
    text: String,
    published: Nanos,
    speech_start: Nanos,
}

impl SpeechNode {
    /// `recogniser` as [`recogniser::open`] gives it: a model that cannot be used becomes a fault, and the node goes on
    /// without.
    pub fn new(config: &Config, recogniser: Result<Option<Box<dyn Recogniser>>, ModelError>) -> anyhow::Result<Self> {
        config.check()?;
        let (recogniser, model_error) = match recogniser {
            Ok(recogniser) => (recogniser, None),
            Err(e) => (None, Some(e.to_string())),
        };
        Ok(Self {
            config: config.clone(),
            detector: TurnDetector::new(config.turns()),
            recogniser,
            model_error,
            lead_in: VecDeque::with_capacity(LEAD_IN_SAMPLES),
            recogniser_began: Nanos::ZERO,
            track: Track::default(),
            reply: Reply::default(),
            partial: Partial::default(),
            utterances: 0,
            chunks: 0,
            last_audio: None,
            first_audio: None,
            deaf_told: false,
        })
    }

    fn on_audio(&mut self, chunk: &v1::AudioChunk, now: Nanos, out: &mut Outbox<Self>) {
        let samples = match samples(chunk) {
            Ok(samples) => samples,
            Err(what) => return out.fault(now, Severity::Warning, "audio-format", AUDIO, what),
        };
        let stamp = Nanos(chunk.header_copy().stamp_ns);
        self.first_chunk(stamp);
        let was_speaking = self.detector.speaking();
        let mut events = Vec::new();
        match self.detector.push(stamp, &samples, &mut |event| events.push(event)) {
            Taken::Whole => {}
            Taken::AfterGap(gap) => {
                let text = format!("{} ms of audio are missing; taken for silence", gap.as_millis());
                out.fault(now, Severity::Info, "audio-gap", AUDIO, text);
            }
            Taken::Not(back) => {
                let text = format!("a chunk lies {} ms before the audio heard already; left out", back.as_millis());
                return out.fault(now, Severity::Warning, "audio-out-of-order", AUDIO, text);
            }
        }
        self.last_audio = Some(now);
        out.tick_at(now + AUDIO_LOST);
        self.check_level(&samples, now, out);
        if self.config.consent_recording {
            let trace = v1::Header::trace(TopicId::SpeechAudio, self.chunks);
            out.publish::<topic::SpeechAudio>(v1::AudioChunk {
                header: Some(v1::Header::new(stamp.0, trace)),
                ..chunk.clone()
            });
        }
        self.chunks += 1;
        let starts = events.iter().any(|e| matches!(e, Event::Started(_)));
        if starts && !was_speaking {
            let lead_in: Vec<i16> = self.lead_in.drain(..).collect();
            self.recogniser_began = stamp - Duration::from_nanos(lead_in.len() as u64 * SAMPLE_NS);
            self.recognise(&lead_in, now, out);
        }
        if was_speaking || starts {
            self.recognise(&samples, now, out);
        }
        for event in events {
            self.on_event(event, now, out);
        }
        if self.detector.speaking() {
            self.publish_partial(now, out);
        } else {
            self.remember(&samples);
        }
        self.publish_due_lines(Duration::ZERO, now, out);
        self.tell_if_deaf(now, out);
    }

    fn first_chunk(&mut self, stamp: Nanos) {
        if self.first_audio.is_none() {
            self.first_audio = Some(stamp);
            self.track.begin(stamp);
        }
    }

    fn check_level(&self, samples: &[i16], now: Nanos, out: &mut Outbox<Self>) {
        let clipped = samples.iter().filter(|s| s.unsigned_abs() >= FULL_SCALE as u16).count();
        if clipped * CLIPPED_SHARE > samples.len() {
            let text = "the audio is at full scale; turn the microphone's gain down";
            out.fault(now, Severity::Info, "audio-clipping", AUDIO, text);
        }
    }

    fn remember(&mut self, samples: &[i16]) {
        let keep = &samples[samples.len().saturating_sub(LEAD_IN_SAMPLES)..];
        let surplus = (self.lead_in.len() + keep.len()).saturating_sub(LEAD_IN_SAMPLES);
        self.lead_in.drain(..surplus);
        self.lead_in.extend(keep);
    }

    fn on_event(&mut self, event: Event, now: Nanos, out: &mut Outbox<Self>) {
        match event {
            Event::Started(at) => {
                self.partial = Partial { speech_start: at, published: now, ..Default::default() };
                if self.config.barge_in && self.reply.interrupt() {
                    out.effect(Effect::StopSpeaking);
                }
            }
            Event::Ended { start, end } => {
                if self.recogniser.is_some() {
                    self.publish_recognised(start, end, now, out);
                } else {
                    self.track.heard(start, end);
                }
            }
        }
    }

    fn recognise(&mut self, samples: &[i16], now: Nanos, out: &mut Outbox<Self>) {
        let result = self.recogniser.as_mut().map(|r| r.accept(samples));
        self.unless_failed(result, now, out);
    }

    /// The result of the recogniser, which is given up when it failed.
    fn unless_failed<T>(
        &mut self,
        result: Option<Result<T, RecogniserError>>,
        now: Nanos,
        out: &mut Outbox<Self>,
    ) -> Option<T> {
        result?
            .inspect_err(|e| {
                self.recogniser = None;
                let text = format!("{e}; the node goes on without it, restart it to try again");
                out.fault(now, Severity::Critical, "speech-recogniser-failed", "recogniser", text);
            })
            .ok()
    }

    fn publish_partial(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        if !self.config.partials || now.since(self.partial.published) < PARTIAL_PERIOD {
            return;
        }
        let result = self.recogniser.as_mut().map(|r| r.partial());
        let Some(text) = self.unless_failed(result, now, out) else { return };
        if text.is_empty() || text == self.partial.text {
            return;
        }
        let until = self.detector.position().unwrap_or(now);
        out.publish::<topic::SpeechUtterance>(v1::Utterance {
            header: Some(v1::Header::new(until.0, self.trace())),
            text: text.clone(),
            r#final: false,
            source: v1::TranscriptSource::Recognised.into(),
            speech_start_ns: self.partial.speech_start.0,
            speech_end_ns: until.0,
            ..Default::default()
        });
        (self.partial.text, self.partial.published) = (text, now);
    }

    fn publish_recognised(&mut self, start: Nanos, end: Nanos, now: Nanos, out: &mut Outbox<Self>) {
        let result = self.recogniser.as_mut().map(|r| r.finish());
        let Some(heard) = self.unless_failed(result, now, out) else { return };
        if heard.text.is_empty() {
            return;
        }
        let words = heard.words.iter().map(|w| v1::Word {
            text: w.text.clone(),
            start_ns: (self.recogniser_began + w.start).0,
            end_ns: (self.recogniser_began + w.end).0,
            confidence: w.confidence,
        });
        let utterance = v1::Utterance {
            header: Some(v1::Header::new(end.0, self.trace())),
            words: words.collect(),
            confidence: heard.confidence(),
            text: heard.text,
            r#final: true,
            source: v1::TranscriptSource::Recognised.into(),
            speech_start_ns: start.0,
            speech_end_ns: end.0,
            zone: v1::SpeakerZone::Unknown.into(),
        };
        self.utterances += 1;
        out.publish::<topic::SpeechUtterance>(utterance);
    }

    /// `silence`: how long no audio has come.
    fn publish_due_lines(&mut self, silence: Duration, now: Nanos, out: &mut Outbox<Self>) {
        if self.recogniser.is_some() {
            return;
        }
        let Some(position) = self.detector.position().map(|p| p + silence) else { return };
        let (due, unheard) = self.track.due(position, self.detector.speaking());
        for line in due {
            out.publish::<topic::SpeechUtterance>(v1::Utterance {
                header: Some(v1::Header::new(line.end.0, self.trace())),
                text: line.text,
                r#final: true,
                source: v1::TranscriptSource::Track.into(),
                speech_start_ns: line.start.0,
                speech_end_ns: line.end.0,
                words: Vec::new(),
                confidence: 1.0,
                zone: v1::SpeakerZone::Unknown.into(),
            });
            self.utterances += 1;
        }
        for _ in 0..unheard {
            let text = "a line of the transcript track was not heard in the audio; do the two belong together?";
            out.fault(now, Severity::Warning, "transcript-unheard", "device/transcript", text);
        }
    }

    /// The trace of the utterance under way; partial results and the final one share it.
    fn trace(&self) -> u64 {
        v1::Header::trace(TopicId::SpeechUtterance, self.utterances)
    }

    fn tell_if_deaf(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        let (Some(first), Some(position)) = (self.first_audio, self.detector.position()) else { return };
        let deaf = self.recogniser.is_none() && !self.track.given();
        // A track is handed in when the audio begins; it may be a moment later.
        if deaf && !self.deaf_told && position.since(first) >= Duration::from_secs(1) {
            self.deaf_told = true;
            let text = "there is audio, but neither a recogniser nor a transcript track: nothing will be understood; \
                        give the node a model folder (model) or a track (transcript)";
            out.fault(now, Severity::Warning, "speech-not-understood", AUDIO, text);
        }
    }
}

/// The samples of a chunk; else what is wrong with it.
fn samples(chunk: &v1::AudioChunk) -> Result<Vec<i16>, String> {
    if (chunk.sample_rate_hz, chunk.channels) != (SAMPLE_RATE_HZ, 1) {
        let (rate, channels) = (chunk.sample_rate_hz, chunk.channels);
        return Err(format!("expected {SAMPLE_RATE_HZ} Hz with 1 channel, found {rate} Hz with {channels}"));
    }
    let bytes = &chunk.pcm_s16le;
    if !bytes.len().is_multiple_of(2) || bytes.len() > MAX_CHUNK_BYTES {
        return Err(format!("expected whole 16-bit samples of at most 10 s, found {} bytes", bytes.len()));
    }
    Ok(bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect())
}

impl Node for SpeechNode {
    type Name = node::Speech;
    type Effect = Effect;

    fn on_input(&mut self, input: node::SpeechInput, now: Nanos, out: &mut Outbox<Self>) {
        match input {
            node::SpeechInput::DeviceAudio(chunk) => self.on_audio(&chunk, now, out),
            node::SpeechInput::DeviceTranscript(line) => {
                if !self.track.add(&line) {
                    let text = "a line ends before it starts, or there are too many; left out";
                    out.fault(now, Severity::Warning, "transcript-line", "device/transcript", text);
                }
            }
            node::SpeechInput::LanguageTurn(piece) => {
                for sentence in self.reply.take(&piece) {
                    out.effect(Effect::Speak(sentence));
                }
            }
        }
    }

    fn on_tick(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        if let Some(error) = self.model_error.take() {
            let text = format!("{error}. The node goes on without recogniser");
            out.fault(now, Severity::Critical, "speech-model", "model", text);
        }
        let Some(last) = self.last_audio else { return };
        if now.since(last) < AUDIO_LOST {
            out.tick_at(last + AUDIO_LOST);
        } else if self.detector.speaking() {
            let mut events = Vec::new();
            self.detector.finish(&mut |event| events.push(event));
            for event in events {
                self.on_event(event, now, out);
            }
        }
        if now.since(last) >= AUDIO_LOST && self.track.holding() {
            // Without audio the time it would have come to goes on.
            self.publish_due_lines(now.since(last), now, out);
            out.tick_at(now + AUDIO_LOST);
        }
    }
}
