//! The state machine.

use crate::{
    config::Config,
    input::{audio::samples, level::Meter, zone::Zones},
    output::reply::Reply,
    recognition::{
        addressed::Hearing,
        model::check::ModelError,
        vosk::{Opened, RecogniserError, Recognition},
        wake_word::WakePhrases,
    },
    transcript::track::{HeardLine, Track},
    turns::{
        attention::{Activation, Attention, Press},
        endpointing as patience,
        vad::{Event, SAMPLE_NS, SAMPLE_RATE_HZ, Taken, TurnDetector},
    },
};
use auriga_msgs::{Stamped, TopicId, node, topic, v1};
use auriga_runtime::{Nanos, Node, Outbox};
use std::{collections::VecDeque, fmt, time::Duration};
use v1::Severity;

/// Audio that stays away this long ends the turn under way.
const AUDIO_LOST: Duration = Duration::from_millis(500);
/// The subject of faults about audio.
const AUDIO: &str = "device/audio";
/// Chunks are worked off in pieces of 20 ms, so that their size does not matter.
const PIECE: usize = SAMPLE_RATE_HZ as usize / 50;
/// The recogniser also gets what came this shortly before the detector was sure of a voice.
const LEAD_IN: usize = SAMPLE_RATE_HZ as usize * 3 / 10;
/// Samples at full scale, and how many of them in a chunk are more than a peak: the microphone is overdriven.
const FULL_SCALE: i16 = 32_700;
const CLIPPED_SHARE: usize = 20;
/// Presses and releases that wait for the audio.
const MAX_EDGES: usize = 16;
/// How long a byte of a reply takes to be spoken, about.
const SPOKEN_BYTE: Duration = Duration::from_millis(65);
/// Partial results are published at most this often.
const PARTIAL_PERIOD: Duration = Duration::from_millis(200);

/// What the shell is asked to do.
#[derive(Clone, PartialEq, Eq)]
pub enum Effect {
    /// Speak this sentence after those before it.
    Speak(String),
    /// Be silent at once, but go on from there when told to.
    HoldSpeaking,
    GoOnSpeaking,
    /// Be silent at once and forget what was still to be said.
    StopSpeaking,
}

impl fmt::Debug for Effect {
    /// Without the text: it is private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Effect::Speak(text) => write!(f, "Speak({} bytes)", text.len()),
            Effect::HoldSpeaking => f.write_str("HoldSpeaking"),
            Effect::GoOnSpeaking => f.write_str("GoOnSpeaking"),
            Effect::StopSpeaking => f.write_str("StopSpeaking"),
        }
    }
}

/// The state machine.
pub struct SpeechNode {
    config: Config,
    detector: TurnDetector,
    attention: Attention,
    phrases: WakePhrases,
    hearing: Option<Hearing>,
    /// What to tell about the model at the first tick: why there is none although one was given, or what it lacks.
    model_error: Option<String>,
    remarks: Vec<String>,
    /// The last samples before a turn, for the recogniser.
    lead_in: VecDeque<i16>,
    turn: Turn,
    /// Presses and releases of the talk button that the audio has not come to yet.
    button: VecDeque<(Nanos, bool)>,
    button_down: bool,
    track: Track,
    zones: Zones,
    meter: Meter,
    reply: Reply,
    reply_held: bool,
    /// Until when the reply so far is spoken, as it is guessed from its length.
    reply_until: Nanos,
    /// Utterances begun so far: the count of the trace.
    utterances: u64,
    chunks: u64,
    last_audio: Option<Nanos>,
    first_audio: Option<Nanos>,
    deaf_told: bool,
    wakes: u64,
}

/// The turn under way, or the last one.
#[derive(Default)]
struct Turn {
    start: Nanos,
    /// Time of the first sample the recogniser got.
    recogniser_began: Nanos,
    /// It is for the car without a wake phrase.
    ours: bool,
    /// The partial result published last, and when.
    partial: String,
    published: Nanos,
    /// The pause under way was thought about.
    pause_seen: bool,
    /// The last turn that was for the car.
    last_ours: Option<(Nanos, Nanos)>,
}

