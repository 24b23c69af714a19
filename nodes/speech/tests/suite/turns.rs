//! Turns of the speaker: when they end, and what is published then.

use crate::common::{RATE, Rig, always, chunk, espeak, ms, noise, silence, vowel};
use auriga_msgs::{
    Any, Stamped, TopicId,
    node::SpeechInput,
    v1::{self, TranscriptSource},
};
use auriga_runtime::{Nanos, Node, Outbox};
use auriga_speech::{
    Config, Effect, SpeechNode,
    recognition::{OpenedRecogniser, RecognisedWord, Recogniser, RecogniserError, Recognition, model::ModelError},
    turns::vad::{TurnDetector, TurnEvent, VadSettings},
};
use proptest::prelude::*;
use std::{sync::Arc, time::Duration};

const PIECE: usize = RATE / 50;

fn turns(samples: &[i16], piece: usize) -> Vec<TurnEvent> {
    let config = Config::default();
    let mut detector = TurnDetector::new(VadSettings {
        threshold: config.vad_threshold as f32,
        start: Duration::from_millis(config.start_voice_ms),
        end_silence: Duration::from_millis(config.end_silence_ms),
        longest: Duration::from_secs(config.longest_turn_s),
    });
    let (mut events, mut at) = (Vec::new(), ms(1000));
    for part in samples.chunks(piece) {
        detector.push(at, part, &mut |e| events.push(e));
        at = at + Duration::from_nanos(62_500 * part.len() as u64);
    }
    events
}

/// Start and end of the only turn, in milliseconds of the samples.
fn only_turn(events: &[TurnEvent]) -> (i64, i64) {
    match events {
        [TurnEvent::Started(a), TurnEvent::Ended { start, end }] if a == start => {
            (start.0 as i64 / 1_000_000 - 1000, end.0 as i64 / 1_000_000 - 1000)
        }
        other => panic!("expected one turn, found {other:?}"),
    }
}

#[test]
fn a_turn_ends_at_its_last_voiced_sample() {
    let voice = [silence(0.5), vowel(1.0), silence(1.0)].concat();
    let (start, end) = only_turn(&turns(&voice, PIECE));
    assert!((400..=700).contains(&start), "{start}");
    assert!((1490..=1530).contains(&end), "{end}");
    let in_noise: Vec<i16> = voice.iter().zip(noise(2.5, 100.0)).map(|(a, b)| a + b).collect();
    let (_, end) = only_turn(&turns(&in_noise, PIECE));
    assert!((1480..=1560).contains(&end), "in noise: {end}");
}

#[test]
fn a_synthesised_sentence_is_one_turn_and_its_end_is_right() {
    for text in ["Hey Auriga, how far can I still go?", "Play some jazz music", "I feel dizzy", "Stop"] {
        let Some(speech) = espeak(text) else { return };
        let end_true = 500 + (speech.len() * 1000 / RATE) as i64;
        let (_, end) = only_turn(&turns(&[silence(0.5), speech, silence(1.0)].concat(), PIECE));
        assert!((end_true - 60..=end_true + 40).contains(&end), "{text}: ended at {end} ms, true {end_true} ms");
    }
}

#[test]
fn turns_do_not_depend_on_the_chunk_size() {
    let voice = [silence(0.3), vowel(0.7), silence(0.6), vowel(0.5), silence(0.6)].concat();
    let expect = turns(&voice, PIECE);
    assert_eq!(expect.len(), 4, "{expect:?}");
    for piece in [1, 7, 255, 256, 257, 1000, voice.len()] {
        assert_eq!(turns(&voice, piece), expect, "pieces of {piece}");
    }
}

#[test]
fn silence_noise_and_clicks_give_no_turn() {
    assert_eq!(turns(&silence(60.0), PIECE), []);
    assert_eq!(turns(&noise(60.0, 300.0), PIECE), []);
    let mut clicks = silence(20.0);
    clicks.iter_mut().step_by(RATE / 2).for_each(|s| *s = 20_000);
    assert_eq!(turns(&clicks, PIECE), []);
}

