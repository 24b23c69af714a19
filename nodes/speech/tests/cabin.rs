//! The cabin in simulated time: loudspeaker, air, microphone, front end and node, sample by sample.

mod common;

use auriga_msgs::{
    Any,
    node::SpeechInput,
    v1::{self, SpeakerZone},
};
use auriga_runtime::{Nanos, Node, Outbox};
use auriga_speech::{
    Config, Effect, SpeechNode,
    input::front_end::echo::Reference,
    input::front_end::resample::Listen,
    input::front_end::{Cleaning, FrontEnd},
    input::ring::Block,
    output::playback::{Feed, Gate, Line, line},
};
use common::{RATE, Rig, always, chunk, espeak, ms, noise, silence, vowel};
use proptest::prelude::*;
use std::{sync::Arc, time::Duration};

const MS: usize = RATE / 1000;
/// The default of capture_period_ms.
const CAPTURE_MS: usize = 20;
/// The default of playback_period_ms.
const PLAYBACK_MS: usize = 5;
/// Our thread looks at the tape every 2 ms.
const POLL_MS: usize = 2;
/// A device's own buffer holds two periods: what is handed over is heard when they have been played.
const BUFFERED: usize = 2;

/// From the loudspeaker to the microphone: 9 ms of air and cabling, and a cabin's reflections that die away within 80 ms.
fn room() -> Vec<f64> {
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
    reference: Option<Reference>,
    feed: Feed,
    line: Line,
    gate: Arc<Gate>,
    room: Vec<f64>,
    /// What is heard from the loudspeaker, from time 0 on.
    played: Vec<f32>,
    /// The microphone, before and after the front end.
    heard: Vec<i16>,
    cleaned: Vec<i16>,
    stops: Vec<usize>,
    holds: usize,
}

impl Cabin {
    fn new(echo: bool) -> Self {
        let gate = Arc::new(Gate::default());
        let (feed, line, tape) = line(RATE as u32, 1, gate.clone());
        let cleaning = Cleaning { echo, noise: false };
        let config = Config { partials: false, ..always() };
        Self {
            node: SpeechNode::new(&config, Ok(None)).unwrap(),
            out: Outbox::default(),
            front_end: FrontEnd::new(RATE as u32, 1, Listen::Mixed, cleaning).unwrap(),
            reference: Some(Reference::new(tape, RATE as u32).unwrap()),
            feed,
            line,
            gate,
            room: room(),
            played: vec![0.0; BUFFERED * PLAYBACK_MS * MS],
            heard: Vec::new(),
            cleaned: Vec::new(),
            stops: Vec::new(),
            holds: 0,
        }
    }

    /// The node's reply is this speech.
    fn reply(&mut self, speech: &[i16]) {
        let piece = v1::DialogueTurn { turn_id: 1, text: "Something long. ".into(), ..Default::default() };
        self.node.on_input(SpeechInput::LanguageTurn(Arc::new(piece)), Nanos::ZERO, &mut self.out);
        assert!(matches!(self.out.take_effects()[..], [Effect::Speak(_)]));
        let speech: Vec<f32> = speech.iter().map(|&s| f32::from(s) / 32_768.0).collect();
        assert_eq!(self.feed.push(&speech), speech.len());
    }

