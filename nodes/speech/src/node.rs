//! The state machine of the speech node: all of its state and all of its methods.

use crate::{
    config::Config,
    input::{
        audio::{self, LeadIn, SAMPLE_NS, SAMPLE_RATE_HZ, duration},
        level::LevelMeter,
        zone::ZoneEstimator,
    },
    output::{effect::Effect, reply::Reply},
    recognition::{
        addressed::{AddressedRecogniser, TurnResult},
        model::error::ModelError,
        open::OpenedRecogniser,
        types::{RecogniserError, Recognition},
        wake_word::WakePhrases,
    },
    transcript::{
        track::{AlignedLine, Track},
        utterance::UtteranceBuilder,
    },
    turns::{
        attention::{Addressing, Attention, ButtonEvent},
        current::CurrentTurn,
        endpointing::{EndpointAction, Endpointer, is_incomplete},
        talk_button::TalkButton,
        vad::{Accepted, TurnDetector, TurnEvent},
    },
};
use auriga_msgs::{Stamped, TopicId, node, topic, v1};
use auriga_runtime::{Nanos, Node, Outbox};
use std::time::Duration;
use v1::Severity;

/// A gap in the audio of this length ends the turn under way.
const AUDIO_LOST: Duration = Duration::from_millis(500);
/// Without a recogniser a track must be there this long after the first audio; it may come a moment later.
const TRACK_EXPECTED: Duration = Duration::from_secs(1);
/// The subject of faults about audio.
const AUDIO: &str = "device/audio";
/// The subject of faults about the transcript track.
const TRACK: &str = "device/transcript";
/// The fault of a talk button that is held for too long, and its subject.
const BUTTON_STUCK: &str = "talk-button-stuck";
const BUTTON: &str = "vehicle/state";
/// The fault of audio without a recogniser or a track.
const NO_TEXT_SOURCE: &str = "speech-not-understood";
/// Chunks are processed in pieces of 20 ms, so that their size does not matter.
const PIECE: usize = SAMPLE_RATE_HZ as usize / 50;

/// The state machine: [`Node`] inputs in, messages and [`Effect`]s out.
pub struct SpeechNode {
    config: Config,
    detector: TurnDetector,
    attention: Attention,
    endpointer: Endpointer,
    phrases: WakePhrases,
    recogniser: Option<AddressedRecogniser>,
    /// Reported at the first tick: why the model cannot be used, and what the recogniser lacks.
    model_error: Option<String>,
    notices: Vec<String>,
    /// The last samples before a turn, for the recogniser.
    lead_in: LeadIn,
    turn: CurrentTurn,
    button: TalkButton,
    track: Track,
    zones: ZoneEstimator,
    level: LevelMeter,
    reply: Reply,
    utterances: UtteranceBuilder,
    /// Chunks taken so far: the count of their traces.
    chunks: u64,
    first_audio: Option<Nanos>,
    last_audio: Option<Nanos>,
    no_text_source_reported: bool,
    wakes: u64,
}

impl SpeechNode {
    /// `opened` is the result of [`open`](crate::recognition::open::open). A model that cannot be used becomes a fault, and
    /// the node runs without a recogniser.
    ///
    /// # Errors
    /// When a value of the configuration is out of range.
    pub fn new(config: &Config, opened: Result<Option<OpenedRecogniser>, ModelError>) -> anyhow::Result<Self> {
        config.check()?;
        let (opened, model_error) = match opened {
            Ok(opened) => (opened, None),
            Err(e) => (None, Some(e.to_string())),
        };
        let phrases = WakePhrases::new(&config.wake_phrases);
        let mut notices = Vec::new();
        let recogniser = opened.map(|mut opened| {
            notices.append(&mut opened.notices);
            AddressedRecogniser::new(opened.recogniser, phrases.clone(), config.wake_confidence)
        });
        let longest = Duration::from_secs(config.longest_turn_s);
        Ok(Self {
            config: config.clone(),
            detector: TurnDetector::new(config.vad()),
            attention: Attention::new(config.activation, Duration::from_secs_f64(config.follow_up_s), longest),
            endpointer: Endpointer::new(config.end_silence()),
            phrases,
            recogniser,
            model_error,
            notices,
            lead_in: LeadIn::default(),
            turn: CurrentTurn::default(),
            button: TalkButton::default(),
            track: Track::default(),
            zones: ZoneEstimator::new(config.seats()?),
            level: LevelMeter::default(),
            reply: Reply::default(),
            utterances: UtteranceBuilder::default(),
            chunks: 0,
            first_audio: None,
            last_audio: None,
            no_text_source_reported: false,
            wakes: 0,
        })
    }