#[test]
fn a_transcript_line_is_published_when_its_speech_has_ended() {
    let mut rig = Rig::new(&always());
    rig.line(ms(500), ms(1900), "open the window");
    rig.play(&[silence(0.5), vowel(1.2), silence(1.5)].concat(), PIECE);
    let utterances = rig.utterances();
    let [(published, u)] = utterances.as_slice() else { panic!("{utterances:?}") };
    assert_eq!((u.text.as_str(), u.r#final, u.source()), ("open the window", true, TranscriptSource::Track));
    assert_eq!(u.header_copy().stamp_ns, u.speech_end_ns);
    assert_eq!(u.header_copy().source(), Some(TopicId::SpeechUtterance));
    let end = u.speech_end_ns / 1_000_000;
    assert!((1690..=1730).contains(&end), "{end}");
    let latency = published.since(Nanos(u.speech_end_ns)).as_millis();
    assert!((200..=240).contains(&latency), "{latency} ms from end of speech");
    assert!(rig.fault_codes().is_empty(), "{:?}", rig.fault_codes());
}

#[test]
fn a_line_with_pauses_is_published_once_after_its_last_words() {
    let mut rig = Rig::new(&always());
    rig.line(ms(500), ms(3100), "I feel dizzy. Open the window.");
    rig.play(&[silence(0.5), vowel(0.8), silence(0.7), vowel(1.0), silence(3.0)].concat(), PIECE);
    let utterances = rig.utterances();
    assert_eq!(utterances.len(), 1);
    let end = utterances[0].1.speech_end_ns / 1_000_000;
    assert!((2990..=3030).contains(&end), "{end}");
    assert!(utterances[0].1.speech_start_ns / 1_000_000 < 700);
}

#[test]
fn a_line_without_speech_is_a_fault_and_not_published() {
    let mut rig = Rig::new(&always());
    rig.line(ms(500), ms(1500), "a secret nobody says");
    rig.play(&silence(4.0), PIECE);
    assert!(rig.utterances().is_empty());
    assert_eq!(rig.fault_codes(), ["transcript-unheard"]);
    assert!(!format!("{:?}", rig.messages).contains("secret"));
}

#[test]
fn a_line_is_published_when_the_audio_stops_after_it() {
    let mut rig = Rig::new(&always());
    rig.line(ms(500), ms(1900), "stop");
    rig.play(&[silence(0.5), vowel(1.2)].concat(), PIECE);
    assert!(rig.utterances().is_empty());
    for t in [1900, 2300, 2800, 3300] {
        rig.tick(ms(t));
    }
    assert_eq!(rig.utterances().len(), 1);
}

#[test]
fn without_model_and_track_there_is_one_fault() {
    let mut rig = Rig::new(&always());
    for _ in 0..3 {
        rig.play(&[vowel(1.0), silence(1.0)].concat(), PIECE);
    }
    assert_eq!(rig.fault_codes(), ["speech-not-understood"]);
    assert!(rig.utterances().is_empty());
    rig.line(rig.time, rig.time + Duration::from_secs(1), "stop");
    assert_eq!(rig.fault_states("speech-not-understood"), [true, false], "a line of a track clears it");
}

#[test]
fn an_unusable_model_is_a_fault_and_the_track_is_used() {
    let error = ModelError::NotAFolder("/no/model".into());
    let mut rig = Rig::with(SpeechNode::new(&always(), Err(error)).unwrap());
    assert_eq!(rig.fault_codes(), ["speech-model"]);
    rig.line(ms(100), ms(1100), "go on");
    rig.play(&[silence(0.1), vowel(1.0), silence(1.0)].concat(), PIECE);
    assert_eq!(rig.utterances().len(), 1);
}

#[test]
fn audio_is_published_only_with_consent() {
    let mut rig = Rig::new(&always());
    rig.play(&vowel(0.5), PIECE);
    assert!(!rig.messages.iter().any(|(_, any)| any.topic() == TopicId::SpeechAudio));
    let mut rig = Rig::new(&Config { consent_recording: true, ..always() });
    rig.play(&vowel(0.5), PIECE);
    let audio: Vec<_> = rig.messages.iter().filter(|(_, any)| any.topic() == TopicId::SpeechAudio).collect();
    assert_eq!(audio.len(), 25);
    assert_eq!(audio[3].1.header().stamp_ns, ms(60).0);
}

#[test]
fn malformed_and_out_of_order_audio_is_a_fault_and_left_out() {
    let mut rig = Rig::new(&always());
    rig.play(&silence(0.1), PIECE);
    let good = chunk(ms(100), &[0; 320]);
    let wrong = [
        v1::AudioChunk { sample_rate_hz: 44_100, ..good.clone() },
        v1::AudioChunk { channels: 2, ..good.clone() },
        v1::AudioChunk { pcm_s16le: vec![0; 321].into(), ..good.clone() },
        chunk(ms(20), &[0; 320]),
    ];
    for chunk in wrong {
        rig.input(SpeechInput::DeviceAudio(Arc::new(chunk)), ms(120));
    }
    assert_eq!(rig.fault_codes(), ["audio-format", "audio-format", "audio-out-of-order"]);
    rig.play(&vec![i16::MAX; 3200], PIECE);
    assert!(rig.fault_codes().contains(&"audio-clipping"));
    rig.time = rig.time + Duration::from_secs(2);
    rig.play(&silence(0.1), PIECE);
    assert!(rig.fault_codes().contains(&"audio-gap"));
}

#[test]
fn speech_of_the_driver_stops_the_reply() {
    let mut rig = Rig::new(&always());
    rig.play(&silence(0.2), PIECE);
    let piece = |text: &str| v1::DialogueTurn { turn_id: 3, text: text.into(), ..Default::default() };
    rig.input(SpeechInput::LanguageTurn(Arc::new(piece("You can go 212 km. There is"))), ms(200));
    assert_eq!(rig.effects, [Effect::Speak("You can go 212 km.".into())]);
    assert!(!format!("{:?}", rig.effects).contains("212"));
    rig.play(&vowel(0.4), PIECE);
    assert_eq!(rig.effects.last(), Some(&Effect::StopSpeaking));
    let effects = rig.effects.len();
    rig.input(SpeechInput::LanguageTurn(Arc::new(piece(" a charger. "))), ms(700));
    assert_eq!(rig.effects.len(), effects);
}

#[test]
fn a_sound_too_short_for_a_turn_pauses_and_resumes_the_reply() {
    let mut rig = Rig::new(&always());
    rig.play(&silence(0.2), PIECE);
    let piece = v1::DialogueTurn { turn_id: 3, text: "You can go on. ".into(), ..Default::default() };
    rig.input(SpeechInput::LanguageTurn(Arc::new(piece)), ms(200));
    let short = vowel(1.0)[4000..4000 + 320].to_vec();
    for _ in 0..20 {
        rig.play(&[short.clone(), silence(0.5)].concat(), PIECE);
    }
    let pauses = rig.effects.iter().filter(|e| **e == Effect::PauseSpeaking).count();
    assert!(pauses > 0 && !rig.effects.contains(&Effect::StopSpeaking), "{:?}", rig.effects);
    assert_eq!(rig.effects.last(), Some(&Effect::ResumeSpeaking));
}

/// A recogniser whose text is the number of samples it got.
#[derive(Default)]
struct Counter {
    samples: usize,
    fail: bool,
}
impl Recogniser for Counter {
    fn accept(&mut self, samples: &[i16]) -> Result<(), RecogniserError> {
        self.samples += samples.len();
        if self.fail { Err(RecogniserError("broken".into())) } else { Ok(()) }
    }
    fn partial(&mut self) -> Result<String, RecogniserError> {
        Ok(format!("about {}", self.samples / 4000))
    }
    fn partial_words(&mut self) -> Result<Vec<RecognisedWord>, RecogniserError> {
        Ok(Vec::new())
    }
    fn finish(&mut self) -> Result<Recognition, RecogniserError> {
        let end = Duration::from_nanos(std::mem::take(&mut self.samples) as u64 * 62_500);
        let word = RecognisedWord { text: "all".into(), start: Duration::ZERO, end, confidence: 0.5 };
        Ok(Recognition { words: vec![word], ..Default::default() })
    }
}

fn only(recogniser: impl Recogniser + 'static) -> OpenedRecogniser {
    OpenedRecogniser { recogniser: Box::new(recogniser), notices: Vec::new() }
}

#[test]
fn the_recogniser_gets_the_complete_turn_and_word_times_are_absolute() {
    let mut rig = Rig::with(SpeechNode::new(&always(), Ok(Some(only(Counter::default())))).unwrap());
    rig.play(&[silence(1.0), vowel(1.0), silence(1.0), vowel(1.0), silence(1.0)].concat(), PIECE);
    let finals: Vec<_> = rig.utterances().into_iter().filter(|(_, u)| u.r#final).collect();
    let partials: Vec<_> = rig.utterances().into_iter().filter(|(_, u)| !u.r#final).collect();
    assert_eq!(finals.len(), 2);
    assert!(!partials.is_empty() && partials.len() <= 12, "{}", partials.len());
    for ((published, u), begins) in finals.iter().zip([1000u64, 3000]) {
        let word = &u.words[0];
        let (start, end) = (word.start_ns / 1_000_000, word.end_ns / 1_000_000);
        assert!((begins - 350..begins).contains(&start), "the lead-in: {start}");
        assert!(word.end_ns <= published.0 && end >= begins + 1000, "{end}");
        assert_eq!((u.source(), u.confidence), (TranscriptSource::Recognised, 0.5));
    }
    let traces: Vec<u64> = rig.utterances().iter().map(|(_, u)| u.header_copy().trace_id).collect();
    assert_eq!(traces.iter().collect::<std::collections::BTreeSet<_>>().len(), 2, "partials share the trace");
}

#[test]
fn after_an_error_the_recogniser_is_dropped_and_the_node_runs_on() {
    let broken = Counter { fail: true, ..Default::default() };
    let mut rig = Rig::with(SpeechNode::new(&always(), Ok(Some(only(broken)))).unwrap());
    rig.play(&[vowel(1.0), silence(1.0), vowel(1.0), silence(1.0)].concat(), PIECE);
    assert!(rig.utterances().is_empty());
    assert_eq!(rig.fault_codes(), ["speech-recogniser-failed", "speech-not-understood"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_audio_makes_the_node_panic(
        chunks in proptest::collection::vec((any::<u64>(), 0u32..3, 15_990u32..16_010, proptest::collection::vec(any::<u8>(), 0..2000)), 0..12)
    ) {
        let mut node = SpeechNode::new(&always(), Ok(None)).unwrap();
        let mut out = Outbox::default();
        for (stamp, channels, rate, pcm) in chunks {
            let rate = if rate % 2 == 0 { 16_000 } else { rate };
            let chunk = v1::AudioChunk {
                header: Some(v1::Header::new(stamp, 0)), sample_rate_hz: rate, channels, pcm_s16le: pcm.into(),
            };
            node.on_input(SpeechInput::DeviceAudio(Arc::new(chunk)), Nanos(stamp / 2), &mut out);
            node.on_tick(Nanos(stamp), &mut out);
        }
        for any in out.take_messages() {
            prop_assert!(matches!(any, Any::Fault(_)));
        }
    }
}