    /// Lets time pass while `voice` is said.
    fn run(&mut self, voice: &[i16]) {
        let hiss = noise(1.0, 20.0);
        let mut block = vec![0.0; PLAYBACK_MS * MS];
        for now in 0..voice.len() / MS {
            if now % PLAYBACK_MS == 0 {
                let stamp = ms((now + BUFFERED * PLAYBACK_MS) as u64);
                self.line.fill(&mut block, stamp);
                self.played.extend_from_slice(&block);
            }
            for i in now * MS..(now + 1) * MS {
                let echo: f64 = self
                    .room
                    .iter()
                    .enumerate()
                    .filter(|(k, _)| *k <= i)
                    .map(|(k, tap)| tap * f64::from(self.played[i - k]) * 32_768.0)
                    .sum();
                let sum = echo + f64::from(voice[i]) + f64::from(hiss[i % hiss.len()]);
                self.heard.push(sum.round() as i16);
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
        let samples: Vec<f32> = self.heard[begin..end].iter().map(|&s| f32::from(s) / 32_768.0).collect();
        let stamp = Nanos((begin / MS) as u64 * 1_000_000);
        let block = Block { stamp, samples: samples.len(), after_loss: false };
        if let Some(chunk) = self.front_end.block(&block, &samples, &mut self.reference).unwrap() {
            let pcm = chunk.pcm_s16le.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]]));
            self.cleaned.extend(pcm);
            self.node.on_input(SpeechInput::DeviceAudio(Arc::new(chunk)), ms(now as u64), &mut self.out);
        }
        for effect in self.out.take_effects() {
            match effect {
                Effect::HoldSpeaking => {
                    self.gate.hold(true);
                    self.holds += 1;
                }
                Effect::GoOnSpeaking => self.gate.hold(false),
                Effect::StopSpeaking => {
                    self.gate.shut();
                    self.feed.open();
                    self.stops.push(now);
                }
                Effect::Speak(_) => {}
            }
        }
    }

    /// Sample after the last one that was heard from the loudspeaker.
    fn played_until(&self) -> usize {
        self.played.iter().rposition(|&s| s != 0.0).map_or(0, |i| i + 1)
    }
}

fn power_db(samples: &[i16]) -> f64 {
    10.0 * (samples.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / samples.len() as f64 + 1e-9).log10()
}

/// Sample with which the voice begins: an "s" before it is a hiss, as the car makes many, and tells nobody to be silent.
fn voice_begins(speech: &[i16]) -> usize {
    let crossings = |s: &[i16]| s.windows(2).filter(|w| (w[0] < 0) != (w[1] < 0)).count();
    let voiced = |s: &[i16]| crossings(s) < s.len() / 5 && power_db(s) > 40.0;
    speech.chunks(10 * MS).position(voiced).map_or(0, |i| i * 10 * MS)
}

/// Eight seconds of our own voice.
fn our_voice() -> Option<Vec<i16>> {
    let text = "The next charging station with a free plug is in twenty-three kilometres, on the right. It takes about \
                half an hour to charge until we can go home. Shall I set it as the next stop, and tell the others?";
    espeak(text).map(|mut speech| {
        speech.truncate(8 * RATE);
        speech
    })
}

#[test]
fn our_own_voice_is_kept_out_of_the_microphone_and_does_not_interrupt_itself() {
    let Some(speech) = our_voice() else { return };
    let mut cabin = Cabin::new(true);
    cabin.reply(&speech);
    cabin.run(&silence(8.0));
    let part = 3 * RATE..cabin.cleaned.len().min(7 * RATE);
    let (before, after) = (power_db(&cabin.heard[part.clone()]), power_db(&cabin.cleaned[part]));
    println!("echo of our voice: {:.1} dB before, {:.1} dB after: {:.1} dB less", before, after, before - after);
    assert!(before - after > 25.0, "{:.1} dB less", before - after);
    assert_eq!((cabin.stops.len(), cabin.holds), (0, 0), "it heard itself");
    let mut without = Cabin::new(false);
    without.reply(&speech);
    without.run(&silence(4.0));
    assert!(!without.stops.is_empty(), "without the canceller it would interrupt itself: the test hears an echo");
}

#[test]
fn whoever_speaks_is_given_the_word_within_150_ms() {
    let Some(speech) = our_voice() else { return };
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
        println!("{name}: {} ms of hiss before the voice", voice_begins(&voice) / MS);
        for begins_ms in [2_000, 2_005, 2_011, 2_017, 2_023] {
            let mut cabin = Cabin::new(true);
            cabin.reply(&speech);
            let said = [silence(begins_ms as f64 / 1000.0), voice.clone(), silence(0.5)].concat();
            cabin.run(&said);
            assert!(!cabin.stops.is_empty(), "{name} is not heard over our own voice");
            let from_sound = cabin.played_until() - begins_ms * MS;
            let samples = from_sound.saturating_sub(voice_begins(&voice));
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
fn without_a_loudspeaker_the_front_end_changes_no_sample() {
    let mut front_end = FrontEnd::new(RATE as u32, 1, Listen::Mixed, Cleaning { echo: false, noise: false }).unwrap();
    let voice = vowel(0.5);
    let mut out = Vec::new();
    for (i, piece) in voice.chunks(512).enumerate() {
        let samples: Vec<f32> = piece.iter().map(|&s| f32::from(s) / 32_768.0).collect();
        let block = Block { stamp: ms(i as u64 * 32), samples: samples.len(), after_loss: false };
        let chunk = front_end.block(&block, &samples, &mut None).unwrap().unwrap();
        assert_eq!(chunk.header.unwrap().stamp_ns, i as u64 * 32_000_000);
        out.extend(chunk.pcm_s16le.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])));
    }
    assert_eq!(out, voice);
}