    /// How often the wake phrase has been detected.
    pub fn wakes(&self) -> u64 {
        self.wakes
    }

    fn on_audio(&mut self, chunk: &v1::AudioChunk, now: Nanos, out: &mut Outbox<Self>) {
        let samples = match audio::samples(chunk) {
            Ok(samples) => samples,
            Err(what) => return out.fault(now, Severity::Warning, "audio-format", AUDIO, what),
        };
        let stamp = Nanos(chunk.header_copy().stamp_ns);
        let samples = self.zones.push(stamp, samples, chunk.channels);
        if self.first_audio.is_none() {
            self.first_audio = Some(stamp);
            self.track.start_at(stamp);
        }
        let mut at = stamp;
        for piece in samples.chunks(PIECE) {
            if !self.on_piece(at, piece, now, out) {
                return;
            }
            at = at + duration(piece.len());
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
        self.report_missing_text_source(now, out);
    }

    /// Processes at most 20 ms of audio. False when it lies before the position reached.
    fn on_piece(&mut self, stamp: Nanos, samples: &[i16], now: Nanos, out: &mut Outbox<Self>) -> bool {
        let was_speaking = self.detector.speaking();
        self.update_end_silence(now, out);
        let mut events = Vec::new();
        match self.detector.push(stamp, samples, &mut |event| events.push(event)) {
            Accepted::Contiguous => {}
            Accepted::AfterGap(gap) => {
                let text = format!("{} ms of audio are missing; they count as silence", gap.as_millis());
                out.fault(now, Severity::Info, "audio-gap", AUDIO, text);
                self.level.add_gap(gap);
            }
            Accepted::OutOfOrder(back) => {
                let text = format!("a chunk lies {} ms before the audio received already; left out", back.as_millis());
                out.fault(now, Severity::Warning, "audio-out-of-order", AUDIO, text);
                return false;
            }
        }
        let mut recognised = false;
        for event in events {
            match event {
                TurnEvent::Started(at) => self.on_turn_started(at, LeadIn::CAPACITY, stamp, now, out),
                TurnEvent::Ended { start, end } => {
                    if was_speaking {
                        self.recognise(samples, now, out);
                        recognised = true;
                    }
                    self.on_turn_ended(start, end, now, out);
                }
            }
        }
        if self.detector.speaking() {
            // Of two turns in one piece, the first one gets the samples.
            if !recognised {
                self.recognise(samples, now, out);
            }
            self.publish_partial(now, out);
        } else {
            self.lead_in.push(samples);
        }
        self.pause_reply_at_onset(out);
        self.apply_button(now, out);
        true
    }

    /// The onset of a voice pauses the reply. The turn that may follow stops it; without one it is resumed.
    fn pause_reply_at_onset(&mut self, out: &mut Outbox<Self>) {
        let pause = self.config.barge_in && self.reply.is_speaking() && self.detector.onset();
        if self.reply.set_paused(pause) {
            out.effect(if pause { Effect::PauseSpeaking } else { Effect::ResumeSpeaking });
        }
    }

    /// The recogniser gets at most `lead_in` samples from before `position`, the time of the next sample.
    fn on_turn_started(&mut self, at: Nanos, lead_in: usize, position: Nanos, now: Nanos, out: &mut Outbox<Self>) {
        let before = self.lead_in.take_last(lead_in);
        let recogniser_start = position - duration(before.len());
        let addressing = self.attention.addressing(at);
        self.turn.begin(at, recogniser_start, addressing == Addressing::Addressed, now);
        self.endpointer.reset();
        self.barge_in(now, out);
        if let Some(recogniser) = &mut self.recogniser {
            recogniser.begin(addressing);
        }
        self.recognise(&before, now, out);
    }

    fn on_turn_ended(&mut self, start: Nanos, end: Nanos, now: Nanos, out: &mut Outbox<Self>) {
        // With the talk button held, a voice may be so faint that the detector found no voiced sample.
        let end = if end > start { end } else { self.detector.position().unwrap_or(end) };
        self.detector.set_end_silence(self.config.end_silence());
        self.turn.end(start, end);
        let result = self.recogniser.as_mut().map(|r| r.finish());
        if let Some(TurnResult { recognition, woken }) = self.checked(result, now, out) {
            if woken {
                self.on_wake_phrase(end);
            }
            if let Some(recognition) = recognition {
                self.publish_recognised(&recognition, start, end, out);
            }
        }
        if self.recogniser.is_none() {
            self.track.add_speech(start, end);
        }
    }

    fn on_wake_phrase(&mut self, at: Nanos) {
        self.wakes += 1;
        self.attention.extend(at);
    }

    fn barge_in(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        if self.config.barge_in && self.reply.interrupt(now) {
            out.effect(Effect::StopSpeaking);
        }
    }

    fn check_level(&mut self, samples: &[i16], now: Nanos, out: &mut Outbox<Self>) {
        if let Some(level) = self.level.push(samples, self.detector.position().unwrap_or(now)) {
            out.publish::<topic::SpeechLevel>(level);
            if self.level.is_dead() {
                let text = "the microphone gives only zeros; is it muted, or its cable broken?";
                out.fault(now, Severity::Warning, "audio-dead", AUDIO, text);
            } else {
                out.clear_fault(now, "audio-dead", AUDIO);
            }
        }
        if audio::is_overdriven(samples) {
            let text = "the audio is at full scale; turn the microphone's gain down";
            out.fault(now, Severity::Info, "audio-clipping", AUDIO, text);
        }
    }

    fn recognise(&mut self, samples: &[i16], now: Nanos, out: &mut Outbox<Self>) {
        let result = self.recogniser.as_mut().map(|r| r.accept(samples));
        if self.checked(result, now, out) == Some(true) {
            self.on_wake_phrase(self.detector.position().unwrap_or(now));
        }
    }

    /// A pause after an incomplete text gets a longer end silence.
    fn update_end_silence(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        match self.endpointer.update(self.detector.silence()) {
            None => {}
            Some(EndpointAction::Restore) => self.detector.set_end_silence(self.config.end_silence()),
            Some(EndpointAction::CheckText) => {
                let text = self.partial(now, out).unwrap_or_default();
                if is_incomplete(&text) {
                    self.detector.set_end_silence(self.config.incomplete_end_silence());
                }
            }
        }
    }

    /// The text so far of a turn that is addressed to the system.
    fn partial(&mut self, now: Nanos, out: &mut Outbox<Self>) -> Option<String> {
        let result = self.recogniser.as_mut().filter(|r| r.is_addressed()).map(|r| r.partial());
        self.checked(result, now, out)
    }

    /// The result of the recogniser. After an error the recogniser is dropped.
    fn checked<T>(
        &mut self,
        result: Option<Result<T, RecogniserError>>,
        now: Nanos,
        out: &mut Outbox<Self>,
    ) -> Option<T> {
        result?
            .inspect_err(|e| {
                self.recogniser = None;
                let text = format!("{e}; the node runs without it, restart it to try again");
                out.standing_fault(now, Severity::Critical, "speech-recogniser-failed", "recogniser", text);
            })
            .ok()
    }

    fn on_vehicle(&mut self, state: &v1::VehicleState, now: Nanos, out: &mut Outbox<Self>) {
        let down = state.push_to_talk.unwrap_or(false);
        if !self.button.set(down, Nanos(state.header_copy().stamp_ns)) {
            return;
        }
        if down {
            // The reply stops at once; the turn begins when the audio reaches this time.
            self.barge_in(now, out);
        } else {
            out.clear_fault(now, BUTTON_STUCK, BUTTON);
        }
        self.apply_button(now, out);
    }

    /// Begins and ends turns where the audio has reached the talk button's edges.
    fn apply_button(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        let Some(position) = self.detector.position() else { return };
        while let Some((at, down)) = self.button.pop_due(position) {
            match self.attention.set_button(Some(down), at) {
                Some(ButtonEvent::Pressed) => self.on_button_pressed(at, position, now, out),
                Some(ButtonEvent::Released) => self.end_turn(now, out),
                None => {}
            }
        }
        if self.attention.check_stuck(position) {
            let text = "the talk button has been held for longer than a turn may last (longest_turn_s); it is ignored \
                        until it is released";
            out.standing_fault(now, Severity::Warning, BUTTON_STUCK, BUTTON, text);
            self.end_turn(now, out);
        }
    }

    fn on_button_pressed(&mut self, pressed: Nanos, position: Nanos, now: Nanos, out: &mut Outbox<Self>) {
        if self.detector.speaking() {
            self.turn.addressed = true;
            if let Some(recogniser) = &mut self.recogniser {
                recogniser.address();
            }
        }
        let mut started = None;
        self.detector.hold_open(&mut |event| started = Some(event));
        if let Some(TurnEvent::Started(at)) = started {
            // The bus reports the press a little after it: the recogniser gets the audio since then.
            let since_press = (position.since(pressed).as_nanos() / u128::from(SAMPLE_NS)) as usize;
            self.on_turn_started(at, since_press, position, now, out);
        }
    }

    /// Ends the turn under way, if there is one.
    fn end_turn(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        let mut ended = None;
        self.detector.finish(&mut |event| ended = Some(event));
        if let Some(TurnEvent::Ended { start, end }) = ended {
            self.on_turn_ended(start, end, now, out);
        }
    }

    fn on_reply(&mut self, piece: &v1::DialogueTurn, now: Nanos, out: &mut Outbox<Self>) {
        for sentence in self.reply.push(piece, now) {
            self.attention.extend(self.reply.spoken_until());
            out.effect(Effect::Speak(sentence));
        }
        if self.reply.is_too_long() {
            let text = "a turn is longer than any reply; the rest of it is not spoken";
            out.fault(now, Severity::Warning, "reply-too-long", "language/turn", text);
        }
    }

    /// No audio has come for a while: the turn under way ends, and lines of the track become due by the clock.
    fn on_audio_lost(&mut self, silence: Duration, now: Nanos, out: &mut Outbox<Self>) {
        self.end_turn(now, out);
        if self.track.has_pending() {
            self.publish_due_lines(silence, now, out);
            out.tick_at(now + AUDIO_LOST);
        }
    }

    fn publish_partial(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        if !self.config.partials || !self.turn.partial_due(now) {
            return;
        }
        let Some(text) = self.partial(now, out) else { return };
        if self.turn.set_partial(&text, now) {
            let position = self.detector.position().unwrap_or(now);
            out.publish::<topic::SpeechUtterance>(self.utterances.partial(text, self.turn.start, position));
        }
    }

    fn publish_recognised(&mut self, recognition: &Recognition, start: Nanos, end: Nanos, out: &mut Outbox<Self>) {
        if recognition.words.is_empty() {
            return;
        }
        self.attention.extend(end);
        let (began, zone) = (self.turn.recogniser_start, self.zones.zone(start, end));
        let alternatives = self.config.alternatives.into();
        let utterance = self.utterances.recognised(recognition, began, alternatives, (start, end), zone);
        out.publish::<topic::SpeechUtterance>(utterance);
    }

    /// Publishes the lines of the track whose speech is over. `silence`: how long no audio has come.
    fn publish_due_lines(&mut self, silence: Duration, now: Nanos, out: &mut Outbox<Self>) {
        if self.recogniser.is_some() {
            return;
        }
        let Some(position) = self.detector.position().map(|p| p + silence) else { return };
        let (due, missed) = self.track.due(position, self.detector.speaking());
        for line in due {
            self.publish_line(&line, out);
        }
        for _ in 0..missed {
            let text = "a line of the transcript track was not detected in the audio; do the two belong together?";
            out.fault(now, Severity::Warning, "transcript-unheard", TRACK, text);
        }
    }

    /// A line of the track is addressed to the system under the same conditions as recognised speech.
    fn publish_line(&mut self, line: &AlignedLine, out: &mut Outbox<Self>) {
        let text = if self.turn.overlaps_addressed(line.start, line.end) {
            Some(self.phrases.strip_prefix(&line.text).to_owned())
        } else if self.attention.needs_wake_phrase() {
            self.phrases.text_after(&line.text)
        } else {
            None
        };
        let Some(text) = text else { return };
        self.attention.extend(line.end);
        if !text.is_empty() {
            let zone = self.zones.zone(line.start, line.end);
            out.publish::<topic::SpeechUtterance>(self.utterances.track_line(line, text, zone));
        }
    }

    /// Reports once when there is audio but neither a recogniser nor a track.
    fn report_missing_text_source(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        let (Some(first), Some(position)) = (self.first_audio, self.detector.position()) else { return };
        let missing = self.recogniser.is_none() && !self.track.has_lines();
        if missing && !self.no_text_source_reported && position.since(first) >= TRACK_EXPECTED {
            self.no_text_source_reported = true;
            let text = "there is audio, but neither a recogniser nor a transcript track: no utterance will be published; \
                        set model (a folder) or transcript (a file)";
            out.standing_fault(now, Severity::Warning, NO_TEXT_SOURCE, AUDIO, text);
        }
    }
}

impl Node for SpeechNode {
    type Name = node::Speech;
    type Effect = Effect;

