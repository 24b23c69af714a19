//! What comes in: audio in pieces, the talk button, the reply that is spoken.

use crate::{
    AUDIO_LOST, Effect, SpeechNode, Turn,
    attention::{Activation, Press},
    patience,
    recogniser::RecogniserError,
    vad::{Event, SAMPLE_NS, SAMPLE_RATE_HZ, Taken},
};
use auriga_msgs::{Stamped, TopicId, topic, v1};
use auriga_runtime::{Nanos, Outbox};
use std::time::Duration;
use v1::Severity;

/// The subject of faults about audio.
pub(crate) const AUDIO: &str = "device/audio";
/// A longer chunk is not audio as it comes.
const MAX_CHUNK_BYTES: usize = 10 * 2 * 2 * SAMPLE_RATE_HZ as usize;
/// Chunks are worked off in pieces of 20 ms, so that their size does not matter.
const PIECE: usize = SAMPLE_RATE_HZ as usize / 50;
/// The recogniser also gets what came this shortly before the detector was sure of a voice.
pub(crate) const LEAD_IN: usize = SAMPLE_RATE_HZ as usize * 3 / 10;
/// Samples at full scale, and how many of them in a chunk are more than a peak: the microphone is overdriven.
const FULL_SCALE: i16 = 32_700;
const CLIPPED_SHARE: usize = 20;
/// Presses and releases that wait for the audio.
const MAX_EDGES: usize = 16;
/// How long a byte of a reply takes to be spoken, about.
const SPOKEN_BYTE: Duration = Duration::from_millis(65);

impl SpeechNode {
    pub(crate) fn on_audio(&mut self, chunk: &v1::AudioChunk, now: Nanos, out: &mut Outbox<Self>) {
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

    pub(crate) fn on_ended(&mut self, start: Nanos, end: Nanos, now: Nanos, out: &mut Outbox<Self>) {
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
    pub(crate) fn unless_failed<T>(
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

    pub(crate) fn on_vehicle(&mut self, state: &v1::VehicleState, now: Nanos, out: &mut Outbox<Self>) {
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

    pub(crate) fn on_reply(&mut self, piece: &v1::DialogueTurn, now: Nanos, out: &mut Outbox<Self>) {
        for sentence in self.reply.take(piece) {
            let spoken = SPOKEN_BYTE * u32::try_from(sentence.len()).unwrap_or(u32::MAX);
            self.reply_until = self.reply_until.max(now) + spoken;
            self.attention.keep(self.reply_until);
            out.effect(Effect::Speak(sentence));
        }
    }

    /// No audio has come for a while: what was said is over, and the time it would have come to goes on.
    pub(crate) fn audio_lost(&mut self, silence: Duration, now: Nanos, out: &mut Outbox<Self>) {
        self.let_go(now, out);
        if self.track.holding() {
            self.publish_due_lines(silence, now, out);
            out.tick_at(now + AUDIO_LOST);
        }
    }
}

/// The samples of a chunk; else what is wrong with it.
fn samples(chunk: &v1::AudioChunk) -> Result<Vec<i16>, String> {
    let (rate, channels) = (chunk.sample_rate_hz, chunk.channels);
    if rate != SAMPLE_RATE_HZ || !(1..=2).contains(&channels) {
        return Err(format!("expected {SAMPLE_RATE_HZ} Hz with 1 or 2 channels, found {rate} Hz with {channels}"));
    }
    let bytes = &chunk.pcm_s16le;
    if !bytes.len().is_multiple_of(2 * channels as usize) || bytes.len() > MAX_CHUNK_BYTES {
        return Err(format!("expected whole 16-bit samples of at most 10 s, found {} bytes", bytes.len()));
    }
    Ok(bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect())
}
