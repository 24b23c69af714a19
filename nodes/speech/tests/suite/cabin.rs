//! A simulated cabin, sample by sample: loudspeaker, acoustic path, microphone, front end and node.

use crate::common::{RATE, Rig, always, chunk, espeak, ms, noise, silence, vowel};
use auriga_msgs::{
    Any,
    node::SpeechInput,
    v1::{self, SpeakerZone},
};
use auriga_runtime::{Nanos, Node, Outbox};
use auriga_speech::{
    Config, Effect, SpeechNode,
    input::{
        front_end::{FrontEnd, FrontEndSettings, echo::EchoReference, resample::ChannelSelection},
        ring::Block,
    },
    output::playback::{PlaybackGate, PlaybackQueue, Renderer, playback_queue},
};
use proptest::prelude::*;
use std::{sync::Arc, time::Duration};

const MS: usize = RATE / 1000;
/// The default of capture_period_ms.
const CAPTURE_MS: usize = 20;
/// The default of playback_period_ms.
const PLAYBACK_MS: usize = 5;
/// The capture thread reads the ring every 2 ms.
const POLL_MS: usize = 2;
/// Periods in a device's own buffer: samples handed over are played after these.
const BUFFERED: usize = 2;

/// Impulse response from loudspeaker to microphone: a delay of 9 ms, and reflections that decay within 80 ms.
fn impulse_response() -> Vec<f64> {
    let hiss = noise(0.08, 30_000.0);
    let mut taps = vec![0.0; 80 * MS];
    for (i, tap) in taps.iter_mut().enumerate().skip(9 * MS) {
        let age = (i - 9 * MS) as f64 / RATE as f64;
        *tap = f64::from(hiss[i]) / 30_000.0 * 0.05 * (-age / 0.012).exp();
    }
    taps[9 * MS] = 0.35;
    taps
}

struct Cabin {
    node: SpeechNode,
    out: Outbox<SpeechNode>,
    front_end: FrontEnd,
    reference: Option<EchoReference>,
    queue: PlaybackQueue,
    renderer: Renderer,
    gate: Arc<PlaybackGate>,
    impulse_response: Vec<f64>,
    /// What the loudspeaker plays, from time 0 on.
    played: Vec<f32>,
    /// The microphone, before and after the front end.
    captured: Vec<i16>,
    processed: Vec<i16>,
    stops: Vec<usize>,
    pauses: usize,
}

impl Cabin {
    fn new(echo: bool) -> Self {
        let gate = Arc::new(PlaybackGate::default());
        let (queue, renderer, ring) = playback_queue(RATE as u32, 1, gate.clone());
        let settings = FrontEndSettings { echo, noise: false };
        let config = Config { partials: false, ..always() };
        Self {
            node: SpeechNode::new(&config, Ok(None)).unwrap(),
            out: Outbox::default(),
            front_end: FrontEnd::new(RATE as u32, 1, ChannelSelection::Mixed, settings).unwrap(),
            reference: Some(EchoReference::new(ring, RATE as u32).unwrap()),
            queue,
            renderer,
            gate,
            impulse_response: impulse_response(),
            played: vec![0.0; BUFFERED * PLAYBACK_MS * MS],
            captured: Vec::new(),
            processed: Vec::new(),
            stops: Vec::new(),
            pauses: 0,
        }
    }

    /// The node's reply, spoken as this.
    fn reply(&mut self, speech: &[i16]) {
        let piece = v1::DialogueTurn { turn_id: 1, text: "Something long. ".into(), ..Default::default() };
        self.node.on_input(SpeechInput::LanguageTurn(Arc::new(piece)), Nanos::ZERO, &mut self.out);
        assert!(matches!(self.out.take_effects()[..], [Effect::Speak(_)]));
        let speech: Vec<f32> = speech.iter().map(|&s| f32::from(s) / 32_768.0).collect();
        assert_eq!(self.queue.push(&speech), speech.len());
    }

