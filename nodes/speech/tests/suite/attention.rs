//! Which speech is addressed to the system: wake phrase, talk button, follow-up time.

use crate::common::{RATE, Rig, chunk, espeak, ms, silence, vowel};
use auriga_msgs::{
    Any, TopicId,
    node::SpeechInput,
    v1::{self, TranscriptSource},
};
use auriga_runtime::Nanos;
use auriga_speech::{
    Config, Effect, SpeechNode,
    recognition::{OpenedRecogniser, RecognisedWord, Recogniser, RecogniserError, Recognition},
    turns::attention::Activation,
};
use proptest::prelude::*;
use std::{collections::VecDeque, sync::Arc, time::Duration};

const PIECE: usize = RATE / 50;

/// For each turn its words: end in seconds of the recogniser's audio, text, confidence.
type Script = Vec<Vec<(f64, &'static str, f32)>>;

struct Scripted {
    turns: VecDeque<Vec<(f64, &'static str, f32)>>,
    samples: usize,
}

impl Scripted {
    fn boxed(script: Script) -> Box<dyn Recogniser> {
        Box::new(Scripted { turns: script.into(), samples: 0 })
    }

    fn words(&self) -> Vec<RecognisedWord> {
        let at = |s: f64| Duration::from_secs_f64(s);
        let position = self.samples as f64 / RATE as f64;
        let words = self.turns.front().into_iter().flatten().filter(|w| w.0 <= position);
        words
            .map(|(end, text, confidence)| RecognisedWord {
                text: (*text).into(),
                start: at(end - 0.2),
                end: at(*end),
                confidence: *confidence,
            })
            .collect()
    }
}

impl Recogniser for Scripted {
    fn accept(&mut self, samples: &[i16]) -> Result<(), RecogniserError> {
        self.samples += samples.len();
        Ok(())
    }
    fn partial(&mut self) -> Result<String, RecogniserError> {
        Ok(self.words().iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" "))
    }
    fn partial_words(&mut self) -> Result<Vec<RecognisedWord>, RecogniserError> {
        Ok(self.words())
    }
    fn finish(&mut self) -> Result<Recognition, RecogniserError> {
        let words = self.words();
        self.samples = 0;
        self.turns.pop_front();
        Ok(Recognition { words, ..Default::default() })
    }
}

fn rig(activation: Activation, script: Script) -> Rig {
    let opened = OpenedRecogniser { recogniser: Scripted::boxed(script), notices: Vec::new() };
    let config = Config { activation, ..Config::default() };
    Rig::with(SpeechNode::new(&config, Ok(Some(opened))).unwrap())
}

/// A turn of 1.2 s between silences.
fn turn() -> Vec<i16> {
    [silence(0.6), vowel(1.2), silence(0.8)].concat()
}

fn finals(rig: &Rig) -> Vec<String> {
    rig.utterances().iter().filter(|(_, u)| u.r#final).map(|(_, u)| u.text.clone()).collect()
}

impl Rig {
    fn talk_button(&mut self, down: bool) {
        let state = v1::VehicleState {
            header: Some(v1::Header::new(self.time.0, 0)),
            push_to_talk: Some(down),
            ..Default::default()
        };
        self.input(SpeechInput::VehicleState(Arc::new(state)), self.time);
    }
}

#[test]
fn without_the_wake_phrase_nothing_is_published() {
    let mut rig = rig(Activation::WakeWord, vec![vec![(0.5, "a", 1.0), (0.8, "secret", 1.0)]; 3]);
    for _ in 0..3 {
        rig.play(&turn(), PIECE);
    }
    assert!(rig.utterances().is_empty(), "{:?}", finals(&rig));
    assert!(rig.fault_codes().is_empty(), "{:?}", rig.fault_codes());
}

#[test]
fn the_request_is_what_follows_the_wake_phrase() {
    let full = vec![vec![(0.5, "hey", 1.0), (0.7, "auriga", 0.9), (1.0, "how", 1.0), (1.3, "far", 0.8)]];
    let mut rig = rig(Activation::WakeWord, full);
    rig.play(&turn(), PIECE);
    assert_eq!(finals(&rig), ["how far"]);
    let utterances = rig.utterances();
    let partials: Vec<&str> = utterances.iter().filter(|(_, u)| !u.r#final).map(|(_, u)| u.text.as_str()).collect();
    assert!(!partials.is_empty() && partials.iter().all(|p| ["how", "how far"].contains(p)), "{partials:?}");
    // The recogniser gets the audio from 0.3 s before the detector reported the turn.
    let first = utterances.last().unwrap().1.words[0].start_ns / 1_000_000;
    assert!((1100..1300).contains(&first), "{first}");
}

#[test]
fn a_wake_phrase_with_low_confidence_is_ignored() {
    let full = vec![vec![(0.5, "hey", 1.0), (0.7, "auriga", 0.3), (1.0, "play", 1.0)]];
    let mut rig = rig(Activation::WakeWord, full);
    rig.play(&turn(), PIECE);
    assert!(rig.utterances().is_empty());
}

#[test]
fn turns_are_addressed_during_the_follow_up_time_only() {
    let say = |text| vec![(0.5, text, 1.0)];
    let wake = vec![(0.5, "hey", 1.0), (0.7, "auriga", 0.9)];
    let full = vec![wake, say("louder"), say("quieter"), say("gossip")];
    let mut rig = rig(Activation::WakeWord, full);
    rig.play(&turn(), PIECE);
    assert!(finals(&rig).is_empty(), "the phrase alone is no request");
    rig.play(&turn(), PIECE);
    rig.play(&silence(5.0), PIECE);
    rig.play(&turn(), PIECE);
    assert_eq!(finals(&rig), ["louder", "quieter"]);
    rig.play(&silence(9.0), PIECE);
    rig.play(&turn(), PIECE);
    assert_eq!(finals(&rig), ["louder", "quieter"]);
}

#[test]
fn the_follow_up_time_begins_when_the_reply_has_been_spoken() {
    let say = |text| vec![(0.5, text, 1.0)];
    let full = vec![vec![(0.4, "hey", 1.0), (0.6, "auriga", 0.9), (0.9, "range", 1.0)], say("and there")];
    let mut rig = rig(Activation::WakeWord, full);
    rig.play(&turn(), PIECE);
    let text = "You can go 212 kilometres, which is enough for the way to the next charging station and back again. ";
    let reply = v1::DialogueTurn { turn_id: 1, text: text.into(), last: true, ..Default::default() };
    rig.input(SpeechInput::LanguageTurn(Arc::new(reply)), rig.time);
    rig.play(&silence(11.0), PIECE);
    rig.play(&turn(), PIECE);
    assert_eq!(finals(&rig), ["range", "and there"]);
}

#[test]
fn with_push_to_talk_only_speech_with_the_button_held_is_published() {
    let full = vec![vec![(0.5, "call", 1.0), (0.8, "anna", 1.0)]; 2];
    let mut rig = rig(Activation::PushToTalk, full);
    rig.play(&turn(), PIECE);
    assert!(finals(&rig).is_empty());
    rig.talk_button(true);
    rig.play(&[silence(0.3), vowel(1.0)].concat(), PIECE);
    assert!(finals(&rig).is_empty());
    let released = rig.time;
    rig.talk_button(false);
    assert_eq!(finals(&rig), ["call anna"]);
    let (published, u) = *rig.utterances().last().unwrap();
    assert_eq!(published, released, "the release ends the turn");
    assert!(u.speech_end_ns <= released.0 && released.0 - u.speech_end_ns < 100_000_000);
    rig.play(&turn(), PIECE);
    assert_eq!(finals(&rig).len(), 1, "no follow-up without the button");
}

#[test]
fn a_pause_with_the_button_held_does_not_end_the_turn() {
    let full = vec![vec![(0.5, "navigate", 1.0), (3.0, "home", 1.0)]];
    let mut rig = rig(Activation::WakeWord, full);
    rig.play(&silence(0.5), PIECE);
    rig.talk_button(true);
    rig.play(&[silence(0.3), vowel(0.6), silence(1.5), vowel(0.8)].concat(), PIECE);
    rig.talk_button(false);
    assert_eq!(finals(&rig), ["navigate home"]);
}

#[test]
fn the_turn_begins_where_the_audio_has_the_time_of_the_press() {
    // The audio arrives 400 ms late, the button in time.
    let full = vec![vec![(0.5, "next", 1.0)]];
    let mut rig = rig(Activation::PushToTalk, full);
    let sound = [silence(0.5), vowel(0.8), silence(0.7)].concat();
    for (i, part) in sound.chunks(PIECE).enumerate() {
        let stamp = ms(20 * i as u64);
        for (at, down) in [(460, true), (1400, false)] {
            if stamp == ms(at - 400) {
                rig.time = ms(at);
                rig.talk_button(down);
            }
        }
        rig.input(SpeechInput::DeviceAudio(Arc::new(chunk(stamp, part))), ms(20 * i as u64 + 420));
    }
    assert_eq!(finals(&rig), ["next"]);
    let u = rig.utterances().last().unwrap().1.clone();
    assert_eq!(u.speech_start_ns / 1_000_000, 460);
    assert!((1290..=1340).contains(&(u.speech_end_ns / 1_000_000)), "{}", u.speech_end_ns);
}

#[test]
fn a_button_stuck_for_an_hour_is_one_fault_and_the_wake_phrase_still_works() {
    let turns = vec![vec![(0.5, "noise", 1.0)], vec![(0.5, "hey", 1.0), (0.7, "auriga", 1.0), (1.0, "stop", 1.0)]];
    let mut rig = rig(Activation::WakeWord, turns);
    // Digital silence of this length is also reported as a dead microphone.
    let faults = |rig: &Rig| -> Vec<String> {
        rig.fault_codes().iter().filter(|c| **c != "audio-dead").map(|c| c.to_string()).collect()
    };
    rig.play(&silence(0.2), PIECE);
    rig.talk_button(true);
    rig.play(&silence(25.0), PIECE);
    assert_eq!(faults(&rig), ["talk-button-stuck"]);
    let before = finals(&rig).len();
    for _ in 0..120 {
        rig.play(&silence(30.0), RATE);
        rig.talk_button(true);
    }
    rig.play(&turn(), PIECE);
    assert_eq!(finals(&rig)[before..], ["stop"]);
    assert_eq!(faults(&rig), ["talk-button-stuck"]);
}

#[test]
fn the_fault_of_a_stuck_button_is_cleared_when_the_button_is_released() {
    let mut rig = rig(Activation::WakeWord, Vec::new());
    rig.play(&silence(0.2), PIECE);
    rig.talk_button(true);
    rig.play(&silence(25.0), PIECE);
    assert_eq!(rig.fault_states("talk-button-stuck"), [true]);
    rig.talk_button(false);
    assert_eq!(rig.fault_states("talk-button-stuck"), [true, false]);
}

#[test]
fn the_wake_phrase_is_detected_after_an_hour_of_silence() {
    let full = vec![vec![(0.5, "hey", 1.0), (0.7, "auriga", 1.0), (1.0, "stop", 1.0)]];
    let mut rig = rig(Activation::WakeWord, full);
    for _ in 0..3600 {
        rig.play(&silence(1.0), RATE / 2);
    }
    // Digital silence of this length is reported as a dead microphone.
    assert!(rig.fault_codes().iter().all(|c| *c == "audio-dead"), "{:?}", rig.fault_codes());
    rig.play(&turn(), PIECE);
    assert_eq!(finals(&rig), ["stop"]);
}

#[test]
fn lines_of_a_track_need_the_wake_phrase_too() {
    let mut rig = Rig::new(&Config::default());
    rig.line(ms(500), ms(1900), "gossip");
    rig.line(ms(3100), ms(4500), "Hey Auriga, play some jazz");
    rig.line(ms(5700), ms(7100), "louder");
    rig.line(ms(20_700), ms(22_100), "gossip");
    for pause in [0.0, 0.0, 0.0, 12.4] {
        rig.play(&silence(pause), PIECE);
        rig.play(&[silence(0.5), vowel(1.3), silence(0.8)].concat(), PIECE);
    }
    assert_eq!(finals(&rig), ["play some jazz", "louder"]);
    assert!(rig.utterances().iter().all(|(_, u)| u.source() == TranscriptSource::Track));
}

#[test]
fn speech_stops_the_reply_within_150_ms_of_its_first_sound() {
    let mut worst = Duration::ZERO;
    for text in ["Stop", "Be quiet please", "What", "Hey Auriga", "No, not that one", "I feel dizzy"] {
        let Some(speech) = espeak(text) else { return };
        let mut rig = Rig::new(&Config::default());
        rig.play(&silence(0.5), PIECE);
        let reply = v1::DialogueTurn { text: "One. Two. ".into(), ..Default::default() };
        rig.input(SpeechInput::LanguageTurn(Arc::new(reply)), rig.time);
        let began = rig.time;
        for part in speech.chunks(PIECE) {
            rig.play(part, PIECE);
            if rig.effects.last() == Some(&Effect::StopSpeaking) {
                break;
            }
        }
        assert_eq!(rig.effects.last(), Some(&Effect::StopSpeaking), "{text}");
        worst = worst.max(rig.time.since(began));
    }
    println!("speech stops the reply after {worst:?} at most");
    assert!(worst <= Duration::from_millis(150), "{worst:?}");
}

#[test]
fn the_talk_button_stops_the_reply_at_once() {
    let mut rig = Rig::new(&Config::default());
    rig.play(&silence(0.5), PIECE);
    let reply = v1::DialogueTurn { text: "One. Two. ".into(), ..Default::default() };
    rig.input(SpeechInput::LanguageTurn(Arc::new(reply)), rig.time);
    rig.talk_button(true);
    assert_eq!(rig.effects.last(), Some(&Effect::StopSpeaking));
}

#[derive(Debug, Clone)]
enum Step {
    Voice(u16),
    Silence(u16),
    /// Jump of the stamps in ms: forward (samples lost) or back (out of order).
    Jump(i16),
    Button(Option<bool>),
    Tick(u16),
    Reply(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (20u16..1500).prop_map(Step::Voice),
        4 => (20u16..1500).prop_map(Step::Silence),
        1 => (-500i16..2000).prop_map(Step::Jump),
        2 => proptest::option::of(any::<bool>()).prop_map(Step::Button),
        1 => (0u16..3000).prop_map(Step::Tick),
        1 => any::<u8>().prop_map(Step::Reply),
    ]
}

/// Words without the wake phrase.
const WORDS: [&str; 5] = ["hey", "you", "auriga", "is", "[unk]"];

/// A recogniser that outputs one of [`WORDS`] every 250 ms; it counts samples.
struct OtherWords(usize);
impl Recogniser for OtherWords {
    fn accept(&mut self, samples: &[i16]) -> Result<(), RecogniserError> {
        self.0 += samples.len();
        Ok(())
    }
    fn partial(&mut self) -> Result<String, RecogniserError> {
        Ok(self.partial_words()?.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" "))
    }
    fn partial_words(&mut self) -> Result<Vec<RecognisedWord>, RecogniserError> {
        let at = |i: usize| Duration::from_millis(250 * i as u64);
        let word =
            |i: usize| RecognisedWord { text: WORDS[i % 5].into(), start: at(i), end: at(i + 1), confidence: 1.0 };
        Ok((0..self.0 / 4000).map(word).collect())
    }
    fn finish(&mut self) -> Result<Recognition, RecogniserError> {
        let words = self.partial_words()?;
        self.0 = 0;
        Ok(Recognition { words, ..Default::default() })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn speech_that_is_not_addressed_is_never_published(
        steps in proptest::collection::vec(step(), 0..40), push_to_talk in any::<bool>(),
    ) {
        let activation = if push_to_talk { Activation::PushToTalk } else { Activation::WakeWord };
        let opened = OpenedRecogniser { recogniser: Box::new(OtherWords(0)), notices: Vec::new() };
        let config = Config { activation, follow_up_s: 1.0, longest_turn_s: 3, ..Config::default() };
        let mut rig = Rig::with(SpeechNode::new(&config, Ok(Some(opened))).unwrap());
        // Reasons for a turn to be addressed: the button, or a reply with its follow-up time.
        let (mut pressed, mut answered) = (false, false);
        for step in steps {
            match step {
                Step::Voice(ms) => rig.play(&vowel(f64::from(ms) / 1000.0), PIECE),
                Step::Silence(ms) => rig.play(&silence(f64::from(ms) / 1000.0), PIECE),
                Step::Jump(by) => rig.time = Nanos(rig.time.0.saturating_add_signed(i64::from(by) * 1_000_000)),
                Step::Button(held) => {
                    let state = v1::VehicleState {
                        header: Some(v1::Header::new(rig.time.0, 0)), push_to_talk: held, ..Default::default()
                    };
                    rig.input(SpeechInput::VehicleState(Arc::new(state)), rig.time);
                    pressed |= held == Some(true);
                }
                Step::Tick(ms) => {
                    let at = rig.time + Duration::from_millis(ms.into());
                    rig.tick(at);
                }
                Step::Reply(n) => {
                    let text = format!("{}. ", "x".repeat(n.into()));
                    let piece = v1::DialogueTurn { turn_id: n.into(), text, last: n % 2 == 0, ..Default::default() };
                    rig.input(SpeechInput::LanguageTurn(Arc::new(piece)), rig.time);
                    answered = true;
                }
            }
            if !pressed && (push_to_talk || !answered) {
                prop_assert!(rig.utterances().is_empty(), "{:?}", finals(&rig));
            }
        }
        let public = |any: &Any| matches!(any.topic(), TopicId::Fault | TopicId::SpeechUtterance | TopicId::SpeechLevel);
        prop_assert!(rig.messages.iter().all(|(_, any)| public(any)));
        // No fault contains the speech.
        let leaks = |any: &Any| matches!(any, Any::Fault(f) if f.text.contains("hey you"));
        prop_assert!(!rig.messages.iter().any(|(_, any)| leaks(any)));
    }
}