    fn on_input(&mut self, input: node::SpeechInput, now: Nanos, out: &mut Outbox<Self>) {
        match input {
            node::SpeechInput::DeviceAudio(chunk) => self.on_audio(&chunk, now, out),
            node::SpeechInput::DeviceTranscript(line) => {
                if self.track.add(&line) {
                    out.clear_fault(now, NO_TEXT_SOURCE, AUDIO);
                } else {
                    let text = "a line ends before it starts, or there are too many; left out";
                    out.fault(now, Severity::Warning, "transcript-line", TRACK, text);
                }
            }
            node::SpeechInput::VehicleState(state) => self.on_vehicle(&state, now, out),
            node::SpeechInput::LanguageTurn(piece) => self.on_reply(&piece, now, out),
        }
    }

    fn on_tick(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        if let Some(error) = self.model_error.take() {
            let text = format!("{error}. The node runs without a recogniser");
            out.standing_fault(now, Severity::Critical, "speech-model", "model", text);
        }
        if !self.notices.is_empty() {
            let text = std::mem::take(&mut self.notices).join("; ");
            out.standing_fault(now, Severity::Info, "speech-vocabulary", "model", text);
        }
        let Some(last) = self.last_audio else { return };
        if now.since(last) < AUDIO_LOST {
            out.tick_at(last + AUDIO_LOST);
        } else {
            self.on_audio_lost(now.since(last), now, out);
        }
    }
}