    /// Runs the cabin while the driver says `voice`.
    fn run(&mut self, voice: &[i16]) {
        let hiss = noise(1.0, 20.0);
        let mut block = vec![0.0; PLAYBACK_MS * MS];
        for now in 0..voice.len() / MS {
            if now % PLAYBACK_MS == 0 {
                let stamp = ms((now + BUFFERED * PLAYBACK_MS) as u64);
                self.renderer.render(&mut block, stamp);
                self.played.extend_from_slice(&block);
            }
            for i in now * MS..(now + 1) * MS {
                let echo: f64 = self
                    .impulse_response
                    .iter()
                    .enumerate()
                    .filter(|(k, _)| *k <= i)
                    .map(|(k, tap)| tap * f64::from(self.played[i - k]) * 32_768.0)
                    .sum();
                let sum = echo + f64::from(voice[i]) + f64::from(hiss[i % hiss.len()]);
                self.captured.push(sum.round() as i16);
            }
            if now >= CAPTURE_MS + POLL_MS && (now - POLL_MS).is_multiple_of(CAPTURE_MS) {
                self.capture(now);
            }
        }
    }

    /// Takes the block that the device finished [`POLL_MS`] ago.
    fn capture(&mut self, now: usize) {
        let end = (now - POLL_MS) * MS;
        let begin = end - CAPTURE_MS * MS;
        let samples: Vec<f32> = self.captured[begin..end].iter().map(|&s| f32::from(s) / 32_768.0).collect();
        let stamp = Nanos((begin / MS) as u64 * 1_000_000);
        let block = Block { stamp, samples: samples.len(), after_loss: false };
        if let Some(chunk) = self.front_end.process(&block, &samples, &mut self.reference).unwrap() {
            let pcm = chunk.pcm_s16le.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]]));
            self.processed.extend(pcm);
            self.node.on_input(SpeechInput::DeviceAudio(Arc::new(chunk)), ms(now as u64), &mut self.out);
        }
        for effect in self.out.take_effects() {
            match effect {
                Effect::PauseSpeaking => {
                    self.gate.set_paused(true);
                    self.pauses += 1;
                }
                Effect::ResumeSpeaking => self.gate.set_paused(false),
                Effect::StopSpeaking => {
                    self.gate.mute();
                    self.queue.discard_and_unmute();
                    self.stops.push(now);
                }
                Effect::Speak(_) => {}
            }
        }
    }

    /// Number of samples until the loudspeaker is silent for good.
    fn played_until(&self) -> usize {
        self.played.iter().rposition(|&s| s != 0.0).map_or(0, |i| i + 1)
    }
}

fn power_db(samples: &[i16]) -> f64 {
    10.0 * (samples.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / samples.len() as f64 + 1e-9).log10()
}

/// The first voiced sample. An "s" before it is noise, which must not stop the reply.
fn voice_start(speech: &[i16]) -> usize {
    let crossings = |s: &[i16]| s.windows(2).filter(|w| (w[0] < 0) != (w[1] < 0)).count();
    let voiced = |s: &[i16]| crossings(s) < s.len() / 5 && power_db(s) > 40.0;
    speech.chunks(10 * MS).position(voiced).map_or(0, |i| i * 10 * MS)
}

/// Eight seconds of the reply's speech.
fn reply_speech() -> Option<Vec<i16>> {
    let text = "The next charging station with a free plug is in twenty-three kilometres, on the right. It takes about \
                half an hour to charge until we can go home. Shall I set it as the next stop, and tell the others?";
    espeak(text).map(|mut speech| {
        speech.truncate(8 * RATE);
        speech
    })
}