impl SpeechNode {
    /// `opened` as [`recogniser::open`] gives it: a model that cannot be used becomes a fault, and the node goes on
    /// without.
    pub fn new(config: &Config, opened: Result<Option<Opened>, ModelError>) -> anyhow::Result<Self> {
        config.check()?;
        let (opened, model_error) = match opened {
            Ok(opened) => (opened, None),
            Err(e) => (None, Some(e.to_string())),
        };
        let phrases = WakePhrases::new(&config.wake_phrases);
        let mut remarks = Vec::new();
        let hearing = opened.map(|mut opened| {
            remarks.append(&mut opened.remarks);
            Hearing::new(opened.recogniser, phrases.clone(), config.wake_confidence)
        });
        let longest = Duration::from_secs(config.longest_turn_s);
        Ok(Self {
            config: config.clone(),
            detector: TurnDetector::new(config.turns()),
            attention: Attention::new(config.activation, Duration::from_secs_f64(config.attention_s), longest),
            phrases,
            hearing,
            model_error,
            remarks,
            lead_in: VecDeque::with_capacity(LEAD_IN),
            turn: Turn::default(),
            button: VecDeque::new(),
            button_down: false,
            track: Track::default(),
            zones: Zones::new(config.seats()?),
            meter: Meter::default(),
            reply: Reply::default(),
            reply_held: false,
            reply_until: Nanos::ZERO,
            utterances: 0,
            chunks: 0,
            last_audio: None,
            first_audio: None,
            deaf_told: false,
            wakes: 0,
        })
    }

    /// How often the wake phrase has been heard.
    pub fn wakes(&self) -> u64 {
        self.wakes
    }
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
            node::SpeechInput::VehicleState(state) => self.on_vehicle(&state, now, out),
            node::SpeechInput::LanguageTurn(piece) => self.on_reply(&piece, now, out),
        }
    }

    fn on_tick(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        if let Some(error) = self.model_error.take() {
            let text = format!("{error}. The node goes on without recogniser");
            out.fault(now, Severity::Critical, "speech-model", "model", text);
        }
        for remark in self.remarks.drain(..) {
            out.fault(now, Severity::Info, "speech-vocabulary", "model", remark);
        }
        let Some(last) = self.last_audio else { return };
        if now.since(last) < AUDIO_LOST {
            out.tick_at(last + AUDIO_LOST);
        } else {
            self.audio_lost(now.since(last), now, out);
        }
    }
}