/// Two channels of a voice: at one microphone it is half as loud and 0.8 ms later.
fn from_seat(voice: &[i16], driver: bool) -> Vec<i16> {
    let late = |i: usize| if i >= 13 { voice[i - 13] / 2 } else { 0 };
    (0..voice.len()).flat_map(|i| if driver { [voice[i], late(i)] } else { [late(i), voice[i]] }).collect()
}

#[test]
fn an_utterance_says_from_which_seat_it_came() {
    let dir = tempfile::tempdir().unwrap();
    let microphones = dir.path().join("microphone.toml");
    let shipped = include_str!("../../../calibration/auriga-demo/microphone.toml");
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
        let heard = rig.utterances();
        assert_eq!(heard.len(), 1);
        assert_eq!(heard[0].1.zone(), zone);
    }
}

#[test]
fn an_hour_of_silence_is_told_as_a_dead_microphone_and_the_node_still_hears() {
    let mut rig = Rig::new(&always());
    for _ in 0..720 {
        rig.hear(&silence(5.0), 5 * RATE);
    }
    let dead = rig.fault_codes().iter().filter(|code| **code == "audio-dead").count();
    assert!((1..20).contains(&dead), "{dead} times");
    assert!(rig.utterances().is_empty());
    let levels = rig.messages.iter().filter(|(_, any)| matches!(any, Any::SpeechLevel(l) if l.rms_dbfs == -120.0));
    assert_eq!(levels.count(), 720, "one for each chunk of five seconds");
    let begin = rig.time;
    rig.line(begin + Duration::from_millis(500), begin + Duration::from_millis(1800), "are you there");
    rig.hear(&[silence(0.5), vowel(1.2), silence(1.5)].concat(), 320);
    assert_eq!(rig.utterances().len(), 1);
}

#[test]
fn samples_that_went_missing_are_counted_in_the_level() {
    let mut rig = Rig::new(&always());
    rig.hear(&noise(0.5, 100.0), 320);
    rig.time = rig.time + Duration::from_millis(100);
    rig.hear(&noise(0.5, 100.0), 320);
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
    fn nothing_that_can_be_logged_holds_what_was_said_or_answered(secret in "[a-z]{7,12} [a-z]{7,12}") {
        let mut rig = Rig::new(&Config { consent_recording: true, ..always() });
        rig.line(ms(300), ms(1000), &secret);
        rig.line(ms(5000), ms(6000), &format!("never {secret}"));
        let answer = v1::DialogueTurn { turn_id: 1, text: format!("So {secret}. "), user_text: secret.clone(), ..Default::default() };
        rig.input(SpeechInput::LanguageTurn(Arc::new(answer.clone())), ms(1));
        rig.hear(&[silence(0.3), vowel(0.7), silence(7.0)].concat(), 320);
        prop_assert_eq!(rig.utterances().len(), 1);
        let sentence = Effect::Speak(format!("So {secret}."));
        prop_assert!(rig.effects.contains(&sentence));
        let logged = format!("{:?} {:?} {:?}", rig.messages, rig.effects, answer);
        for word in secret.split(' ') {
            prop_assert!(!logged.contains(word), "{} is in it", word);
        }
        // Of 7 s of audio, published with consent, not a sample either.
        prop_assert!(logged.len() < 200 * rig.messages.len() + 200);
    }
}