#[test]
fn the_reply_is_cancelled_from_the_microphone_and_does_not_interrupt_itself() {
    let Some(speech) = reply_speech() else { return };
    let mut cabin = Cabin::new(true);
    cabin.reply(&speech);
    cabin.run(&silence(8.0));
    let part = 3 * RATE..cabin.processed.len().min(7 * RATE);
    let (before, after) = (power_db(&cabin.captured[part.clone()]), power_db(&cabin.processed[part]));
    println!("echo of the reply: {:.1} dB before, {:.1} dB after: {:.1} dB less", before, after, before - after);
    assert!(before - after > 25.0, "{:.1} dB less", before - after);
    assert_eq!((cabin.stops.len(), cabin.pauses), (0, 0), "the reply interrupted itself");
    let mut without = Cabin::new(false);
    without.reply(&speech);
    without.run(&silence(4.0));
    assert!(!without.stops.is_empty(), "without the canceller the reply interrupts itself");
}

#[test]
fn speech_during_the_reply_stops_it_within_150_ms() {
    let Some(speech) = reply_speech() else { return };
    let mut worst = 0;
    for (name, voice) in [
        ("vowel", Some(vowel(1.0))),
        ("no", espeak("No, not now")),
        ("stop", espeak("Stop it")),
        ("hey", espeak("Hey Auriga, how far can I still go?")),
        ("okay", espeak("Okay, that is enough")),
        ("window", espeak("Open the window")),
    ] {
        let Some(voice) = voice else { continue };
        println!("{name}: {} ms of noise before the voice", voice_start(&voice) / MS);
        for begins_ms in [2_000, 2_005, 2_011, 2_017, 2_023] {
            let mut cabin = Cabin::new(true);
            cabin.reply(&speech);
            let sound = [silence(begins_ms as f64 / 1000.0), voice.clone(), silence(0.5)].concat();
            cabin.run(&sound);
            assert!(!cabin.stops.is_empty(), "{name} is not detected during the reply");
            let from_sound = cabin.played_until() - begins_ms * MS;
            let samples = from_sound.saturating_sub(voice_start(&voice));
            println!(
                "{name} at {begins_ms} ms: silent {samples} samples after the voice, {from_sound} after the sound"
            );
            worst = worst.max(samples);
            assert!(from_sound <= 200 * MS, "{name}: {from_sound} samples");
        }
    }
    println!("worst: {worst} samples, {:.1} ms", worst as f64 / MS as f64);
    assert!(worst <= 150 * MS, "{worst} samples");
}

#[test]
fn without_echo_cancellation_the_front_end_changes_no_sample() {
    let mut front_end =
        FrontEnd::new(RATE as u32, 1, ChannelSelection::Mixed, FrontEndSettings { echo: false, noise: false }).unwrap();
    let voice = vowel(0.5);
    let mut out = Vec::new();
    for (i, piece) in voice.chunks(512).enumerate() {
        let samples: Vec<f32> = piece.iter().map(|&s| f32::from(s) / 32_768.0).collect();
        let block = Block { stamp: ms(i as u64 * 32), samples: samples.len(), after_loss: false };
        let chunk = front_end.process(&block, &samples, &mut None).unwrap().unwrap();
        assert_eq!(chunk.header.unwrap().stamp_ns, i as u64 * 32_000_000);
        out.extend(chunk.pcm_s16le.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])));
    }
    assert_eq!(out, voice);
}

/// A voice in two channels: at the farther microphone it has half the amplitude and is 0.8 ms later.
fn from_seat(voice: &[i16], driver: bool) -> Vec<i16> {
    let late = |i: usize| if i >= 13 { voice[i - 13] / 2 } else { 0 };
    (0..voice.len()).flat_map(|i| if driver { [voice[i], late(i)] } else { [late(i), voice[i]] }).collect()
}