impl SpeechNode {
    fn on_audio(&mut self, chunk: &v1::AudioChunk, now: Nanos, out: &mut Outbox<Self>) {
        let samples = match samples(chunk) {
            Ok(samples) => samples,
            Err(what) => return out.fault(now, Severity::Warning, "audio-format", AUDIO, what),
        };
        let stamp = Nanos(chunk.header_copy().stamp_ns);
        let samples = self.zones.hear(stamp, samples, chunk.channels);
        self.first_chunk(stamp);
        let mut at = stamp;
        for piece in samples.chunks(PIECE) {
            if !self.on_piece(at, piece, now, out) {
                return;
            }
            at = at + Duration::from_nanos(piece.len() as u64 * SAMPLE_NS);
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
        self.publish_due_lines(Duration::ZERO, now, out);
        self.tell_if_deaf(now, out);
    }

    fn first_chunk(&mut self, stamp: Nanos) {
        if self.first_audio.is_none() {
            self.first_audio = Some(stamp);
            self.track.begin(stamp);
        }
    }

    /// At most 20 ms of audio. False when it lies before what was heard already.
    fn on_piece(&mut self, stamp: Nanos, samples: &[i16], now: Nanos, out: &mut Outbox<Self>) -> bool {
        let was_speaking = self.detector.speaking();
        self.be_patient(now, out);
        let mut events = Vec::new();
        match self.detector.push(stamp, samples, &mut |event| events.push(event)) {
            Taken::Whole => {}
            Taken::AfterGap(gap) => {
                let text = format!("{} ms of audio are missing; taken for silence", gap.as_millis());
                out.fault(now, Severity::Info, "audio-gap", AUDIO, text);
                self.meter.lost(gap);
            }
            Taken::Not(back) => {
                let text = format!("a chunk lies {} ms before the audio heard already; left out", back.as_millis());
                out.fault(now, Severity::Warning, "audio-out-of-order", AUDIO, text);
                return false;
            }
        }
        let mut heard = false;
        for event in events {
            match event {
                Event::Started(at) => self.on_started(at, LEAD_IN, stamp, now, out),
                Event::Ended { start, end } => {
                    if was_speaking {
                        self.recognise(samples, now, out);
                        heard = true;
                    }
                    self.on_ended(start, end, now, out);
                }
            }
        }
        if self.detector.speaking() {
            // Of two turns in one piece the first one has it.
            if !heard {
                self.recognise(samples, now, out);
            }
            self.publish_partial(now, out);
        } else {
            self.remember(samples);
        }
        self.hold_reply(out);
        self.work_off_button(now, out);
        true
    }

    /// The first moment of a voice holds the reply; the turn that may follow stops it, and without one it goes on.
    fn hold_reply(&mut self, out: &mut Outbox<Self>) {
        let holds = self.config.barge_in && self.reply.speaking() && self.detector.rising();
        if holds != std::mem::replace(&mut self.reply_held, holds) && self.reply.speaking() {
            out.effect(if holds { Effect::HoldSpeaking } else { Effect::GoOnSpeaking });
        }
    }

    /// `audio`: the time of the next sample that the recogniser will get.
    fn on_started(&mut self, at: Nanos, lead_in: usize, audio: Nanos, now: Nanos, out: &mut Outbox<Self>) {
        let surplus = self.lead_in.len().saturating_sub(lead_in);
        let before: Vec<i16> = self.lead_in.drain(..).skip(surplus).collect();
        let recogniser_began = audio - Duration::from_nanos(before.len() as u64 * SAMPLE_NS);
        let ours = self.attention.awake(at);
        self.turn = Turn { start: at, recogniser_began, ours, published: now, ..std::mem::take(&mut self.turn) };
        self.turn.partial.clear();
        self.turn.pause_seen = false;
        self.barge_in(now, out);
        if let Some(hearing) = &mut self.hearing {
            hearing.begin(ours, self.attention.activation() == Activation::WakeWord);
        }
        self.recognise(&before, now, out);
    }

    fn on_ended(&mut self, start: Nanos, end: Nanos, now: Nanos, out: &mut Outbox<Self>) {
        // A voice so faint that only the recogniser heard it, under a held button.
        let end = if end > start { end } else { self.detector.position().unwrap_or(end) };
        self.detector.set_end_silence(Duration::from_millis(self.config.end_silence_ms));
        if self.turn.ours {
            self.turn.last_ours = Some((start, end));
        }
        let result = self.hearing.as_mut().map(|h| h.finish());
        if let Some((recognition, woken)) = self.unless_failed(result, now, out) {
            if woken {
                self.wakes += 1;
                self.attention.keep(end);
            }
            if let Some(recognition) = recognition {
                self.publish_recognised(recognition, start, end, out);
            }
        }
        if self.hearing.is_none() {
            self.track.heard(start, end);
        }
    }

    fn barge_in(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        if self.config.barge_in && self.reply.interrupt() {
            self.reply_until = now;
            out.effect(Effect::StopSpeaking);
        }
    }

    fn check_level(&mut self, samples: &[i16], now: Nanos, out: &mut Outbox<Self>) {
        if let Some(level) = self.meter.take(samples, self.detector.position().unwrap_or(now)) {
            out.publish::<topic::SpeechLevel>(level);
            if self.meter.dead() {
                let text = "the microphone gives nothing but zeros; is it muted, or its cable broken?";
                out.fault(now, Severity::Warning, "audio-dead", AUDIO, text);
            }
        }
        let clipped = samples.iter().filter(|s| s.unsigned_abs() >= FULL_SCALE as u16).count();
        if clipped * CLIPPED_SHARE > samples.len() {
            let text = "the audio is at full scale; turn the microphone's gain down";
            out.fault(now, Severity::Info, "audio-clipping", AUDIO, text);
        }
    }

    fn remember(&mut self, samples: &[i16]) {
        let keep = &samples[samples.len().saturating_sub(LEAD_IN)..];
        let surplus = (self.lead_in.len() + keep.len()).saturating_sub(LEAD_IN);
        self.lead_in.drain(..surplus.min(self.lead_in.len()));
        self.lead_in.extend(keep);
    }

    fn recognise(&mut self, samples: &[i16], now: Nanos, out: &mut Outbox<Self>) {
        let result = self.hearing.as_mut().map(|h| h.accept(samples));
        if self.unless_failed(result, now, out) == Some(true) {
            self.wakes += 1;
            self.attention.keep(self.detector.position().unwrap_or(now));
        }
    }

    /// A pause after words that ask for more is waited out longer.
    fn be_patient(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        let usual = Duration::from_millis(self.config.end_silence_ms);
        if self.detector.silence().is_none_or(|silence| silence + patience::THINKING < usual) {
            if std::mem::take(&mut self.turn.pause_seen) {
                self.detector.set_end_silence(usual);
            }
            return;
        }
        if std::mem::replace(&mut self.turn.pause_seen, true) {
            return;
        }
        let result = self.hearing.as_mut().filter(|h| h.ours()).map(|h| h.partial());
        if self.unless_failed(result, now, out).is_some_and(|text| patience::unfinished(&text)) {
            self.detector.set_end_silence(Duration::from_millis(self.config.open_end_silence_ms));
        }
    }

    /// The result of a recogniser. The recognisers are given up when one failed.
    fn unless_failed<T>(
        &mut self,
        result: Option<Result<T, RecogniserError>>,
        now: Nanos,
        out: &mut Outbox<Self>,
    ) -> Option<T> {
        result?
            .inspect_err(|e| {
                self.hearing = None;
                let text = format!("{e}; the node goes on without it, restart it to try again");
                out.fault(now, Severity::Critical, "speech-recogniser-failed", "recogniser", text);
            })
            .ok()
    }

    fn on_vehicle(&mut self, state: &v1::VehicleState, now: Nanos, out: &mut Outbox<Self>) {
        let down = state.push_to_talk.unwrap_or(false);
        if down == self.button_down {
            return;
        }
        self.button_down = down;
        if down {
            // The reply stops at once; the turn begins where the audio was at that time.
            self.barge_in(now, out);
        }
        if self.button.len() < MAX_EDGES {
            self.button.push_back((Nanos(state.header_copy().stamp_ns), down));
        }
        self.work_off_button(now, out);
    }

    /// Begins and ends turns where the audio has come to the talk button's press or release.
    fn work_off_button(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        let Some(position) = self.detector.position() else { return };
        while let Some((at, down)) = self.button.pop_front_if(|(at, _)| *at <= position) {
            match self.attention.button(Some(down), at) {
                Some(Press::Pressed) => self.hold(at, position, now, out),
                Some(Press::Released) => self.let_go(now, out),
                None => {}
            }
        }
        if self.attention.got_stuck(position) {
            let text = "the talk button has been held for longer than a turn may last (longest_turn_s); it does not count \
                        until it comes up";
            out.fault(now, Severity::Warning, "talk-button-stuck", "vehicle/state", text);
            self.let_go(now, out);
        }
    }

    fn hold(&mut self, pressed: Nanos, position: Nanos, now: Nanos, out: &mut Outbox<Self>) {
        if self.detector.speaking() {
            self.turn.ours = true;
            if let Some(hearing) = &mut self.hearing {
                hearing.claim();
            }
        }
        let mut started = None;
        self.detector.hold(&mut |event| started = Some(event));
        if let Some(Event::Started(at)) = started {
            // The bus told of the press a little after it.
            let late = (position.since(pressed).as_nanos() / u128::from(SAMPLE_NS)) as usize;
            self.on_started(at, late, position, now, out);
        }
    }

    /// Ends the turn under way, if there is one.
    fn let_go(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        let mut ended = None;
        self.detector.finish(&mut |event| ended = Some(event));
        if let Some(Event::Ended { start, end }) = ended {
            self.on_ended(start, end, now, out);
        }
    }

    fn on_reply(&mut self, piece: &v1::DialogueTurn, now: Nanos, out: &mut Outbox<Self>) {
        for sentence in self.reply.take(piece) {
            let spoken = SPOKEN_BYTE * u32::try_from(sentence.len()).unwrap_or(u32::MAX);
            self.reply_until = self.reply_until.max(now) + spoken;
            self.attention.keep(self.reply_until);
            out.effect(Effect::Speak(sentence));
        }
    }

    /// No audio has come for a while: what was said is over, and the time it would have come to goes on.
    fn audio_lost(&mut self, silence: Duration, now: Nanos, out: &mut Outbox<Self>) {
        self.let_go(now, out);
        if self.track.holding() {
            self.publish_due_lines(silence, now, out);
            out.tick_at(now + AUDIO_LOST);
        }
    }
}

impl SpeechNode {
    /// The trace of the utterance under way; partial results and the final one share it.
    fn trace(&self) -> u64 {
        v1::Header::trace(TopicId::SpeechUtterance, self.utterances)
    }

    fn publish_partial(&mut self, now: Nanos, out: &mut Outbox<Self>) {
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

    fn publish_recognised(&mut self, heard: Recognition, start: Nanos, end: Nanos, out: &mut Outbox<Self>) {
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
    fn publish_due_lines(&mut self, silence: Duration, now: Nanos, out: &mut Outbox<Self>) {
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

    fn tell_if_deaf(&mut self, now: Nanos, out: &mut Outbox<Self>) {
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