#[test]
fn an_utterance_has_the_speakers_seat() {
    let dir = tempfile::tempdir().unwrap();
    let microphones = dir.path().join("microphone.toml");
    let shipped = include_str!("../../../../calibration/auriga-demo/microphone.toml");
    std::fs::write(&microphones, shipped).unwrap();
    for (driver, zone) in [(true, SpeakerZone::Driver), (false, SpeakerZone::Passenger)] {
        let config = Config { microphones: microphones.clone(), ..always() };
        let mut rig = Rig::new(&config);
        rig.line(ms(500), ms(1800), "open the window");
        let sound = from_seat(&[silence(0.5), vowel(1.2), silence(1.5)].concat(), driver);
        for (i, part) in sound.chunks(640).enumerate() {
            let at = ms(20 * i as u64);
            rig.time = at + Duration::from_millis(20);
            let two = v1::AudioChunk { channels: 2, ..chunk(at, part) };
            rig.input(SpeechInput::DeviceAudio(Arc::new(two)), rig.time);
        }
        let utterances = rig.utterances();
        assert_eq!(utterances.len(), 1);
        assert_eq!(utterances[0].1.zone(), zone);
    }
}

#[test]
fn an_hour_of_zeros_is_reported_as_a_dead_microphone_and_speech_is_still_detected() {
    let mut rig = Rig::new(&always());
    for _ in 0..720 {
        rig.play(&silence(5.0), 5 * RATE);
    }
    let dead = rig.fault_codes().iter().filter(|code| **code == "audio-dead").count();
    // An active fault is published again every 10 s.
    assert!((1..=370).contains(&dead), "{dead} times");
    assert!(rig.utterances().is_empty());
    let levels = rig.messages.iter().filter(|(_, any)| matches!(any, Any::SpeechLevel(l) if l.rms_dbfs == -120.0));
    assert_eq!(levels.count(), 720, "one for each chunk of 5 s");
    let begin = rig.time;
    rig.line(begin + Duration::from_millis(500), begin + Duration::from_millis(1800), "are you there");
    rig.play(&[silence(0.5), vowel(1.2), silence(1.5)].concat(), 320);
    assert_eq!(rig.utterances().len(), 1);
    assert_eq!(rig.fault_states("audio-dead").last(), Some(&false), "the fault is cleared");
}

#[test]
fn lost_samples_are_counted_in_the_level() {
    let mut rig = Rig::new(&always());
    rig.play(&noise(0.5, 100.0), 320);
    rig.time = rig.time + Duration::from_millis(100);
    rig.play(&noise(0.5, 100.0), 320);
    let last = rig.messages.iter().rev().find_map(|(_, any)| match any {
        Any::SpeechLevel(level) => Some(level.clone()),
        _ => None,
    });
    let level = last.unwrap();
    assert_eq!((level.lost, level.samples, level.clipped), (1600, 16_000, 0));
    assert!((-60.0..-40.0).contains(&level.rms_dbfs), "{level:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn debug_output_never_contains_speech_or_reply(secret in "[a-z]{7,12} [a-z]{7,12}") {
        let mut rig = Rig::new(&Config { consent_recording: true, ..always() });
        rig.line(ms(300), ms(1000), &secret);
        rig.line(ms(5000), ms(6000), &format!("never {secret}"));
        let answer = v1::DialogueTurn { turn_id: 1, text: format!("So {secret}. "), user_text: secret.clone(), ..Default::default() };
        rig.input(SpeechInput::LanguageTurn(Arc::new(answer.clone())), ms(1));
        rig.play(&[silence(0.3), vowel(0.7), silence(7.0)].concat(), 320);
        prop_assert_eq!(rig.utterances().len(), 1);
        let sentence = Effect::Speak(format!("So {secret}."));
        prop_assert!(rig.effects.contains(&sentence));
        let logged = format!("{:?} {:?} {:?}", rig.messages, rig.effects, answer);
        for word in secret.split(' ') {
            prop_assert!(!logged.contains(word), "the debug output contains {}", word);
        }
        // Nor the samples of the audio published with consent.
        prop_assert!(logged.len() < 200 * rig.messages.len() + 200);
    }
}
